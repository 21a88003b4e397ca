/** The typed face, on a model meter and on powercap files that the test itself writes. */
import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../src/contract/index.js';
import { type Latest, monotonicNs, Sampler, type SamplerOptions, type TickView } from '../../src/sampler/index.js';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function scratch(): string {
  const root = mkdtempSync(join(tmpdir(), 'wattle-sampler-'));
  cleanups.push(() => {
    rmSync(root, { recursive: true, force: true });
  });
  return root;
}

const IDLE_MODEL = { kind: 'model', idleWatts: 100, wattsPerCore: 10, cpu: { format: 'pushed' } } as const;
const COUNTERS = { kind: 'rapl-powercap' } as const;
/** So slow that the test's own forced ticks are all there is, after the first. */
const SLOW = { rateHz: 1, cpuSlots: 8 } as const;

function started(options: Partial<SamplerOptions> = {}): Sampler {
  const sampler = new Sampler({ ...SLOW, meters: [IDLE_MODEL], ...options });
  // The model's own counter, known from the first tick on.
  if (sampler.domains[0]?.meter === 'model') sampler.pushCpu(0, 0);
  sampler.start();
  cleanups.push(() => {
    sampler.stop();
  });
  return sampler;
}

/** A sampler that has ticked. */
async function running(options: Partial<SamplerOptions>): Promise<Sampler> {
  const sampler = started({ ringSeconds: 1, ...options });
  await until(() => sampler.latest() !== null);
  return sampler;
}

interface Seen {
  readonly monoNs: number;
  readonly realMs: number;
  readonly energyUj: number;
  readonly coveredNs: number;
  readonly cpuNs: number;
}

const seen = (tick: TickView, slot: number): Seen => ({
  monoNs: tick.monoNs,
  realMs: tick.realMs,
  energyUj: tick.energyUj(0),
  coveredNs: tick.coveredNs(0),
  cpuNs: tick.cpuNs(slot),
});

