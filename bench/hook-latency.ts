/**
 * hook.latency: how long slurm/prolog holds a job's start, from spawn to exit as slurmd would run it, beside the
 * shortest thing a site's own prolog could do: append a byte to a file.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { quantile, type Emit } from './figure.js';

export const name = 'hook.latency';

const WARM_UP = 20;
const PAIRS = 400;

function timed(command: string, args: readonly string[], env: Record<string, string>): number {
  const start = process.hrtime.bigint();
  const { status } = spawnSync(command, args, { env, stdio: 'ignore' });
  const end = process.hrtime.bigint();
  if (status !== 0) throw new Error(`${command} ended with ${status ?? 'a signal'}`);
  return Number(end - start) / 1e6;
}

// eslint-disable-next-line @typescript-eslint/require-await -- a Benchmark is asynchronous, this one has nothing to wait for
export async function run(emit: Emit): Promise<void> {
  const hook = resolve('build/Release/wattle-hook');
  if (!existsSync(hook)) throw new Error(`${hook} is not built`);
  const folder = mkdtempSync(join(tmpdir(), 'wattle-bench-'));
  try {
    mkdirSync(join(folder, 'events'));
    const env = {
      SLURM_JOB_ID: '1234',
      SLURM_JOB_UID: '1000',
      SLURM_JOB_USER: 'ada',
      SLURM_JOB_PARTITION: 'batch',
      SLURM_JOB_NODELIST: 'node[1-16]',
      SLURM_SCRIPT_CONTEXT: 'prolog_slurmd',
      SLURMD_NODENAME: 'node1',
      WATTLE_HOOK: hook,
      WATTLE_EVENT_DIR: join(folder, 'events'),
      WATTLE_RUN_DIR: folder,
    };
    const prolog: number[] = [];
    const shell: number[] = [];
    const append = `printf x >> ${join(folder, 'file')}`;
    for (let pair = 0; pair < WARM_UP + PAIRS; pair += 1) {
      // Alternating which goes first: whatever slows one of a pair slows the other as often.
      const both = [
        () => prolog.push(timed(resolve('slurm/prolog'), [], env)),
        () => shell.push(timed('/bin/sh', ['-c', append], env)),
      ];
      for (const measure of pair % 2 === 0 ? both : both.reverse()) measure();
    }
    const p = prolog.slice(WARM_UP);
    const s = shell.slice(WARM_UP);
    const context = { runs: PAIRS, p10: quantile(p, 0.1), p90: quantile(p, 0.9), sh_p50: quantile(s, 0.5) };
    const ratios = p.map((value, index) => value / (s[index] ?? Number.NaN));
    emit({ figure: 'p50', value: quantile(p, 0.5), unit: 'ms', aim: 3, better: 'lower', context });
    emit({ figure: 'p99', value: quantile(p, 0.99), unit: 'ms', aim: 10, better: 'lower', context });
    emit({
      figure: 'ratio_to_sh',
      value: quantile(ratios, 0.5),
      unit: 'x',
      better: 'lower',
      context: {
        runs: PAIRS,
        compared_with: "sh -c 'printf x >> f'",
        p10: quantile(ratios, 0.1),
        p90: quantile(ratios, 0.9),
      },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
