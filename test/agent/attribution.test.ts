import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { attribute, roundToTotal, type Window } from '../../src/agent/attribution.js';
import { DOMAIN_GROUPS } from '../../src/contract/index.js';

const job = (cores: number, cpuNs: number, gpus = 0) => ({ cores, gpus, cpuNs });

const window = (over: Partial<Window>): Window => ({
  durationNs: 1e9,
  microjoules: { package: 100e6, dram: 8e6, gpu: 0, other: 40e6 },
  cores: 4,
  gpus: 0,
  systemCpuNs: 0,
  idleFloorWatts: 40,
  jobs: [],
  ...over,
});

describe('rule wattle-1', () => {
  test('the idle floor goes by allocated cores, what is above it by CPU time', () => {
    const split = attribute(window({ jobs: [job(1, 3e8), job(1, 1e8)], systemCpuNs: 2e8 }));
    // floor 40 J: 10 J per core; dynamic 60 J over CPU time 3:1:2.
    expect(split.jobs[0]?.package).toBeCloseTo(10e6 + 30e6, 3);
    expect(split.jobs[1]?.package).toBeCloseTo(10e6 + 10e6, 3);
    expect(split.idle.package).toBeCloseTo(20e6, 3);
    expect(split.system.package).toBeCloseTo(20e6, 3);
  });

  test('the node remainder and dram go by allocated share', () => {
    const split = attribute(window({ jobs: [job(3, 1e8)] }));
    expect(split.jobs[0]?.other).toBeCloseTo(30e6, 3);
    expect(split.idle.other).toBeCloseTo(10e6, 3);
    expect(split.jobs[0]?.dram).toBeCloseTo(6e6, 3);
  });

  test('an empty node is idle, and what processes outside jobs burn is system', () => {
    const split = attribute(window({ systemCpuNs: 1e8 }));
    expect(split.idle.package).toBeCloseTo(40e6, 3);
    expect(split.system.package).toBeCloseTo(60e6, 3);
  });

  test('a job that sleeps still pays for the cores that it holds', () => {
    const split = attribute(window({ jobs: [job(4, 0)], microjoules: { package: 40e6, dram: 0, gpu: 0, other: 0 } }));
    expect(split.jobs[0]?.package).toBeCloseTo(40e6, 3);
    expect(split.idle.package).toBe(0);
  });

  test('without any CPU time everything goes by allocation', () => {
    const split = attribute(window({ jobs: [job(1, 0)] }));
    expect(split.jobs[0]?.package).toBeCloseTo(25e6, 3);
    expect(split.idle.package).toBeCloseTo(75e6, 3);
  });

  test('a gpu goes to the job that holds it, an unallocated one to idle', () => {
    const microjoules = { package: 0, dram: 0, gpu: 80e6, other: 0 };
    const split = attribute(window({ microjoules, gpus: 4, jobs: [job(1, 1, 1), job(1, 1, 0)] }));
    expect(split.jobs[0]?.gpu).toBeCloseTo(20e6, 3);
    expect(split.jobs[1]?.gpu).toBe(0);
    expect(split.idle.gpu).toBeCloseTo(60e6, 3);
  });

  test('oversubscribed cores are shared, and idle gets nothing', () => {
    const split = attribute(window({ jobs: [job(4, 1e8), job(4, 1e8)] }));
    expect(split.idle.package).toBe(0);
    expect(split.jobs[0]?.package).toBeCloseTo(50e6, 3);
  });

  const amount = fc.integer({ min: 0, max: 1e9 });
  const anyWindow = fc.record({
    durationNs: fc.integer({ min: 1, max: 60e9 }),
    microjoules: fc.record({ package: amount, dram: amount, gpu: amount, other: amount }),
    cores: fc.integer({ min: 1, max: 256 }),
    gpus: fc.integer({ min: 0, max: 8 }),
    systemCpuNs: fc.integer({ min: 0, max: 1e10 }),
    idleFloorWatts: fc.double({ min: 0, max: 2000, noNaN: true }),
    jobs: fc.array(
      fc.record({
        cores: fc.integer({ min: 0, max: 256 }),
        gpus: fc.integer({ min: 0, max: 8 }),
        cpuNs: fc.integer({ min: 0, max: 1e10 }),
      }),
      { maxLength: 20 },
    ),
  });

  test('law 1 and 2: shares are never negative and, rounded, add up to the node exactly', () => {
    fc.assert(
      fc.property(anyWindow, (any) => {
        const split = attribute(any);
        for (const group of DOMAIN_GROUPS) {
          const shares = [...split.jobs, split.idle, split.system].map((share) => share[group]);
          for (const share of shares) expect(share).toBeGreaterThanOrEqual(0);
          const rounded = roundToTotal(shares, any.microjoules[group]);
          expect(rounded.reduce((a, b) => a + b, 0)).toBe(any.microjoules[group]);
          rounded.forEach((value, index) => {
            expect(Math.abs(value - (shares[index] ?? 0))).toBeLessThanOrEqual(shares.length + 1);
          });
        }
      }),
    );
  });
});

test('rounding never makes a share negative, also where floating point summed to too much', () => {
  expect(roundToTotal([1, 1, 0], 1)).toEqual([0, 1, 0]);
  expect(roundToTotal([0.5, 0.5], 1)).toEqual([1, 0]);
  expect(roundToTotal([], 0)).toEqual([]);
});
