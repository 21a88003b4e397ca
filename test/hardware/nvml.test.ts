/** The sampler against emulated GPUs whose energy is known, through a real library of their driver's name. */
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicNs, probeMeters, Sampler, type MeterOptions } from '../../src/sampler/index.js';
import { buildNvmlLibrary, startNvmlEmulator, type NvmlEmulator, type NvmlFault, type NvmlGpu } from './nvml.js';

const SECOND = 1e9;
const cleanups: (() => void)[] = [];

beforeAll(async () => {
  await buildNvmlLibrary();
}, 120_000);

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** Energy and coverage of each domain at one tick, and up to when each is known. */
interface Seen {
  readonly monoNs: number;
  readonly energyUj: readonly number[];
  readonly coveredNs: readonly number[];
  readonly knownAtNs: readonly number[];
}

class Watch {
  readonly seen: Seen[] = [];

  constructor(readonly sampler: Sampler) {}

  domain(name: string): number {
    return this.sampler.domains.findIndex((domain) => domain.name === name);
  }

  /** Samples until `done` holds for the latest tick, and returns that tick. */
  async until(done: (last: Seen) => boolean): Promise<Seen> {
    for (;;) {
      const last = this.seen.at(-1);
      if (last !== undefined && done(last)) return last;
      await new Promise((resolve) => setTimeout(resolve, 20));
      this.sampler.drain((tick) => {
        const each = (value: (domain: number) => number) => this.sampler.domains.map(({ index }) => value(index));
        this.seen.push({
          monoNs: tick.monoNs,
          energyUj: each((domain) => tick.energyUj(domain)),
          coveredNs: each((domain) => tick.coveredNs(domain)),
          knownAtNs: each((domain) => tick.knownAtNs(domain)),
        });
      });
    }
  }

  /** Until every domain is known to have passed an instant. */
  async allKnownAfter(monoNs: number): Promise<Seen> {
    return this.until((last) => last.knownAtNs.every((known) => known > monoNs));
  }

  async wait(seconds: number): Promise<Seen> {
    const end = monotonicNs() + seconds * SECOND;
    return this.until((last) => last.monoNs > end);
  }
}

