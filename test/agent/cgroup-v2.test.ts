/**
 * Control groups v2 of the running kernel, laid out as Slurm's cgroup/v2 plugin does: the agent has to find the job, its
 * step and its CPU time there. Needs root and a mounted unified hierarchy, also one beside v1.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { Agent } from '../../src/agent/index.js';
import { Sampler, monotonicNs } from '../../src/sampler/index.js';
import { agentIn, FakeController, sealPlain } from './support.js';

const NODE = `wattle-v2-${process.pid}`;

function unifiedRoot(): string | undefined {
  return ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((root) => {
    try {
      accessSync(root, constants.W_OK);
      return existsSync(join(root, 'cgroup.controllers'));
    } catch {
      return false;
    }
  });
}

const root = unifiedRoot();
const where = root === undefined ? test.skip : test;

where('a real v2 hierarchy: job, step and CPU time', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wattle-v2-'));
  const slice = join(root ?? '', 'system.slice');
  const scope = join(slice, `${NODE}_slurmstepd.scope`);
  const groups = ['', 'job_5', 'job_5/step_batch', 'job_5/step_batch/user'].map((path) => join(scope, path));
  const controller = new FakeController();
  await controller.listen(folder);
  const madeSlice = !existsSync(slice);
  mkdirSync(scope, { recursive: true });
  const agent = new Agent(agentIn(folder, { node: NODE, cgroupRoot: root ?? '' }), {
    sampler: new Sampler({
      meters: [
        {
          kind: 'model',
          idleWatts: 0,
          wattsPerCore: 10,
          cpu: { format: 'cpu.stat', path: join(scope, 'cpu.stat') },
        },
      ],
    }),
    monotonicNs,
    seal: sealPlain,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  try {
    await agent.start();
    for (const group of groups.slice(1)) mkdirSync(group);
    const burner = spawn('sh', ['-c', 'while :; do :; done']);
    try {
      writeFileSync(join(groups.at(-1) ?? '', 'cgroup.procs'), String(burner.pid));
      await sleep(2500);
    } finally {
      const gone = new Promise((resolve) => burner.once('exit', resolve));
      burner.kill('SIGKILL');
      await gone;
    }
    await sleep(300);
    await agent.stop();
    const job = controller.rows.filter((row) => row.jobId === 5);
    const cpuMs = job.reduce((sum, row) => sum + row.cpuMs, 0);
    expect(cpuMs).toBeGreaterThan(300);
    // 10 W per busy core and nothing else on the node: the job's joules are its CPU time.
    const joules = job.reduce((sum, row) => sum + row.microjoules.package, 0) / 1e6;
    expect(joules).toBeCloseTo((cpuMs / 1000) * 10, 0);
    expect(new Set(job.flatMap((row) => row.steps ?? []).map(({ step }) => step))).toEqual(new Set(['batch']));
  } finally {
    await agent.stop();
    await controller.close();
    for (const group of [...groups].reverse()) if (existsSync(group)) rmdirSync(group);
    if (madeSlice) rmdirSync(slice);
    rmSync(folder, { recursive: true, force: true });
  }
});
