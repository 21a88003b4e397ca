import { expect, test } from '@jest/globals';
import { monotonicNs as nativeNs } from '../../../src/sampler/index.js';
import { holdMs, makeSource, monotonicNs } from '../../../src/sampler/sources/index.js';

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
  expect(holdMs(bmc)).toBe(10_000);
  expect(holdMs({ ...bmc, periodMs: 10_000 })).toBe(30_000);
  expect(holdMs(stream)).toBe(1000);
  expect(holdMs({ ...stream, from: { url: 'http://box.test' }, pollMs: 60_000 })).toBe(180_000);
});
