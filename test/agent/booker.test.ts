import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Booker, type BookerOptions } from '../../src/agent/booker.js';
import { IdleFloor } from '../../src/agent/idle-floor.js';
import { JobTable, newAccount } from '../../src/agent/jobs.js';
import type { HookEvent } from '../../src/agent/events.js';
import type { CoveredNs, Snapshot } from '../../src/agent/snapshot.js';
import { type DomainGroup, type Segment, batchSchema } from '../../src/contract/index.js';
import * as v from 'valibot';

const T0 = 1_700_000_000_000;
const SECOND = 1e9;

function setUp(over: Partial<BookerOptions> = {}, floorWatts = 0) {
  const jobs = new JobTable();
  const nodeCpu = { ...newAccount(null), slot: 0, sinceMonoNs: -1 };
  const slurmCpu = { ...newAccount(null), slot: 1, sinceMonoNs: -1 };
  const floor = new IdleFloor({ emptyWatts: floorWatts, lowestWatts: floorWatts });
  const options: BookerOptions = {
    intervalMs: 300_000,
    cores: 4,
    gpus: 0,
    hasNodeMeter: false,
    quality: 'measured',
    method: 'test',
    nodeCpu,
    slurmCpu,
    ...over,
  };
  return { jobs, booker: new Booker(options, jobs, floor) };
}

/** A package and a node meter with the same coverage. */
const covered = (ns: number): CoveredNs => ({ package: [ns], dram: [], gpu: [], node: [ns] });

const snapshot = (
  seconds: number,
  joules: number,
  cpuSeconds: readonly number[] = [],
  over: Partial<Snapshot> = {},
) => ({
  monoNs: seconds * SECOND,
  realMs: T0 + seconds * 1000,
  package: Math.round(joules * 1e6),
  dram: 0,
  gpu: 0,
  node: 0,
  coveredNs: covered(seconds * SECOND),
  cpuNs: cpuSeconds.map((s) => s * SECOND),
  ...over,
});

const event = (jobId: number, seconds: number, cores = 1): HookEvent => ({
  kind: 'prolog',
  monoNs: seconds * SECOND,
  realNs: 0,
  bootId: '',
  jobId,
  restartCount: 0,
  uid: undefined,
  user: undefined,
  account: undefined,
  partition: undefined,
  cores,
  gpus: 0,
  sluid: undefined,
});

const row = (segment: Segment | undefined, owner: string, jobId?: number) =>
  segment?.rows.find((each) => each.owner === owner && each.jobId === jobId);

/** The wire's own schema checks law 1: rows add up to the segment in every group. */
function check(segments: readonly Segment[]): void {
  v.parse(batchSchema, {
    version: 1,
    cluster: 'c',
    node: 'n1',
    epoch: 'e',
    sequence: 0,
    sentAtMs: 0,
    domains: [],
    segments,
    events: [],
  });
}

describe('edges', () => {
  test('a job that starts and ends between two ticks gets its part of the window', () => {
    const { jobs, booker } = setUp();
    booker.book(snapshot(10, 0, [0, 0]));
    jobs.start(event(1, 10.25), 0);
    jobs.end(1, 0, 10.75 * SECOND);
    booker.book(snapshot(11, 100, [0.4, 0.4]));
    booker.closeSegment();
    const segments = booker.takeSegments();
    check(segments);
    const job = row(segments[0], 'job', 1);
    expect(job?.microjoules.package).toBe(50e6);
    expect(job?.endMs).toBe(T0 + 10_750);
    expect(job?.startMs).toBe(T0 + 10_250);
    expect(job?.coveredMs).toBe(500);
    expect(job?.cpuMs).toBe(400);
    expect(row(segments[0], 'idle')?.microjoules.package).toBe(50e6);
  });

  test('a segment never crosses a ledger edge, and the edge is exact', () => {
    const { booker } = setUp({ intervalMs: 60_000 });
    const start = 60 - ((T0 / 1000) % 60) - 0.5;
    booker.book(snapshot(start, 0));
    booker.book(snapshot(start + 1, 10));
    booker.book(snapshot(start + 2, 20));
    booker.closeSegment();
    const segments = booker.takeSegments();
    check(segments);
    expect(segments).toHaveLength(2);
    expect(segments[0]?.endMs).toBe(segments[1]?.startMs);
    expect((segments[0]?.endMs ?? 1) % 60_000).toBe(0);
    expect(segments[0]?.microjoules.package).toBe(5e6);
    expect(segments[1]?.microjoules.package).toBe(15e6);
  });
});

