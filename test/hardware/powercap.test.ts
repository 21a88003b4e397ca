/** The sampler against emulated hardware whose energy is known. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicNs, Sampler } from '../../src/sampler/index.js';
import { startPowercapEmulator, type Fault, type PowercapEmulator, type ZoneOptions } from './powercap.js';
import { Recording } from './recording.js';

const SECOND = 1e9;
const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function sample(zones: readonly ZoneOptions[], rateHz = 20): Promise<[PowercapEmulator, Recording, Sampler]> {
  const root = mkdtempSync(join(tmpdir(), 'wattle-powercap-'));
  cleanups.push(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const emulator = await startPowercapEmulator({ root, zones, mmioTwins: true });
  cleanups.push(() => emulator.stop());
  const sampler = new Sampler({ rateHz, sysfs: root, cpuSlots: 1, meters: [{ kind: 'rapl-powercap' }] });
  sampler.start();
  cleanups.push(() => {
    sampler.stop();
  });
  const recording = new Recording(sampler);
  await recording.until(monotonicNs());
  return [emulator, recording, sampler];
}

/** Joules that a busy test machine may put on the wrong side of an edge: 50 ms at the zone's highest power. */
const edgeUj = (watts: number) => watts * 50e3;

async function wait(recording: Recording, seconds: number): Promise<void> {
  await recording.until(monotonicNs() + seconds * SECOND);
}

test('every waveform is measured, also over a wrap, and a zone shown twice counts once', async () => {
  const range = 20e9;
  const zones: ZoneOptions[] = [
    { name: 'psys', kind: 'psys', waveform: { shape: 'constant', watts: 900 } },
    { name: 'package-0', kind: 'package', waveform: { shape: 'constant', watts: 180 } },
    { name: 'package-0/core', kind: 'core', waveform: { shape: 'constant', watts: 90 } },
    {
      name: 'package-0/dram',
      kind: 'dram',
      waveform: { shape: 'random', lowWatts: 5, highWatts: 60, seed: 7 },
    },
    { name: 'package-1', kind: 'package', waveform: { shape: 'square', lowWatts: 60, highWatts: 240, periodS: 0.5 } },
    { name: 'package-2', kind: 'package', waveform: { shape: 'ramp', lowWatts: 0, highWatts: 300, periodS: 1.3 } },
    {
      name: 'package-3',
      kind: 'package',
      waveform: { shape: 'constant', watts: 250 },
      rangeUj: range,
      initialUj: range - 300e6,
    },
  ];
  const [emulator, recording, sampler] = await sample(zones);
  expect(sampler.domains.map(({ name, kind, parent }) => ({ name, kind, parent }))).toEqual([
    { name: 'psys', kind: 'psys', parent: null },
    { name: 'package-0', kind: 'package', parent: 0 },
    { name: 'package-0/core', kind: 'core', parent: 1 },
    { name: 'package-0/dram', kind: 'dram', parent: 0 },
    { name: 'package-1', kind: 'package', parent: 0 },
    { name: 'package-2', kind: 'package', parent: 0 },
    { name: 'package-3', kind: 'package', parent: 0 },
  ]);
  expect(sampler.domains.every((domain) => domain.quality === 'measured' && domain.meter === 'rapl-powercap')).toBe(
    true,
  );

  const from = await recording.tickNow();
  await wait(recording, 3);
  const to = await recording.tickNow();
  await recording.known(to.monoNs);
  for (const domain of sampler.domains) {
    const truth = emulator.truthUj(domain.name, from.monoNs, to.monoNs);
    const found = recording.energyBetween(domain.index, from.monoNs, to.monoNs);
    expect({ name: domain.name, off: Math.abs(found - truth) < edgeUj(900) }).toEqual({ name: domain.name, off: true });
    expect(recording.coverageBetween(domain.index, from.monoNs, to.monoNs)).toBeGreaterThan(0.95);
  }
  const { domains, lost } = sampler.stats();
  expect(domains.map((health) => health.wraps)).toEqual([0, 0, 0, 0, 0, 0, 1]);
  expect(domains.every((health) => health.gaps === 0 && health.resets === 0)).toBe(true);
  expect(lost).toBe(0);
});

describe.each<[Fault, { readonly energy: 'kept' | 'lost'; readonly covered: [number, number] }]>([
  // Healed within the safe time: the counter ran on meanwhile, so nothing is missing.
  ['failed-read', { energy: 'kept', covered: [0.95, 1.02] }],
  ['garbage', { energy: 'kept', covered: [0.95, 1.02] }],
  ['vanished', { energy: 'kept', covered: [0.95, 1.02] }],
  // What the hardware counted while its counter stood still is booked, its coverage is not.
  ['frozen', { energy: 'kept', covered: [0.25, 0.7] }],
])('%s for 2 s', (fault, { covered: [low, high] }) => {
  test('books true joules and tells the coverage', async () => {
    const waveform = { shape: 'square', lowWatts: 100, highWatts: 200, periodS: 0.4 } as const;
    const [emulator, recording] = await sample([{ name: 'package-0', kind: 'package', waveform }]);
    const from = await recording.tickNow();
    await wait(recording, 0.5);
    await emulator.fault('package-0', fault);
    const begunNs = monotonicNs();
    await wait(recording, 2);
    const during = recording.last();
    await emulator.fault('package-0', 'none');
    await wait(recording, 1.5);
    const to = await recording.tickNow();
    await recording.known(to.monoNs);

    // Nothing is made up while it lasts.
    const bookedUj = (during.energyUj[0] ?? 0) - (from.energyUj[0] ?? 0);
    expect(bookedUj).toBeLessThan(emulator.truthUj('package-0', from.monoNs, begunNs) + edgeUj(200));
    const truth = emulator.truthUj('package-0', from.monoNs, to.monoNs);
    expect(Math.abs(recording.energyBetween(0, from.monoNs, to.monoNs) - truth)).toBeLessThan(edgeUj(200));
    const coverage = recording.coverageBetween(0, from.monoNs, to.monoNs);
    expect(coverage).toBeGreaterThan(low);
    expect(coverage).toBeLessThan(high);
    expectNeverFalling(recording);
  });
});

test('a counter that starts again from 0 is a gap, not a wrap', async () => {
  const waveform = { shape: 'constant', watts: 150 } as const;
  const zone = { name: 'package-0', kind: 'package', waveform, initialUj: 100e9 } as const;
  const [emulator, recording, sampler] = await sample([zone]);
  const from = await recording.tickNow();
  await wait(recording, 0.5);
  await emulator.fault('package-0', 'reset');
  await wait(recording, 0.5);
  const to = await recording.tickNow();
  await recording.known(to.monoNs);

  const truth = emulator.truthUj('package-0', from.monoNs, to.monoNs);
  const found = recording.energyBetween(0, from.monoNs, to.monoNs);
  expect(found).toBeLessThanOrEqual(truth + edgeUj(150));
  expect(found).toBeGreaterThan(truth / 2);
  expect(sampler.stats().domains[0]).toMatchObject({ resets: 1, wraps: 0 });
  expectNeverFalling(recording);
});

function expectNeverFalling(recording: Recording): void {
  recording.ticks.forEach((tick, i) => {
    const before = recording.ticks[i - 1] ?? tick;
    expect(tick.energyUj[0]).toBeGreaterThanOrEqual(before.energyUj[0] ?? 0);
    expect(tick.coveredNs[0]).toBeGreaterThanOrEqual(before.coveredNs[0] ?? 0);
  });
}
