import { loadConfig, redact } from '../../config/index.js';
import { EXIT, type ExitCode } from '../../contract/errors.js';
import { printableJson } from '../printable.js';

/** `wattle config`: what the daemons of this machine would run with. */
export function showConfig({ config }: { readonly config: string | undefined }): Promise<ExitCode> {
  process.stdout.write(`${printableJson(redact(loadConfig({ path: config })))}\n`);
  return Promise.resolve(EXIT.done);
}
