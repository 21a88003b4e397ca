/**
 * Wattle on a real Slurm: what the demo's jobs cost, and what crashes and outages must not lose.
 * One cluster serves all tests of this file; they run in order, and none depends on what another left.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  removeStaleClusters,
  repositoryRoot,
  sleep,
  startCluster,
  until,
  type Cluster,
} from '../../demo/cluster/index.js';
import { PARTITIONS } from '../../demo/cluster/slurm-conf.js';
import { controllerSocket } from '../../demo/cluster/wattle-conf.js';
import {
  JOB_KINDS,
  LEARN_IDLE_MS,
  submitAll,
  untilAllCounted,
  untilAllEnded,
  type JobKind,
  type SubmittedJob,
} from '../../demo/jobs.js';
import { isConserved } from '../../demo/picture.js';
import { JOULES_PER_KWH, type EnergyAnswer, type JobAnswer, type JobsAnswer } from '../../src/contract/index.js';

jest.setTimeout(180_000);

const run = promisify(execFile);
const asRoot = process.getuid?.() === 0 ? test : test.skip;

let cluster: Cluster;

beforeAll(async () => {
  await removeStaleClusters();
  cluster = await startCluster({ tuning: { reportInterval: '1s', factsInterval: '1s' } });
  await sleep(LEARN_IDLE_MS);
});

afterAll(async () => {
  // The cluster is not there when its start failed.
  await (cluster as Cluster | undefined)?.stop();
});

const microjoulesOf = (energy: EnergyAnswer): number => energy.package + energy.dram + energy.gpu + energy.other;
const joulesOf = (job: JobAnswer): number => microjoulesOf(job.energy) / 1e6;

function burning(name: string, seconds: number, node: string, state: JobKind['state'] = 'COMPLETED'): JobKind {
  return {
    name,
    about: '',
    options: [`--nodelist=${node}`],
    script: `timeout ${seconds} sh -c 'while :; do :; done'; true`,
    state,
    tasks: 1,
  };
}

async function submit(kind: JobKind): Promise<SubmittedJob> {
  const options = [`--job-name=${kind.name}`, ...kind.options];
  return { kind, id: await cluster.submit({ options, script: kind.script }) };
}

async function answerOf(job: SubmittedJob): Promise<JobAnswer> {
  const [answer] = await cluster.jobs([job.id]);
  if (answer === undefined) throw new Error(`job ${job.id} is unknown`);
  return answer;
}

async function untilRunning(job: SubmittedJob): Promise<void> {
  await until(async () => ((await cluster.states(job.id))[0] === 'RUNNING' ? true : undefined), {
    withinMs: 30_000,
    onTimeout: () => new Error(`${job.kind.name} does not start`),
  });
}

/** What the model says a job can have used: at least its own CPU time, at most all of its nodes. */
function bounds(job: JobAnswer): { least: number; most: number } {
  const partition = PARTITIONS.find(({ name }) => name === job.partition);
  if (partition === undefined) throw new Error(`${job.jobId} ran in ${job.partition}`);
  const dynamic = (partition.wattsPerCore * job.cpuMs) / 1000;
  // sacct counts whole seconds.
  const wholeNodes = partition.idleWatts * job.nnodes * (job.elapsedMs / 1000 + 2);
  return { least: dynamic * 0.9, most: wholeNodes + dynamic * 1.1 };
}

function expectPlausible(job: JobAnswer): void {
  const { least, most } = bounds(job);
  expect(joulesOf(job)).toBeGreaterThan(0);
  expect(joulesOf(job)).toBeGreaterThanOrEqual(least);
  expect(joulesOf(job)).toBeLessThanOrEqual(most);
  expect(job.quality).toBe('estimated');
}

