/** Runs one of Slurm's commands: no shell, absolute path where configured, bounded in time and output. */
import { execFile } from 'node:child_process';
import { WattleError } from '../contract/index.js';

export interface SlurmCommandOptions {
  /** Folder of Slurm's commands; absent means PATH. */
  readonly binDir?: string | undefined;
  /** slurm.conf, handed on as SLURM_CONF. */
  readonly conf?: string | undefined;
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** A day of a large cluster is some 50 MB of sacct; past this something is wrong. */
const MAX_OUTPUT_BYTES = 1 << 30;

/** @throws WattleError `slurm.missing`, `slurm.timeout` or `slurm.failed` with the command's own last words. */
export function runSlurmCommand(
  name: string,
  args: readonly string[],
  options: SlurmCommandOptions,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const file = options.binDir === undefined ? name : `${options.binDir}/${name}`;
  const timeout = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      {
        timeout,
        killSignal: 'SIGKILL',
        maxBuffer: MAX_OUTPUT_BYTES,
        env: {
          ...process.env,
          LC_ALL: 'C',
          ...(options.conf === undefined ? {} : { SLURM_CONF: options.conf }),
          ...env,
        },
      },
      (error, stdout, stderr) => {
        if (!error) {
          resolve(stdout);
        } else if (error.code === 'ENOENT') {
          const remedy = "install Slurm's client commands, or name their folder in [slurm] bin_dir";
          reject(new WattleError('slurm.missing', `${file}: not found`, remedy, { cause: error }));
        } else if (error.killed === true) {
          const remedy = 'look at the load of slurmctld and slurmdbd';
          reject(
            new WattleError('slurm.timeout', `${name} did not end within ${timeout / 1000} s`, remedy, {
              cause: error,
            }),
          );
        } else {
          const words = stderr.trim().split('\n').slice(-3).join(' / ').slice(0, 500);
          const remedy = `run it by hand: ${name} ${args.join(' ')}`;
          reject(
            new WattleError('slurm.failed', `${name} failed: ${words || error.message}`, remedy, { cause: error }),
          );
        }
      },
    );
  });
}