describe('CPU time', () => {
  test('two jobs on one node: what is above the floor goes by CPU time, the rest of the node is system', () => {
    const { jobs, booker } = setUp({}, 40);
    booker.book(snapshot(0, 0, [0, 0, 0, 0]));
    for (const [jobId, slot] of [
      [1, 2],
      [2, 3],
    ] as const) {
      jobs.start(event(jobId, 0), 0);
      Object.assign(jobs.find(jobId)?.cpu ?? {}, { slot, bookedNs: 0, sinceMonoNs: -1 });
    }
    booker.book(snapshot(1, 100, [0.6, 0.4, 0.3, 0.1]));
    booker.closeSegment();
    const [segment] = booker.takeSegments();
    expect(row(segment, 'job', 1)?.microjoules.package).toBe(40e6);
    expect(row(segment, 'job', 2)?.microjoules.package).toBe(20e6);
    expect(row(segment, 'system')?.microjoules.package).toBe(20e6);
    expect(row(segment, 'idle')?.microjoules.package).toBe(20e6);
  });

  test("a job whose group is not there yet, or is gone, gets what Slurm's whole group burnt", () => {
    const { jobs, booker } = setUp();
    booker.book(snapshot(0, 0, [0, 0]));
    jobs.start(event(1, 0), 0);
    booker.book(snapshot(1, 100, [1, 0.8]));
    booker.closeSegment();
    const [segment] = booker.takeSegments();
    expect(row(segment, 'job', 1)?.cpuMs).toBe(800);
    expect(row(segment, 'job', 1)?.microjoules.package).toBe(80e6);
    expect(row(segment, 'system')?.microjoules.package).toBe(20e6);
  });

  test('what was booked from the whole group is not booked again at the first reading', () => {
    const { jobs, booker } = setUp();
    booker.book(snapshot(0, 0, [0, 0]));
    jobs.start(event(1, 0), 0);
    booker.book(snapshot(1, 10, [0.8, 0.8]));
    Object.assign(jobs.find(1)?.cpu ?? {}, { slot: 2, sinceMonoNs: SECOND });
    booker.book(snapshot(2, 20, [1.8, 1.8, 1.8]));
    booker.closeSegment();
    expect(row(booker.takeSegments()[0], 'job', 1)?.cpuMs).toBe(1800);
  });

  test('a job found running pays from now on, not for the hours before', () => {
    const { jobs, booker } = setUp();
    const job = jobs.found(1, 0, false);
    Object.assign(job.cpu, { slot: 2, sinceMonoNs: -1 });
    booker.book(snapshot(0, 0, [0, 9000, 9000]));
    booker.book(snapshot(1, 10, [1, 9001, 9001]));
    booker.book(snapshot(2, 20, [2, 9002, 9002]));
    booker.closeSegment();
    expect(row(booker.takeSegments()[0], 'job', 1)?.cpuMs).toBe(2000);
  });

  test("a job's group that goes between two steps and comes back counts from zero again", () => {
    const { jobs, booker } = setUp();
    booker.book(snapshot(0, 0, [0, 0, 0]));
    jobs.start(event(1, 0), 0);
    Object.assign(jobs.find(1)?.cpu ?? {}, { slot: 2, sinceMonoNs: -1 });
    booker.book(snapshot(1, 10, [9, 9, 9]));
    booker.book(snapshot(2, 20, [9, 9, NaN]));
    booker.book(snapshot(3, 30, [10, 10, NaN]));
    booker.book(snapshot(4, 40, [11, 11, 2]));
    booker.book(snapshot(5, 50, [12, 12, 3]));
    booker.closeSegment();
    expect(row(booker.takeSegments()[0], 'job', 1)?.cpuMs).toBe(12_000);
  });

  test("the host's own counter that falls back is not taken for a new one", () => {
    const { booker } = setUp();
    booker.book(snapshot(0, 0, [9000]));
    booker.book(snapshot(1, 10, [8999.99]));
    booker.closeSegment();
    expect(row(booker.takeSegments()[0], 'system')?.cpuMs).toBe(0);
  });

  test('the only step of a job has all of it, without a reading of its own', () => {
    const { jobs, booker } = setUp();
    booker.book(snapshot(0, 0, [0, 0, 0]));
    jobs.start(event(1, 0), 0);
    const job = jobs.find(1);
    Object.assign(job?.cpu ?? {}, { slot: 2, sinceMonoNs: -1 });
    if (job) job.onlyStep = 'batch';
    booker.book(snapshot(1, 10, [1, 1, 1]));
    booker.closeSegment();
    const found = row(booker.takeSegments()[0], 'job', 1);
    expect(found?.steps).toEqual([{ step: 'batch', microjoules: found?.microjoules, cpuMs: 1000 }]);
  });

  test('steps share the job by CPU time, exactly', () => {
    const { jobs, booker } = setUp();
    booker.book(snapshot(0, 0, [0, 0, 0, 0, 0]));
    jobs.start(event(1, 0), 0);
    const job = jobs.find(1);
    Object.assign(job?.cpu ?? {}, { slot: 2, sinceMonoNs: -1 });
    job?.steps.set('batch', { ...newAccount(0), slot: 3, sinceMonoNs: -1 });
    job?.steps.set('0', { ...newAccount(0), slot: 4, sinceMonoNs: -1 });
    booker.book(snapshot(1, 0.000007, [1, 1, 1, 1 / 3, 2 / 3]));
    booker.closeSegment();
    const steps = row(booker.takeSegments()[0], 'job', 1)?.steps;
    expect(steps?.reduce((sum, step) => sum + step.microjoules.package, 0)).toBe(7);
  });
});

