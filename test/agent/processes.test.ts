import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { JobProcesses } from '../../src/agent/processes.js';

async function procfs() {
  const root = await mkdtemp(join(tmpdir(), 'wattle-proc-'));
  const put = async (pid: number, env: string, ticks: readonly [number, number], start = pid): Promise<void> => {
    await mkdir(join(root, String(pid)), { recursive: true });
    const rest = ['S', ...Array<number>(10).fill(0), ticks[0], ticks[1], 0, 0, 20, 0, 1, 0, start, 0];
    await writeFile(join(root, String(pid), 'stat'), `${pid} (a ) b (c) ${rest.join(' ')}\n`);
    await writeFile(join(root, String(pid), 'environ'), env.replaceAll(' ', '\0'));
  };
  return { root, put, end: (pid: number) => rm(join(root, String(pid)), { recursive: true }) };
}

test('CPU time of the processes of a job on this node, and of no other', async () => {
  const { root, put } = await procfs();
  await put(10, 'SLURM_JOB_ID=5 SLURMD_NODENAME=n1', [100, 50]);
  await put(11, 'A=1 SLURM_JOB_ID=5', [10, 0]);
  await put(12, 'SLURM_JOB_ID=5 SLURMD_NODENAME=n2', [1000, 0]);
  await put(13, 'XSLURM_JOB_ID=6', [1000, 0]);
  await put(14, 'SLURM_JOB_ID=rubbish', [1000, 0]);
  expect(await new JobProcesses(root, 'n1').scan()).toEqual(new Map([[5, 1.6e9]]));
});

test('the time of a job never falls when a process ends, and a pid used again is another process', async () => {
  const { root, put, end } = await procfs();
  await put(10, 'SLURM_JOB_ID=5', [100, 0]);
  await put(11, 'SLURM_JOB_ID=5', [100, 0]);
  const processes = new JobProcesses(root, 'n1');
  await processes.scan();
  await end(11);
  expect(await processes.scan()).toEqual(new Map([[5, 2e9]]));
  await put(10, 'SLURM_JOB_ID=7', [30, 0], 999);
  expect(await processes.scan()).toEqual(new Map([[7, 0.3e9]]));
  processes.forget(7);
});
