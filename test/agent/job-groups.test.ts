import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { SlurmCgroups } from '../../src/agent/cgroups.js';
import { JobGroups } from '../../src/agent/job-groups.js';
import { JobTable, newAccount } from '../../src/agent/jobs.js';
import { JobProcesses } from '../../src/agent/processes.js';
import { WattleError } from '../../src/contract/index.js';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

/** Slots as the sampler gives them out. */
class FakeSlots {
  readonly used = new Map<number, string>();
  constructor(readonly capacity: number) {}
  watchCpu(source: { format: string; path?: string }): number {
    for (let slot = 0; slot < this.capacity; slot++) {
      if (this.used.has(slot)) continue;
      this.used.set(slot, source.path ?? source.format);
      return slot;
    }
    throw new WattleError('sampler.cpu-slots', 'all slots are in use', 'free some');
  }
  unwatchCpu(slot: number): void {
    if (!this.used.delete(slot)) throw new RangeError(`slot ${slot} is not in use`);
  }
  pushCpu(slot: number): void {
    if (this.used.get(slot) !== 'pushed') throw new RangeError(`slot ${slot} takes no push`);
  }
}

async function node(capacity = 100) {
  const root = await mkdtemp(join(tmpdir(), 'wattle-groups-'));
  cleanUp.push(() => rm(root, { recursive: true }));
  const scope = join(root, 'cpuacct/slurm_n1');
  const procfs = join(root, 'proc');
  await mkdir(procfs);
  const jobs = new JobTable();
  const slots = new FakeSlots(capacity);
  const cgroups = new SlurmCgroups(root, 'n1', procfs);
  const groups = new JobGroups(cgroups, new JobProcesses(procfs, 'n1'), jobs, slots, () => undefined);
  cleanUp.push(() => {
    groups.close();
  });
  let now = 0;
  return {
    root,
    scope,
    jobs,
    slots,
    groups,
    make: (path: string) => mkdir(join(scope, path), { recursive: true }),
    remove: (path: string) => rm(join(scope, path), { recursive: true }),
    /** A process of the job, as /proc shows it. */
    run: async (pid: number, jobId: number): Promise<void> => {
      await mkdir(join(procfs, String(pid)), { recursive: true });
      const fields = Array.from({ length: 30 }, () => '1').join(' ');
      await writeFile(join(procfs, String(pid), 'stat'), `${pid} (a) ${fields}`);
      await writeFile(join(procfs, String(pid), 'environ'), `SLURM_JOB_ID=${jobId}\0`);
    },
    kill: (pid: number) => rm(join(procfs, String(pid)), { recursive: true }),
    /** One look with everything before it booked. */
    look: () => groups.refresh(++now, now - 0.5),
    /** The job's end, booked. */
    over: (jobId: number): void => {
      jobs.end(jobId, 0, ++now);
      for (const job of jobs.retire(++now)) groups.release(job);
    },
  };
}

test('thousands of steps, one after the other, need few slots', async () => {
  const { make, remove, look, slots } = await node(10);
  await make('uid_0/job_7/step_batch');
  for (let step = 0; step < 50; step++) {
    await make(`uid_0/job_7/step_${step}`);
    await look();
    await remove(`uid_0/job_7/step_${step}`);
  }
  await look();
  await look();
  expect([...slots.used.values()].map((path) => path.split('/').slice(-2)[0])).toEqual(['job_7', 'step_batch']);
});

test('the only step of a job needs no slot; with a second one both are read, and nothing is booked twice', async () => {
  const { make, look, jobs, slots } = await node();
  await look();
  await make('uid_0/job_7/step_batch');
  await look();
  expect(jobs.find(7)?.onlyStep).toBe('batch');
  expect(slots.used.size).toBe(1);
  await make('uid_0/job_7/step_0');
  await look();
  const job = jobs.find(7);
  expect(job?.onlyStep).toBeNull();
  // The batch step's past is booked with the job; the new step begins at zero.
  expect(job?.steps.get('batch')?.bookedNs).toBeNull();
  expect(job?.steps.get('0')?.bookedNs).toBe(0);
});

test('more jobs than slots: all are found, those without a slot share what is left', async () => {
  const { make, look, jobs } = await node(3);
  for (let job = 1; job <= 5; job++) await make(`uid_0/job_${job}`);
  await look();
  expect(jobs.active).toHaveLength(5);
  expect(jobs.active.filter((job) => job.cpu.slot === null)).toHaveLength(2);
});

test("a group that outlives its job's epilog is no new job, and its slots are free", async () => {
  const { make, look, over, jobs, slots } = await node();
  await make('uid_0/job_7/step_batch');
  await look();
  jobs.end(7, 0, 1);
  expect((await look()).found).toEqual([]);
  over(7);
  expect((await look()).found).toEqual([]);
  expect(slots.used.size).toBe(0);
});

test("a process that outlives its job's epilog is no new job", async () => {
  const { run, kill, look, over } = await node();
  await run(100, 7);
  expect((await look()).found).toHaveLength(1);
  over(7);
  expect((await look()).found).toEqual([]);
  await kill(100);
  await look();
  await run(101, 7);
  expect((await look()).found).toHaveLength(1);
});

test('a job that no event announced and whose group went while the agent was down ends', async () => {
  const { make, look, jobs } = await node();
  await make('uid_0');
  jobs.restore({ jobId: 7, restartCount: 0, cores: 1, gpus: 0, source: 'cgroup' }, 0);
  expect((await look()).vanished.map((job) => job.jobId)).toEqual([7]);
});

test('a job found by its group ends also where the folder of all jobs goes with it', async () => {
  const { make, look, scope } = await node();
  await make('uid_0/job_7');
  await look();
  await rm(scope, { recursive: true });
  expect((await look()).vanished.map((job) => job.jobId)).toEqual([7]);
});

test("a job seen by its processes before its group is read from the group, and a group's slot takes no push", async () => {
  const { make, run, look, scope, jobs, slots } = await node();
  await run(100, 7);
  await look();
  await make('uid_0/job_7');
  await look();
  expect([...slots.used.values()]).toEqual([join(scope, 'uid_0/job_7/cpuacct.usage')]);
  expect(jobs.find(7)?.byProcesses).toBe(false);
  await rm(scope, { recursive: true });
  await expect(look()).resolves.toBeDefined();
});

test('the CPU time of all jobs is read where Slurm makes the folder, also after the start', async () => {
  const { root, look, groups, slots } = await node();
  groups.attachScope(newAccount(null), 0);
  await mkdir(join(root, 'cpuacct/slurm/uid_0/job_7'), { recursive: true });
  await look();
  expect([...slots.used.values()]).toContain(join(root, 'cpuacct/slurm/cpuacct.usage'));
});

test('every slot is given back at the end, for the agent that a reload puts in place', async () => {
  const { groups, slots, make, look } = await node();
  await make('uid_0/job_7/step_0');
  await make('uid_0/job_7/step_1');
  groups.attachScope(newAccount(null), 0);
  groups.attach(newAccount(null), { format: 'pushed' }, 0);
  await look();
  expect(slots.used.size).toBeGreaterThan(2);
  groups.close();
  expect([...slots.used]).toEqual([]);
});
