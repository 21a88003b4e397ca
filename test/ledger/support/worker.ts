/** The PGlite worker as JavaScript: worker threads know nothing of Jest's TypeScript. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const SOURCE = fileURLToPath(new URL('../../../src/ledger/pglite-worker.ts', import.meta.url));

let built: Promise<URL> | undefined;

/** Built once per test file. */
export function buildWorker(): Promise<URL> {
  built ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wattle-test-worker-'));
    process.on('exit', () => {
      rmSync(folder, { recursive: true, force: true });
    });
    const outfile = join(folder, 'pglite-worker.mjs');
    const pglite = import.meta.resolve('@electric-sql/pglite');
    await build({
      entryPoints: [SOURCE],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      // PGlite finds its WebAssembly beside itself, so it stays where it is installed.
      plugins: [
        {
          name: 'pglite-in-place',
          setup(b) {
            b.onResolve({ filter: /^@electric-sql\/pglite$/ }, () => ({ path: pglite, external: true }));
          },
        },
      ],
    });
    return pathToFileURL(outfile);
  })();
  return built;
}