describe('clocks and gaps', () => {
  test('a gap in coverage reaches the rows', () => {
    const { jobs, booker } = setUp();
    booker.book(snapshot(0, 0, [], { coveredNs: covered(0) }));
    jobs.start(event(1, 0), 0);
    booker.book(snapshot(10, 100, [], { coveredNs: covered(4 * SECOND) }));
    booker.closeSegment();
    const [segment] = booker.takeSegments();
    expect(segment?.coveredMs).toBe(4000);
    expect(row(segment, 'job', 1)?.coveredMs).toBe(4000);
  });

  test.each([3_600_000, -3_600_000])('a step of the wall clock by %i ms makes a new segment and no joule', (stepMs) => {
    const { booker } = setUp();
    booker.book(snapshot(0, 0));
    booker.book(snapshot(1, 10));
    booker.book(snapshot(2, 20, [], { realMs: T0 + 2000 + stepMs }));
    booker.book(snapshot(3, 30, [], { realMs: T0 + 3000 + stepMs }));
    booker.closeSegment();
    const segments = booker.takeSegments();
    check(segments);
    expect(segments.map((segment) => segment.microjoules.package)).toEqual([10e6, 20e6]);
    expect(segments[1]?.startMs).toBe(T0 + 1000 + stepMs);
  });

  test('a node meter that lags behind the inner domains is made up for, never below zero', () => {
    const { booker } = setUp({ hasNodeMeter: true });
    booker.book(snapshot(0, 0));
    booker.book(snapshot(1, 10, [], { node: 4e6 }));
    booker.book(snapshot(2, 20, [], { node: 30e6 }));
    booker.closeSegment();
    const [segment] = booker.takeSegments();
    expect(segment?.microjoules.other).toBe(10e6);
  });
});

