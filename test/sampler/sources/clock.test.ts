import { expect, test } from '@jest/globals';
import { monotonicNs as nativeNs } from '../../../src/sampler/index.js';
import { Condition } from '../../../src/sampler/sources/condition.js';
import { holdOf, makeSource, monotonicNs } from '../../../src/sampler/sources/index.js';

test('sources and the sampling thread have one clock, though one reads it through Node and the other by itself', () => {
  const [before, between, after] = [nativeNs(), monotonicNs(), nativeNs()];
  // A double holds CLOCK_MONOTONIC to the ns for 104 days after boot, then to a few.
  expect(between).toBeGreaterThanOrEqual(before - 1000);
  expect(between).toBeLessThanOrEqual(after + 1000);
});

test('a source is made for each kind, and says how long its readings stand', () => {
  const bmc = { kind: 'redfish', url: 'https://bmc.test', credentialsFile: '/nowhere' } as const;
  const stream = { kind: 'wattmeter', format: 'omegawatt', channels: [1], from: { command: ['meter'] } } as const;
  for (const options of [bmc, stream]) expect(makeSource(options).problem).toMatch(/no reading has come yet/);
  expect(holdOf(bmc)).toEqual({ watts: 10_000, joules: 300_000 });
  expect(holdOf({ ...bmc, periodMs: 10_000 }).watts).toBe(30_000);
  expect(holdOf({ ...bmc, holdMs: 3000 })).toEqual({ watts: 3000, joules: 3000 });
  expect(holdOf(stream)).toEqual({ watts: 10_000, joules: 300_000 });
  expect(holdOf({ ...stream, holdMs: 60_000 })).toEqual({ watts: 60_000, joules: 60_000 });
  const document = { ...stream, from: { url: 'http://box.test' } } as const;
  // Its rows are of 1 s to 10 min, whatever it is fetched.
  expect(holdOf(document).watts).toBe(900_000);
  // Without a time in its rows it shows the present.
  expect(holdOf({ ...document, format: 'csv', pollMs: 60_000 }).watts).toBe(180_000);
});

test('readings that come further apart than they stand are told, with what to do', () => {
  const condition = new Condition(60_000, { watts: 10_000, joules: 300_000 });
  const say = (unit: 'watts' | 'joules', atS: number): string | null => {
    condition.good({ unit, monoNs: atS * 1e9 });
    return condition.problem;
  };
  expect([say('watts', 1), say('watts', 3), say('watts', 23), say('watts', 25)]).toEqual([null, null, null, null]);
  expect(say('watts', 45)).toBeNull();
  expect(say('watts', 65)).toMatch(/come 20 s apart, longer than hold = "10s".*: raise hold/);
  expect(say('watts', 67)).toBeNull();
  expect([say('joules', 167), say('joules', 267), say('joules', 367)]).toEqual([null, null, null]);
});