describe('the demo’s jobs', () => {
  let jobs: SubmittedJob[] = [];
  let answers: readonly JobAnswer[] = [];
  const named = (name: string): JobAnswer => {
    const job = answers.find((answer) => answer.name === name);
    if (job === undefined) throw new Error(`no job ${name}`);
    return job;
  };

  beforeAll(async () => {
    jobs = await submitAll(cluster);
    await untilAllEnded(cluster, jobs);
    await untilAllCounted(cluster, jobs);
    answers = await cluster.jobs(jobs.map((job) => job.id));
  });

  test.each(JOB_KINDS.map((kind) => [kind.name, kind] as const))('%s is counted right', (name, kind) => {
    const tasks = answers.filter((answer) => answer.name === name);
    expect(tasks).toHaveLength(kind.tasks);
    for (const task of tasks) {
      // sacct names who cancelled: `CANCELLED by 0`.
      expect(task.state.split(' ')[0]).toBe(kind.state);
      expectPlausible(task);
      expect(task.coverage).toBeGreaterThan(0.9);
      expect(task.account).toBe('research');
    }
  });

  test('a job that failed keeps its exit code', () => {
    expect(named('fails').exitCode).toBe('3:0');
  });

  test('a job of one second is not lost between two ticks', () => {
    expect(joulesOf(named('one-second'))).toBeGreaterThan(1);
  });

  test('a job on two nodes has the energy of both', async () => {
    const { nodelist, nnodes } = named('two-nodes');
    expect(nnodes).toBe(2);
    expect(nodelist).toMatch(/\[\d-\d\]$/);
    const shares = await Promise.all(
      cluster.nodes.slice(2).map(async (node) => {
        const answer = (await cluster.wattle.get(
          `/v1/jobs?nodes=${node}&jobs=${named('two-nodes').jobIdRaw}`,
        )) as JobsAnswer;
        return answer.jobs.length;
      }),
    );
    expect(shares).toEqual([1, 1]);
  });

  test('array tasks have one row each, named as sacct names them', () => {
    const array = jobs.find(({ kind }) => kind.name === 'array');
    const ids = answers.filter((answer) => answer.name === 'array').map((answer) => answer.jobId);
    expect([...ids].sort()).toEqual([1, 2, 3].map((task) => `${array?.id ?? 0}_${task}`));
  });

  test('of two that share a node, the busy one pays for its work', () => {
    expect(named('shared-busy').nodelist).toBe(named('shared-lazy').nodelist);
    const [busy, lazy] = [named('shared-busy'), named('shared-lazy')];
    expect(busy.cpuMs).toBeGreaterThan(10 * lazy.cpuMs);
    expect(joulesOf(busy)).toBeGreaterThan(joulesOf(lazy));
    // Both hold half of the node, so each pays half of what it draws when idle, asleep or not.
    const halfOfIdle = (PARTITIONS[0]?.idleWatts ?? 0) / 2;
    expect(joulesOf(lazy)).toBeGreaterThan(halfOfIdle * (lazy.elapsedMs / 1000 - 1) * 0.9);
    expect(joulesOf(lazy)).toBeLessThan(halfOfIdle * (lazy.elapsedMs / 1000 + 2) * 1.2);
  });

  test('a joule weighs more where the grid burns coal', () => {
    const gramsPerKwh = (job: JobAnswer): number => (job.co2e ?? Number.NaN) / (joulesOf(job) / JOULES_PER_KWH);
    expect(named('one-core').zones).toEqual(['NO']);
    expect(named('four-cores').zones).toEqual(['PL']);
    expect(gramsPerKwh(named('four-cores'))).toBeGreaterThan(5 * gramsPerKwh(named('one-core')));
  });

  test('every joule is booked once: jobs, idle and system make up the nodes', async () => {
    const conservation = await cluster.conservation();
    expect(conservation.nodes.map(({ node }) => node).sort()).toEqual([...cluster.nodes].sort());
    expect(isConserved(conservation)).toBe(true);
    const bookedToJobs = conservation.nodes.reduce((sum, { owners }) => sum + (owners['job'] ?? 0), 0);
    const all = await cluster.jobs();
    expect(all.reduce((sum, job) => sum + microjoulesOf(job.energy), 0)).toBe(bookedToJobs);
  });

  test('scarbon prints what the API answers', async () => {
    const text = await cluster.scarbon(['-X', '--parsable2', '--noheader', '--format=JobID,JobName,State']);
    const rows = text.trim().split('\n');
    for (const answer of answers) {
      expect(
        rows.some((row) => row.startsWith(`${answer.jobId}|${answer.name}|${answer.state.split(' ')[0] ?? ''}`)),
      ).toBe(true);
    }
  });

  test('the agents took every event away', () => {
    for (const node of cluster.nodes) {
      expect(readdirSync(join(cluster.folder, 'events', node)).filter((file) => file.endsWith('.event'))).toEqual([]);
    }
  });
});