/** Waits for what the sampling thread does; a thread that does nothing fails the test instead of hanging it. */
async function until(condition: () => boolean): Promise<void> {
  const deadlineNs = monotonicNs() + 20e9;
  while (!condition()) {
    if (monotonicNs() > deadlineNs) throw new Error('the sampling thread did nothing for 20 s');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Forces a tick and leaves it in the ring. */
async function force(sampler: Sampler): Promise<void> {
  const before = sampler.stats().forced;
  sampler.forceTick();
  await until(() => sampler.stats().forced > before);
}

/** Forces a tick and returns what it shows of domain 0 and of a CPU slot. */
async function forced(sampler: Sampler, slot = 0): Promise<Seen> {
  let last: Seen | undefined;
  sampler.forceTick();
  await until(() => {
    sampler.drain((tick) => {
      if (tick.forced) last = seen(tick, slot);
    });
    return last !== undefined;
  });
  return last as unknown as Seen;
}

function expectProblem(action: () => unknown, code: string, part: string): void {
  try {
    action();
  } catch (error) {
    expect(error).toMatchObject({ code });
    expect(messageOf(error)).toContain(part);
    return;
  }
  throw new Error(`expected a WattleError ${code}`);
}

test('a tick carries both clocks, energy and CPU time of one instant', async () => {
  const sampler = started();
  sampler.pushCpu(0, 4_000_000_000);
  const first = await forced(sampler);
  sampler.pushCpu(0, 6_000_000_000);
  const before = monotonicNs();
  const second = await forced(sampler);

  expect(second.monoNs).toBeGreaterThanOrEqual(before);
  expect(second.monoNs).toBeLessThanOrEqual(monotonicNs());
  expect(Math.abs(second.realMs - Date.now())).toBeLessThan(60_000);
  expect(second.cpuNs - first.cpuNs).toBe(2_000_000_000);
  expect(Number.isInteger(second.energyUj)).toBe(true);
  // 100 W x the time between, plus 10 W x 2 s.
  const expected = ((second.monoNs - first.monoNs) * 100) / 1e3 + 20e6;
  expect(Math.abs(second.energyUj - first.energyUj - expected)).toBeLessThanOrEqual(3);
  expect(second.coveredNs - first.coveredNs).toBe(second.monoNs - first.monoNs);
});

test('a model says that it estimates, and has a gpu where one is declared', () => {
  const sampler = new Sampler({ meters: [{ ...IDLE_MODEL, gpuWatts: 40 }] });
  expect(sampler.domains).toEqual([
    {
      index: 0,
      rateHz: 10,
      trustedGapNs: 60e9,
      name: 'package',
      kind: 'package',
      meter: 'model',
      quality: 'estimated',
      parent: null,
      witnessOf: null,
    },
    {
      index: 1,
      rateHz: 10,
      trustedGapNs: 60e9,
      name: 'gpu',
      kind: 'gpu',
      meter: 'model',
      quality: 'estimated',
      parent: null,
      witnessOf: null,
    },
  ]);
});

describe('CPU slots', () => {
  test('a counter is watched, vanishes, and its slot is given to another without its past', async () => {
    const root = scratch();
    writeFileSync(join(root, 'old'), '111\n');
    writeFileSync(join(root, 'new'), 'usage_usec 222\nuser_usec 1\n');
    const sampler = started();
    const old = sampler.watchCpu({ format: 'cpuacct.usage', path: join(root, 'old') });
    expect((await forced(sampler, old)).cpuNs).toBe(111);

    await force(sampler);
    sampler.unwatchCpu(old);
    expect(() => {
      sampler.unwatchCpu(old);
    }).toThrow(RangeError);
    await force(sampler);

    const next = sampler.watchCpu({ format: 'cpu.stat', path: join(root, 'new') });
    expect(next).toBe(old);
    await force(sampler);
    const values: number[] = [];
    sampler.drain((tick) => {
      if (tick.forced) values.push(tick.cpuNs(next));
    });
    // The ring still holds a tick that read 111 in this slot; it is not the new source's.
    expect(values).toEqual([NaN, NaN, 222_000]);
  });

  test('a file that does not exist yet is missing until it does', async () => {
    const path = join(scratch(), 'later');
    const sampler = started();
    const slot = sampler.watchCpu({ format: 'cpuacct.usage', path });
    expect((await forced(sampler, slot)).cpuNs).toBeNaN();
    writeFileSync(path, '7\n');
    const until = monotonicNs() + 10e9;
    let found = NaN;
    while (Number.isNaN(found) && monotonicNs() < until) found = (await forced(sampler, slot)).cpuNs;
    expect(found).toBe(7);
  });

  test('zero is a value, and not the same as missing', async () => {
    const sampler = started();
    const slot = sampler.watchCpu({ format: 'pushed' });
    expect((await forced(sampler, slot)).cpuNs).toBeNaN();
    sampler.pushCpu(slot, 0);
    expect((await forced(sampler, slot)).cpuNs).toBe(0);
    expect(() => {
      sampler.pushCpu(slot, -1);
    }).toThrow(RangeError);
  });

  test('the host as a whole', async () => {
    const sampler = started();
    const slot = sampler.watchCpu({ format: 'proc-stat', path: '/proc/stat' });
    expect((await forced(sampler, slot)).cpuNs).toBeGreaterThan(0);
  });

  test('running out of slots is told', () => {
    const sampler = started({ cpuSlots: 2 });
    sampler.watchCpu({ format: 'pushed' });
    expectProblem(() => sampler.watchCpu({ format: 'pushed' }), 'sampler.cpu-slots', '2');
  });
});

describe('drain', () => {
  test('a slow reader loses ticks, is told how many, and loses no joules', async () => {
    const sampler = started({ rateHz: 10_000, cpuRateHz: 10_000, ringSeconds: 1, cpuSlots: 1 });
    const read: Seen[] = [];
    const keep = (tick: TickView) => void read.push(seen(tick, 0));
    await until(() => sampler.drain(keep) > 0);
    const { memoryBytes } = sampler.stats();
    // Columns: 3 of the tick, 3 of the domain, 1 CPU slot; each a line of 8 cells longer than the records.
    const capacity = (memoryBytes - 64) / 8 / 7 - 8;
    await until(() => sampler.stats().ticks >= capacity + 5000);
    const visited = sampler.drain(keep);
    expect(visited).toBeLessThanOrEqual(capacity);
    sampler.stop();
    sampler.drain(keep);

    const { lost, ticks } = sampler.stats();
    expect(lost).toBeGreaterThan(0);
    expect(read.length + lost).toBe(ticks);
    const [first, last] = [read[0], read.at(-1)];
    if (first === undefined || last === undefined) throw new Error('nothing was read');
    const expected = ((last.monoNs - first.monoNs) * 100) / 1e3;
    expect(Math.abs(last.energyUj - first.energyUj - expected)).toBeLessThan(10);
  });

  test('a visit that throws ends the drain, and what follows is still there', async () => {
    const sampler = started();
    for (let n = 0; n < 3; n++) await force(sampler);
    expect(() =>
      sampler.drain(() => {
        throw new Error('on purpose');
      }),
    ).toThrow('on purpose');
    expect(sampler.drain(() => undefined)).toBeGreaterThanOrEqual(3);
  });

  test('a visit may not drain', async () => {
    const sampler = started();
    await force(sampler);
    expect(() => sampler.drain(() => sampler.drain(() => undefined))).toThrow(/within its own visit/);
  });

  test('a domain or slot that does not exist is an error', async () => {
    const sampler = started();
    await force(sampler);
    for (const read of [
      (tick: TickView) => tick.energyUj(1),
      (tick: TickView) => tick.coveredNs(-1),
      (tick: TickView) => tick.cpuNs(8),
    ]) {
      expect(() => sampler.drain(read)).toThrow(RangeError);
      await force(sampler);
    }
  });
});

test('the newest tick can be read beside drain, and takes nothing from it', async () => {
  const sampler = new Sampler({ ...SLOW, meters: [IDLE_MODEL] });
  expect(sampler.latest()).toBeNull();
  const live = await running({ rateHz: 1000 });
  // It laps the ring while nobody drains.
  const before = live.latest();
  await until(() => live.stats().ticks > 3000);
  live.stop();
  const newest = live.latest();
  expect(newest?.monoNs).toBeGreaterThan(before?.monoNs ?? Infinity);
  const read: Latest[] = [];
  live.drain((tick) => {
    const { monoNs, realMs } = tick;
    const [energyUj, coveredNs, knownAtNs] = [tick.energyUj(0), tick.coveredNs(0), tick.knownAtNs(0)];
    read.push({ monoNs, realMs, domains: [{ energyUj, coveredNs, knownAtNs }] });
    // Within a visit it shows the newest tick, and the view goes on to show its own.
    expect(live.latest()).toEqual(newest);
    expect(tick.monoNs).toBe(monoNs);
  });
  expect(read.at(-1)).toEqual(newest);
  expect(read.length + live.stats().lost).toBe(live.stats().ticks);
});

test('the time between stop and start is a gap', async () => {
  const sampler = started();
  const first = await forced(sampler);
  sampler.stop();
  await new Promise((resolve) => setTimeout(resolve, 300));
  sampler.start();
  const second = await forced(sampler);
  expect(second.monoNs - first.monoNs).toBeGreaterThan(290e6);
  expect(second.coveredNs - first.coveredNs).toBeLessThan(second.monoNs - first.monoNs - 290e6);
  expect(second.energyUj - first.energyUj).toBeLessThan(((second.monoNs - first.monoNs - 290e6) * 100) / 1e3);
});

describe('options', () => {
  test.each<[string, Partial<SamplerOptions>]>([
    ['rateHz', { rateHz: 0.5 }],
    ['rateHz', { rateHz: 10_001 }],
    ['rateHz', { rateHz: NaN }],
    ['ringSeconds', { ringSeconds: 0 }],
    ['ringSeconds', { rateHz: 10_000, ringSeconds: 3600 }],
    ['cpuSlots', { cpuSlots: 1.5 }],
    ['meters: expected each meter once, found rapl-powercap twice', { meters: [COUNTERS, IDLE_MODEL, COUNTERS] }],
    ['idleWatts', { meters: [{ ...IDLE_MODEL, idleWatts: -1 }] }],
    ['wattsPerCore', { meters: [{ ...IDLE_MODEL, wattsPerCore: Infinity }] }],
  ])('refused: %s', (name, options) => {
    expectProblem(() => new Sampler({ meters: [IDLE_MODEL], ...options }), 'sampler.bad-option', name);
  });

  test('a machine without anything to read is told so', () => {
    const sysfs = scratch();
    expectProblem(() => new Sampler({ sysfs, meters: [COUNTERS] }), 'sampler.no-meter', 'rapl-powercap');
  });

  test('a kind that no meter gives is named, with those that are there', () => {
    expectProblem(
      () => new Sampler({ meters: [IDLE_MODEL], kinds: ['gpu', 'node'] }),
      'sampler.no-meter',
      'kind gpu or node on this machine; there is package.',
    );
  });

  test('the first meter that gives packages wins', () => {
    const sysfs = scratch();
    powercap(sysfs, 100);
    const names = (sampler: Sampler) => sampler.domains.map((domain) => domain.meter);
    expect(names(new Sampler({ sysfs, meters: [COUNTERS, IDLE_MODEL] }))).toEqual(['rapl-powercap']);
    expect(names(new Sampler({ sysfs, meters: [IDLE_MODEL, COUNTERS] }))).toEqual(['model']);
    expect(names(new Sampler({ sysfs: scratch(), meters: [COUNTERS, IDLE_MODEL] }))).toEqual(['model']);
  });
});

const RANGE_UJ = 3_000_000_000;

/** A counter's text in a fixed width, so that overwriting it in place never shows a part. */
const fixed = (text: string) => `${text.padEnd(22)}\n`;
const number = (value: number) => `${String(value).padStart(22, '0')}\n`;

function powercap(sysfs: string, energyUj: number): string {
  const zone = join(sysfs, 'class', 'powercap', 'intel-rapl:0');
  mkdirSync(zone, { recursive: true });
  writeFileSync(join(zone, 'name'), 'package-0\n');
  writeFileSync(join(zone, 'max_energy_range_uj'), `${RANGE_UJ}\n`);
  writeFileSync(join(zone, 'energy_uj'), number(energyUj));
  return join(zone, 'energy_uj');
}

// Law 3 through the whole path, from the kernel's file to TypeScript.
test('wraps and failed reads neither make nor lose a microjoule', async () => {
  const step = fc.record({
    // Few joules per step, so that no power limit makes a step implausible however fast the ticks come.
    usedUj: fc.integer({ min: 0, max: 3_000_000 }),
    shown: fc.constantFrom('number', 'number', 'number', '', 'garbage', '9999999999999999999999', '-1'),
  });
  const startUj = fc.integer({ min: RANGE_UJ - 40_000_000, max: RANGE_UJ - 1 });
  await fc.assert(
    fc.asyncProperty(startUj, fc.array(step, { maxLength: 25 }), async (start, steps) => {
      const sysfs = scratch();
      const counter = powercap(sysfs, start);
      const sampler = started({ sysfs, meters: [COUNTERS] });
      let truthUj = start;
      let shownUj = start;
      let before = await forced(sampler);
      for (const { usedUj, shown } of [...steps, { usedUj: 1, shown: 'number' }]) {
        truthUj += usedUj;
        if (shown === 'number') shownUj = truthUj;
        const text = shown === 'number' ? number(truthUj % RANGE_UJ) : fixed(shown);
        writeFileSync(counter, text, { flag: 'r+' });
        const tick = await forced(sampler);
        expect(tick.energyUj).toBeGreaterThanOrEqual(before.energyUj);
        expect(tick.coveredNs).toBeGreaterThanOrEqual(before.coveredNs);
        expect(tick.energyUj).toBeLessThanOrEqual(shownUj - start);
        before = tick;
      }
      sampler.stop();
      // A machine that stalls for seconds makes a real gap; without one every microjoule is there.
      if (sampler.stats().domains[0]?.gaps === 0) expect(before.energyUj).toBe(shownUj - start);
    }),
    { numRuns: 40 },
  );
});
