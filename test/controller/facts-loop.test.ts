import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { FactsLoop } from '../../src/controller/facts-loop.js';
import { Metrics } from '../../src/controller/metrics.js';
import type { FactsSource } from '../../src/controller/ports.js';
import type { JobFacts } from '../../src/slurm/index.js';
import { FakeLedger, silent } from './support.js';

const INTERVAL_MS = 30_000;
const START = Date.UTC(2026, 9, 5);

function job(jobIdRaw: number, endMs: number | null, nodelist = 'n[1-2]'): JobFacts {
  const state = endMs === null ? 'RUNNING' : 'COMPLETED';
  const text = { name: '', user: '', account: '', partition: '', qos: '', exitCode: '' };
  const numbers = { restartCount: 0, uid: null, submitMs: 0, startMs: 0, elapsedMs: 0, ncpus: 1, nnodes: 2 };
  return { jobId: String(jobIdRaw), jobIdRaw, state, endMs, nodelist, steps: [], ...text, ...numbers };
}

describe('the facts loop', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: START });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  function setUp() {
    const ledger = new FakeLedger();
    const jobs = jest.fn<FactsSource['jobs']>(() => Promise.resolve([]));
    const loop = new FactsLoop({
      source: { jobs },
      ledger,
      intervalMs: INTERVAL_MS,
      metrics: new Metrics(),
      log: silent,
    });
    // Begun by the first step of time, when the test has said what Slurm answers.
    let done: Promise<void> | undefined;
    const stop = async () => {
      loop.stop();
      await jest.advanceTimersByTimeAsync(0);
      await done;
    };
    const after = (ms: number) => {
      done ??= loop.run();
      return jest.advanceTimersByTimeAsync(ms);
    };
    return { ledger, jobs, loop, stop, after };
  }

  test('asks at once, then every interval, each time from a little before the last', async () => {
    const { jobs, ledger, stop, after } = setUp();
    jobs.mockResolvedValue([job(1, 5)]);
    await after(0);
    await after(2 * INTERVAL_MS);
    expect(jobs.mock.calls.map(([query]) => START - (query.sinceMs ?? 0))).toEqual([
      86_700_000,
      300_000,
      300_000 - INTERVAL_MS,
    ]);
    expect(ledger.recordFacts.mock.calls[0]?.[0]).toEqual([{ ...job(1, 5), nodes: ['n1', 'n2'] }]);
    await stop();
  });

  test('asks by number for jobs that agents know and the pass did not bring', async () => {
    const { jobs, ledger, stop, after } = setUp();
    jobs.mockResolvedValueOnce([job(8, null)]);
    ledger.unresolvedJobs.mockResolvedValueOnce([9, 8]);
    await after(0);
    expect(jobs.mock.calls[1]?.[0]).toEqual({ jobIds: [9], sinceMs: 0 });
    await stop();
  });

  test('asks soon for a job that ended, and again until Slurm says so too', async () => {
    const { jobs, loop, stop, after } = setUp();
    await after(1);
    jobs.mockClear();
    jobs.mockResolvedValueOnce([job(7, null)]).mockResolvedValueOnce([job(7, 5)]);
    loop.nudge([7]);
    await after(499);
    expect(jobs).not.toHaveBeenCalled();
    await after(1);
    expect(jobs.mock.calls).toEqual([[{ jobIds: [7], sinceMs: 0 }]]);
    await after(1_000);
    expect(jobs).toHaveBeenCalledTimes(2);
    await after(10_000);
    expect(jobs).toHaveBeenCalledTimes(2);
    await stop();
  });

  test('does not ask for ever for a job that Slurm does not know', async () => {
    const { jobs, loop, stop, after } = setUp();
    await after(1);
    loop.nudge([7]);
    await after(10 * INTERVAL_MS);
    const quick = jobs.mock.calls.filter(([query]) => query.jobIds !== undefined);
    expect(quick).toHaveLength(6);
    await stop();
  });

  test('never runs two commands at once, however slow Slurm is', async () => {
    const { jobs, loop, stop, after } = setUp();
    let running = 0;
    let most = 0;
    jobs.mockImplementation(async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 4 * INTERVAL_MS));
      running--;
      return [];
    });
    for (let i = 0; i < 10; i++) {
      loop.nudge([i]);
      await after(INTERVAL_MS);
    }
    expect(most).toBe(1);
    expect(jobs.mock.calls.length).toBeGreaterThan(1);
    loop.stop();
    await after(8 * INTERVAL_MS);
    await stop();
  });

  test('backs off while Slurm fails, and recovers', async () => {
    const { jobs, loop, stop, after } = setUp();
    jobs.mockRejectedValue(new Error('slurmdbd is away'));
    await after(0);
    loop.nudge([1]);
    await after(INTERVAL_MS - 1);
    expect(jobs).toHaveBeenCalledTimes(1);
    await after(1);
    expect(jobs).toHaveBeenCalledTimes(2);
    await after(2 * INTERVAL_MS - 1);
    expect(jobs).toHaveBeenCalledTimes(2);
    jobs.mockResolvedValue([]);
    await after(1);
    await after(INTERVAL_MS);
    expect(jobs.mock.calls.filter(([query]) => query.jobIds === undefined)).toHaveLength(4);
    await stop();
  });

  test('an unreadable node list costs the nodes, not the job', async () => {
    const { jobs, ledger, stop, after } = setUp();
    jobs.mockResolvedValueOnce([job(1, 5, 'n[1-')]);
    await after(0);
    expect(ledger.recordFacts.mock.calls[0]?.[0]).toMatchObject([{ jobIdRaw: 1, nodes: [] }]);
    await stop();
  });
});