async function emulate(gpus: readonly NvmlGpu[]): Promise<NvmlEmulator> {
  const folder = mkdtempSync(join(tmpdir(), 'wattle-nvml-'));
  cleanups.push(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return startNvmlEmulator({ folder, gpus });
}

async function watch(
  gpus: readonly NvmlGpu[],
  others: readonly MeterOptions[] = [],
): Promise<[NvmlEmulator, Watch, Sampler]> {
  const emulator = await emulate(gpus);
  const meters: MeterOptions[] = [...others, { kind: 'nvml', library: emulator.library, rateHz: 20 }];
  const sampler = new Sampler({ rateHz: 20, cpuSlots: 1, meters });
  cleanups.push(() => {
    sampler.stop();
  });
  sampler.start();
  const watched = new Watch(sampler);
  await watched.allKnownAfter(0);
  return [emulator, watched, sampler];
}

/**
 * What a value may lack or have too much against its time: the counter's last period, and half of the longest call
 * whose value is still taken, on a busy test machine.
 */
const edgeUj = (watts: number): number => watts * (0.1 + 0.25) * 1e6;

/** Booked minus true energy of a GPU between two ticks, over the time in which its energy is known. */
function errorUj(emulator: NvmlEmulator, watched: Watch, uuid: string, from: Seen, to: Seen, suffix = ''): number {
  const domain = watched.domain(`gpu-${uuid.replace('GPU-', '')}${suffix}`);
  const booked = (to.energyUj[domain] ?? 0) - (from.energyUj[domain] ?? 0);
  return booked - emulator.truthUj(uuid, from.knownAtNs[domain] ?? 0, to.knownAtNs[domain] ?? 0);
}

function coverage(domain: number, from: Seen, to: Seen): number {
  return ((to.coveredNs[domain] ?? 0) - (from.coveredNs[domain] ?? 0)) / (to.monoNs - from.monoNs);
}

function expectNeverFalling(watched: Watch): void {
  watched.seen.forEach((tick, i) => {
    tick.energyUj.forEach((energy, domain) => {
      expect(energy).toBeGreaterThanOrEqual(watched.seen[i - 1]?.energyUj[domain] ?? 0);
    });
  });
}

const constant = (watts: number) => ({ shape: 'constant', watts }) as const;
const A = 'GPU-0a3f1c77-1111-2222-3333-444455556666';
const B = 'GPU-bbbbbbbb-1111-2222-3333-444455556666';

test('every waveform is measured by the counter, whatever its period, and by both powers beside it', async () => {
  const gpus: NvmlGpu[] = [
    { uuid: 'GPU-1', waveform: constant(350) },
    { uuid: 'GPU-2', waveform: { shape: 'square', lowWatts: 100, highWatts: 700, periodS: 0.73 }, counterMs: 20 },
    { uuid: 'GPU-3', waveform: { shape: 'ramp', lowWatts: 60, highWatts: 600, periodS: 1.3 } },
    { uuid: 'GPU-4', waveform: { shape: 'random', lowWatts: 80, highWatts: 650, seed: 5 }, counterMs: 50 },
  ];
  const [emulator, watched, sampler] = await watch(gpus);
  const from = await watched.wait(0.3);
  const to = await watched.wait(3);
  expect(sampler.domains).toHaveLength(12);
  for (const { uuid } of gpus) {
    const main = watched.domain(uuid.toLowerCase());
    expect(sampler.domains[main]).toMatchObject({ kind: 'gpu', meter: 'nvml', quality: 'measured', witnessOf: null });
    expect(Math.abs(errorUj(emulator, watched, uuid, from, to))).toBeLessThan(2 * edgeUj(700));
    expect(coverage(main, from, to)).toBeGreaterThan(0.7);
    for (const suffix of ['/instant', '/average']) {
      const witness = sampler.domains[watched.domain(`${uuid.toLowerCase()}${suffix}`)];
      expect(witness).toMatchObject({ kind: 'gpu', witnessOf: main });
    }
  }
  // At constant power all three agree.
  for (const suffix of ['/instant', '/average']) {
    expect(Math.abs(errorUj(emulator, watched, 'GPU-1', from, to, suffix))).toBeLessThan(2 * edgeUj(350));
  }
  expect(sampler.stats().domains.every(({ resets }) => resets === 0)).toBe(true);
  expectNeverFalling(watched);
});

test('a GPU without a counter is measured by its power', async () => {
  const old: NvmlGpu = { uuid: A, waveform: constant(180), counterMs: 0, average: false, name: 'Tesla P100' };
  const [emulator, watched, sampler] = await watch([old]);
  const from = await watched.wait(0.3);
  const to = await watched.wait(2);
  expect(sampler.domains.map(({ witnessOf }) => witnessOf)).toEqual([null, 0]);
  expect(Math.abs(errorUj(emulator, watched, A, from, to))).toBeLessThan(2 * edgeUj(180));
});

describe.each<[NvmlFault, boolean]>([
  ['stalled', true],
  ['backwards', false],
  ['reset', false],
  ['lost', true],
])('a counter that is %s', (fault, lasts) => {
  test('never gives a joule too many, and no other GPU suffers', async () => {
    const gpus = [A, B].map((uuid) => ({ uuid, waveform: constant(400), initialMj: 5_000_000 }));
    const [emulator, watched, sampler] = await watch(gpus);
    const from = await watched.wait(0.3);
    emulator.fault(A, fault);
    const begun = await watched.wait(lasts ? 3 : 0.5);
    if (fault === 'lost') expect(sampler.gpus().map(({ lost }) => lost)).toEqual([true, false]);
    emulator.fault(A, 'none');
    const healedNs = begun.monoNs;
    const to = await watched.allKnownAfter(healedNs + 0.5 * SECOND);

    expect(errorUj(emulator, watched, A, from, to)).toBeLessThan(2 * edgeUj(400));
    expect(Math.abs(errorUj(emulator, watched, B, from, to))).toBeLessThan(2 * edgeUj(400));
    const main = watched.domain(A.replace('GPU-', 'gpu-'));
    if (lasts) expect(coverage(main, from, to)).toBeLessThan(0.9);
    else expect(sampler.stats().domains[main]?.resets).toBeGreaterThan(0);
    expect(coverage(watched.domain(B.replace('GPU-', 'gpu-')), from, to)).toBeGreaterThan(0.7);
    expectNeverFalling(watched);
    if (fault === 'lost') expect(sampler.gpus().map(({ lost }) => lost)).toEqual([false, false]);
  });
});

test('powers that are garbage are no power, and leave the counter alone', async () => {
  const [emulator, watched, sampler] = await watch([{ uuid: A, waveform: constant(400) }]);
  const from = await watched.wait(0.3);
  emulator.fault(A, 'garbage');
  const to = await watched.wait(1.5);
  expect(Math.abs(errorUj(emulator, watched, A, from, to))).toBeLessThan(2 * edgeUj(400));
  expect(sampler.stats().domains[1]?.failedReads).toBeGreaterThan(0);
  expect(errorUj(emulator, watched, A, from, to, '/instant')).toBeLessThan(edgeUj(400));
});

test('after a reload of the driver the same GPUs are read on, and the time between is missing', async () => {
  const gpus = [A, B].map((uuid) => ({ uuid, waveform: constant(300) }));
  const [emulator, watched, sampler] = await watch(gpus);
  const from = await watched.wait(0.3);
  emulator.unloadDriver();
  await watched.until(() => sampler.gpus().every(({ lost }) => lost));
  await watched.wait(1);
  emulator.loadDriver();
  const to = await watched.allKnownAfter(monotonicNs() + 0.5 * SECOND);
  for (const { uuid } of gpus) {
    expect(errorUj(emulator, watched, uuid, from, to)).toBeLessThan(2 * edgeUj(300));
    const main = watched.domain(uuid.replace('GPU-', 'gpu-'));
    expect(coverage(main, from, to)).toBeLessThan(0.95);
    expect(sampler.stats().domains[main]?.gaps).toBeGreaterThan(0);
  }
  expect(sampler.gpus().some(({ lost }) => lost)).toBe(false);
  expectNeverFalling(watched);
});

test('calls that hang hold up no other meter', async () => {
  const model: MeterOptions = {
    kind: 'model',
    idleWatts: 100,
    wattsPerCore: 0,
    cpu: { format: 'proc-stat', path: '/proc/stat' },
  };
  const [emulator, watched, sampler] = await watch([{ uuid: A, waveform: constant(400) }], [model]);
  emulator.fault(A, 'slow');
  const from = await watched.wait(0.5);
  const to = await watched.wait(2.5);
  expect(coverage(watched.domain('package'), from, to)).toBeGreaterThan(0.7);
  expect(coverage(watched.domain(A.replace('GPU-', 'gpu-')), from, to)).toBeLessThan(0.3);
  const ticks = watched.seen.filter(({ monoNs }) => monoNs > from.monoNs && monoNs <= to.monoNs);
  expect(ticks.length).toBeGreaterThan(5);
  emulator.fault(A, 'none');
  const healed = await watched.allKnownAfter(monotonicNs() + 0.3 * SECOND);
  expect(errorUj(emulator, watched, A, from, healed)).toBeLessThan(2 * edgeUj(400));
  sampler.stop();
});

test('tells what a GPU and its MIG instances do', async () => {
  const instance = { gpuInstance: 1, computeInstance: 0, slices: 3, memoryMib: 40_192, usedMib: 1_000 };
  const [, watched, sampler] = await watch([
    {
      uuid: A,
      waveform: constant(300),
      busyPercent: 80,
      usedMib: 2_048,
      processes: [4711, 42],
      busId: '00000000:3B:00.0',
    },
    {
      uuid: B,
      waveform: constant(300),
      instances: [
        { uuid: 'MIG-1', ...instance },
        { uuid: 'MIG-2', ...instance, gpuInstance: 2, slices: 4 },
      ],
    },
  ]);
  await watched.until(() => (sampler.gpus()[0]?.busyKnownSeconds ?? 0) > 0.5);
  const [whole, split] = sampler.gpus();
  expect(whole).toMatchObject({
    uuid: A,
    busId: '00000000:3B:00.0',
    name: 'NVIDIA H100 80GB HBM3',
    lost: false,
    busyRatio: 0.8,
    memoryUsedBytes: 2 ** 31,
    powerLimitWatts: 700,
    mig: false,
    instances: [],
    processes: [42, 4711],
  });
  expect((whole?.busySeconds ?? 0) / (whole?.busyKnownSeconds ?? 1)).toBeCloseTo(0.8);
  expect(split).toMatchObject({ mig: true, busyRatio: null });
  expect(split?.instances).toEqual([
    {
      uuid: 'MIG-1',
      gpuInstance: 1,
      computeInstance: 0,
      slices: 3,
      memoryBytes: 40_192 * 2 ** 20,
      memoryUsedBytes: 1_000 * 2 ** 20,
      busyRatio: null,
    },
    expect.objectContaining({ uuid: 'MIG-2', gpuInstance: 2, slices: 4 }),
  ]);
});

test('a host without the library, the driver or a GPU is told so', async () => {
  const reasonOf = (library: string) =>
    probeMeters({ meters: [{ kind: 'nvml', library }] }).find(({ kind }) => kind === 'nvml')?.reason;
  expect(reasonOf('/nonexistent/libnvidia-ml.so.1')).toContain('no NVIDIA GPU in /nonexistent/libnvidia-ml.so.1');
  expect(reasonOf((await emulate([])).library)).toContain('the NVIDIA driver knows no GPU');
  const unloaded = await emulate([{ uuid: A, waveform: constant(1) }]);
  unloaded.unloadDriver();
  expect(reasonOf(unloaded.library)).toContain('the NVIDIA driver is not loaded');
});