test('an agent killed in mid-job loses only the time it was away, and says so', async () => {
  const node = cluster.nodes[0] ?? '';
  const job = await submit(burning('agent-killed', 16, node));
  await untilRunning(job);
  await sleep(5_000);
  const before = await until(
    async () => {
      const answer = await answerOf(job);
      return joulesOf(answer) > 0 ? joulesOf(answer) : undefined;
    },
    { withinMs: 15_000, onTimeout: () => new Error('nothing was booked before the kill') },
  );
  await cluster.wattle.killAgent(node);
  await sleep(4_000);
  cluster.wattle.startAgent(node);
  await untilAllEnded(cluster, [job]);
  await untilAllCounted(cluster, [job]);

  const answer = await answerOf(job);
  expect(answer.state).toBe('COMPLETED');
  expect(joulesOf(answer)).toBeGreaterThan(before);
  expect(answer.coverage).toBeLessThan(0.95);
  expect(answer.coverage).toBeGreaterThan(0.3);
  expect(isConserved(await cluster.conservation())).toBe(true);
});

test('events that came while the agent was away are found when it is back', async () => {
  const node = cluster.nodes[1] ?? '';
  await cluster.wattle.killAgent(node);
  const job = await submit(burning('agent-away-at-start', 10, node));
  await untilRunning(job);
  await sleep(2_000);
  cluster.wattle.startAgent(node);
  await untilAllEnded(cluster, [job]);
  await untilAllCounted(cluster, [job]);
  const answer = await answerOf(job);
  expect(joulesOf(answer)).toBeGreaterThan(0);
  expect(answer.coverage).toBeLessThan(0.95);
});

test('a controller that is away for a minute loses nothing', async () => {
  const kinds = cluster.nodes.map((node, index) => ({
    ...burning(`controller-away-${index}`, 5, node),
    options: [`--nodelist=${node}`, `--partition=${index < 2 ? 'green' : 'coal'}`],
  }));
  await cluster.wattle.stopController();
  const backAt = Date.now() + 60_000;
  const jobs = await Promise.all(kinds.map(submit));
  await untilAllEnded(cluster, jobs);
  await sleep(Math.max(0, backAt - Date.now()));
  await cluster.wattle.startController();
  await untilAllCounted(cluster, jobs);
  for (const job of jobs) {
    const answer = await answerOf(job);
    expectPlausible(answer);
    expect(answer.coverage).toBeGreaterThan(0.9);
  }
  expect(isConserved(await cluster.conservation())).toBe(true);
});

asRoot('a user sees their own jobs, and the ledger’s totals not at all', async () => {
  const nobody = cluster.asNobody();
  const theirs = { kind: burning('theirs', 2, cluster.nodes[0] ?? ''), id: 0 };
  const options = ['--job-name=theirs', ...theirs.kind.options];
  const job = { ...theirs, id: await cluster.submit({ options, script: theirs.kind.script }, nobody) };
  await untilAllEnded(cluster, [job]);
  await untilAllCounted(cluster, [job]);

  const get = async (path: string): Promise<{ status: number; body: unknown }> => {
    const script = join(repositoryRoot(), 'test/cluster/get-as.mjs');
    const socket = controllerSocket(cluster.folder);
    const { stdout } = await run(process.execPath, [script, String(nobody.uid), String(nobody.gid), socket, path]);
    return JSON.parse(stdout) as { status: number; body: unknown };
  };
  const mine = await get('/v1/jobs');
  expect(mine.status).toBe(200);
  const { jobs } = mine.body as JobsAnswer;
  expect(jobs.map(({ name }) => name)).toEqual(['theirs']);
  expect(jobs.map(({ user }) => user)).toEqual(['nobody']);
  expect((await get('/v1/conservation')).status).toBe(403);
});