test('what a node meter did not see is no debt: the remainder is back as soon as the meter is', () => {
  const { booker } = setUp({ hasNodeMeter: true });
  const at = (seconds: number, node: number, nodeSeconds: number): Snapshot =>
    snapshot(seconds, 200 * seconds, [], {
      node: node * 1e6,
      coveredNs: { ...covered(seconds * SECOND), node: [nodeSeconds * SECOND] },
    });
  booker.book(at(0, 0, 0));
  booker.book(at(10, 3000, 10));
  // The management controller is out of reach for an hour.
  for (let seconds = 20; seconds <= 3610; seconds += 10) booker.book(at(seconds, 3000, 10));
  booker.book(at(3620, 6000, 20));
  booker.closeSegment();
  const segments = booker.takeSegments();
  check(segments);
  const other = segments.map((segment) => segment.microjoules.other / 1e6);
  expect(other.reduce((sum, joules) => sum + joules, 0)).toBe(2000);
  expect(segments.at(-1)?.microjoules.other).toBe(1000e6);
  expect(segments.slice(2, -2).every((segment) => segment.coveredMs === 0)).toBe(true);
});

test('a gap of one domain is not hidden by an older one of another', () => {
  const { booker } = setUp({ hasNodeMeter: true });
  // The node meter missed the first minute; later the package counter is silent for ten seconds.
  const at = (seconds: number, packageSeconds: number): Snapshot =>
    snapshot(seconds, 100 * packageSeconds, [], {
      node: 300e6 * seconds,
      coveredNs: { package: [packageSeconds * SECOND], dram: [], gpu: [], node: [(seconds - 60) * SECOND] },
    });
  booker.book(at(100, 100));
  booker.book(at(110, 100));
  booker.closeSegment();
  expect(booker.takeSegments().map((segment) => segment.coveredMs)).toEqual([0]);
});

test('law 1 and 2 over any course of jobs, power, gaps and clock steps', () => {
  const action = fc.record({
    advance: fc.integer({ min: 1, max: 5000 }),
    package: fc.integer({ min: 0, max: 1_000_000 }),
    dram: fc.integer({ min: 0, max: 1_000_000 }),
    node: fc.integer({ min: 0, max: 3_000_000 }),
    covered: fc.double({ min: 0, max: 1, noNaN: true }),
    nodeCovered: fc.double({ min: 0, max: 1, noNaN: true }),
    clockStep: fc.oneof(
      { weight: 9, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: -1e7, max: 1e7 }) },
    ),
    start: fc.option(
      fc.record({ jobId: fc.integer({ min: 1, max: 5 }), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
    ),
    end: fc.option(
      fc.record({ jobId: fc.integer({ min: 1, max: 5 }), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
    ),
    close: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const { jobs, booker } = setUp({ hasNodeMeter: true, intervalMs: 10_000 }, 10);
      let now = { ...snapshot(1, 0), realMs: T0 };
      const first = now;
      booker.book(now);
      const segments: Segment[] = [];
      for (const each of actions) {
        const more = (before: readonly number[], share: number): number[] =>
          before.map((ns) => ns + Math.floor(share * each.advance * 1e6));
        const at = (share: number): number => now.monoNs + Math.floor(share * each.advance * 1e6);
        if (each.start) jobs.start({ ...event(each.start.jobId, 0), monoNs: at(each.start.at) }, now.monoNs);
        if (each.end) jobs.end(each.end.jobId, 0, at(each.end.at));
        now = {
          ...now,
          monoNs: now.monoNs + each.advance * 1e6,
          realMs: now.realMs + each.advance + each.clockStep,
          package: now.package + each.package,
          dram: now.dram + each.dram,
          node: now.node + each.node,
          coveredNs: {
            ...now.coveredNs,
            package: more(now.coveredNs.package, each.covered),
            node: more(now.coveredNs.node, each.nodeCovered),
          },
        };
        booker.book(now);
        jobs.retire(now.monoNs);
        if (each.close) booker.closeSegment();
        segments.push(...booker.takeSegments());
      }
      booker.closeSegment();
      segments.push(...booker.takeSegments());
      check(segments);
      const sum = (group: DomainGroup): number =>
        segments.reduce((total, segment) => total + segment.microjoules[group], 0);
      expect(sum('package')).toBe(now.package - first.package);
      expect(sum('dram')).toBe(now.dram - first.dram);
    }),
  );
});
