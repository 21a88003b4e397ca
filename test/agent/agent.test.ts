import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Agent } from '../../src/agent/index.js';
import { Sampler, monotonicNs } from '../../src/sampler/index.js';
import { agentIn, FakeController, sealPlain, writeHookEvent } from './support.js';

const IDLE_WATTS = 20;
const CORE_WATTS = 10;

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

async function node() {
  const root = await mkdtemp(join(tmpdir(), 'wattle-agent-'));
  cleanUp.push(() => rm(root, { recursive: true }));
  const scope = join(root, 'cgroup/cpuacct/slurm_n1');
  await mkdir(scope, { recursive: true });
  await writeFile(join(scope, 'cpuacct.usage'), '0\n');
  const controller = new FakeController();
  await controller.listen(root);
  cleanUp.push(() => controller.close());
  const options = agentIn(root);
  const log: string[] = [];
  const start = async (): Promise<Agent> => {
    const sampler = new Sampler({
      meters: [
        {
          kind: 'model',
          idleWatts: IDLE_WATTS,
          wattsPerCore: CORE_WATTS,
          cpu: { format: 'cpuacct.usage', path: join(scope, 'cpuacct.usage') },
        },
      ],
    });
    const note = (fields: object, message: string): void => {
      log.push(`${message} ${JSON.stringify(fields)}`);
    };
    const agent = new Agent(options, {
      sampler,
      monotonicNs,
      seal: sealPlain,
      log: { info: note, warn: note, error: note },
    });
    cleanUp.push(() => agent.stop(100));
    await agent.start();
    return agent;
  };
  return { root, scope, controller, options, start, log };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i++) await sleep(50);
  if (!condition()) throw new Error(`it never happened: ${what}`);
}

describe('an agent with the model meter', () => {
  test('books a job between prolog and epilog, ships it soon after, and adds up', async () => {
    const { options, controller, start } = await node();
    const agent = await start();
    await sleep(300);
    writeHookEvent(options.eventDir, 'prolog', 7);
    await sleep(1200);
    writeHookEvent(options.eventDir, 'epilog', 7);
    await until('the end is reported', () =>
      controller.batches.some((batch) => batch.events.some((event) => event.kind === 'end')),
    );
    await agent.stop();
    const job = controller.rows.filter((row) => row.jobId === 7);
    const spanMs = job.reduce((sum, row) => sum + row.endMs - row.startMs, 0);
    expect(spanMs).toBeGreaterThan(1100);
    expect(spanMs).toBeLessThan(1600);
    expect(job.reduce((sum, row) => sum + row.coveredMs, 0)).toBeGreaterThan(spanMs - 20);
    // Nobody burns CPU time: all power is the idle power, and the job holds 2 of 4 cores or all of the unknown floor.
    expect(controller.joules('job')).toBeGreaterThan(0.4 * IDLE_WATTS);
    expect(controller.joules('job') + controller.joules('idle') + controller.joules('system')).toBeCloseTo(
      controller.nodeJoules,
      6,
    );
    expect(controller.rows.every((row) => row.quality === 'estimated')).toBe(true);
    expect(await readdir(join(options.eventDir, 'n1'))).toEqual(['bad']);
  });

  test('finds a job by its control group where no hook is installed, also with steps', async () => {
    const { scope, controller, start } = await node();
    const agent = await start();
    const job = join(scope, 'uid_0/job_9');
    await mkdir(join(job, 'step_batch'), { recursive: true });
    await writeFile(join(job, 'cpuacct.usage'), '100000000\n');
    await writeFile(join(job, 'step_batch/cpuacct.usage'), '100000000\n');
    await until('the job is reported', () => controller.rows.some((row) => row.jobId === 9 && row.cpuMs > 0));
    await rm(job, { recursive: true });
    await until('its end is reported', () =>
      controller.batches.some((batch) => batch.events.some((event) => event.kind === 'end' && event.jobId === 9)),
    );
    await agent.stop();
    const rows = controller.rows.filter((row) => row.jobId === 9);
    expect(rows.reduce((sum, row) => sum + row.cpuMs, 0)).toBe(100);
    expect(rows.flatMap((row) => row.steps ?? []).map((step) => step.step)).toContain('batch');
  });

  test('takes the events that came while it was down, and goes on with the jobs it knew', async () => {
    const { options, controller, start } = await node();
    const first = await start();
    writeHookEvent(options.eventDir, 'prolog', 1);
    await until('the job is on', () => first.activeJobs === 1);
    await until('it is reported', () => controller.rows.some((row) => row.jobId === 1));
    await first.stop();
    const before = controller.rows.length;
    writeHookEvent(options.eventDir, 'prolog', 2);
    const second = await start();
    await until('both jobs go on', () => {
      const later = controller.rows.slice(before);
      return later.some((row) => row.jobId === 1) && later.some((row) => row.jobId === 2);
    });
    expect(second.activeJobs).toBe(2);
    await second.stop();
  });

  test('a controller that is away loses nothing', async () => {
    const { options, controller, start } = await node();
    controller.answer = 503;
    const agent = await start();
    writeHookEvent(options.eventDir, 'prolog', 3);
    await sleep(1500);
    writeHookEvent(options.eventDir, 'epilog', 3);
    await until('batches wait', () => agent.spool.files >= 2);
    expect(controller.batches).toHaveLength(0);
    controller.answer = 200;
    await until('all is sent', () => agent.spool.files === 0 && controller.rows.some((row) => row.jobId === 3));
    await agent.stop();
    const spanMs = controller.batches
      .flatMap((batch) => batch.segments)
      .reduce((sum, segment) => sum + segment.endMs - segment.startMs, 0);
    expect(controller.nodeJoules).toBeCloseTo((spanMs / 1000) * IDLE_WATTS, 0);
  });

  test('damaged state and damaged events are set aside and told, and the agent runs', async () => {
    const { options, start, log } = await node();
    await mkdir(options.stateDir, { recursive: true });
    await writeFile(join(options.stateDir, 'agent.json'), '{"version":1,"jobs":[{"jobI');
    await mkdir(join(options.eventDir, 'n1'), { recursive: true });
    await writeFile(join(options.eventDir, 'n1', '00000000000000000001-1.event'), 'rubbish');
    const agent = await start();
    await until('the event is set aside', () => agent.counts.badEvents === 1);
    expect(await readdir(join(options.eventDir, 'n1/bad'))).toHaveLength(1);
    expect(await readdir(options.stateDir)).toContain('agent.json.bad');
    expect(log.join('\n')).toMatch(/saved state is damaged/);
    await agent.stop();
  });
});

test('an event spool that vanishes stops neither booking nor the end', async () => {
  const { options, controller, start, log } = await node();
  const agent = await start();
  await rm(options.eventDir, { recursive: true });
  await until('it is told', () => log.some((line) => line.startsWith('reading job events failed')));
  const told = controller.batches.length;
  await until('booking goes on', () => controller.batches.length > told + 1);
  await agent.stop();
});

test('an event of a time to come starts its job now', async () => {
  const { options, controller, start } = await node();
  const agent = await start();
  writeHookEvent(options.eventDir, 'prolog', 12, { monoNs: monotonicNs() + 3.6e12 });
  await until('the job is booked', () => controller.rows.some((row) => row.jobId === 12));
  await agent.stop();
});

test('a second agent on one state directory is refused, naming the first: it would book every joule again', async () => {
  const { start } = await node();
  const first = await start();
  await expect(start()).rejects.toMatchObject({
    code: 'agent.held',
    message: expect.stringContaining(`process ${process.pid}`) as unknown,
  });
  await first.stop();
  await (await start()).stop();
});

test('an agent that could not start can be stopped', async () => {
  const { options, start } = await node();
  await writeFile(options.stateDir, 'not a folder');
  await expect(start()).rejects.toThrow('EEXIST');
});

test('without control groups a job is booked by its processes, and says that it is an estimate', async () => {
  const { root, options, controller, start } = await node();
  await rm(join(root, 'cgroup'), { recursive: true });
  const agent = await start();
  const job = spawn('sh', ['-c', 'while :; do :; done'], { env: { SLURM_JOB_ID: '11', SLURMD_NODENAME: 'n1' } });
  cleanUp.push(() => Promise.resolve(job.kill('SIGKILL')));
  writeHookEvent(options.eventDir, 'prolog', 11);
  await until('its CPU time is booked', () => controller.rows.some((row) => row.jobId === 11 && row.cpuMs > 500));
  await agent.stop();
  const rows = controller.rows.filter((row) => row.jobId === 11);
  expect(new Set(rows.map((row) => row.quality))).toEqual(new Set(['estimated']));
  const spanMs = rows.reduce((sum, row) => sum + row.endMs - row.startMs, 0);
  expect(rows.reduce((sum, row) => sum + row.cpuMs, 0)).toBeLessThan(spanMs * 1.2);
});
