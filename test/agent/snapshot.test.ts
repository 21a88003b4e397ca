/** Moments between readings: each domain at its own pace, whole microjoules, never less than before. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SnapshotReader, type Snapshot } from '../../src/agent/snapshot.js';
import type { DomainKind } from '../../src/contract/index.js';
import type { Domain, TickView } from '../../src/sampler/index.js';

const MS = 1e6;

interface State {
  atMs: number;
  watts: number;
}

interface DomainSpec {
  readonly kind: DomainKind;
  readonly watts: number;
  readonly rateHz?: number;
  readonly trustedGapMs?: number;
  readonly witnessOf?: number;
}

/** A reader fed by hand: domains of constant power, each known up to its own time. */
class Bench {
  readonly reader: SnapshotReader;
  readonly #states: State[];
  readonly #fromMs: number;

  constructor(domains: readonly DomainSpec[], fromMs = 1000) {
    this.#fromMs = fromMs;
    this.#states = domains.map(({ watts }) => ({ atMs: 0, watts }));
    this.reader = new SnapshotReader(
      domains.map(({ kind, rateHz = 10, trustedGapMs = 60_000, witnessOf = null }, index): Domain => ({
        index,
        name: `${kind}-${index}`,
        kind,
        meter: 'model',
        rateHz,
        trustedGapNs: trustedGapMs * MS,
        quality: 'measured',
        parent: null,
        witnessOf,
      })),
    );
  }

  /** A tick at `ms` at which the domains are known up to `knownMs`; all up to the tick where it is absent. */
  tick(ms: number, knownMs: readonly number[] = this.#states.map(() => ms)): TickView {
    knownMs.forEach((at, index) => {
      const state = this.#states[index];
      if (state) state.atMs = at;
    });
    const state = (domain: number): State => {
      const found = this.#states[domain];
      if (!found) throw new Error('no such domain');
      return { ...found };
    };
    const since = (domain: number): number => Math.max(0, state(domain).atMs - this.#fromMs);
    const tick: TickView = {
      monoNs: ms * MS,
      realMs: ms,
      forced: false,
      hasCpu: true,
      energyUj: (domain) => state(domain).watts * since(domain) * 1000,
      coveredNs: (domain) => since(domain) * MS,
      knownAtNs: (domain) => state(domain).atMs * MS,
      cpuNs: () => ms,
    };
    this.reader.observe(tick);
    return tick;
  }

  mark(ms: number, knownMs?: readonly number[]): void {
    this.reader.mark(this.tick(ms, knownMs), 1);
  }
}

const joules = (snapshots: readonly Snapshot[]) =>
  snapshots.map(({ monoNs, package: pkg, node }) => [monoNs / MS, pkg / 1e6, node / 1e6]);

test('a fast domain is taken as it is, at once', () => {
  const bench = new Bench([{ kind: 'package', watts: 100 }]);
  bench.mark(1000);
  bench.mark(1100);
  expect(joules(bench.reader.take(1100 * MS))).toEqual([
    [1000, 0, 0],
    [1100, 10, 0],
  ]);
});

test('a slow domain is waited for, and taken at the moment between its two readings', () => {
  const bench = new Bench([
    { kind: 'package', watts: 100 },
    { kind: 'node', watts: 400, rateHz: 1 },
  ]);
  bench.mark(1000, [1000, 1000]);
  expect(bench.reader.take(1000 * MS)).toHaveLength(1);
  for (let ms = 1100; ms < 2000; ms += 100) bench.mark(ms, [ms, 1000]);
  expect(bench.reader.take(1900 * MS)).toEqual([]);
  expect(bench.reader.lastWaitingNs).toBe(1900 * MS);
  bench.tick(2000, [2000, 1950]);
  const snapshots = bench.reader.take(2000 * MS);
  expect(joules(snapshots)).toEqual(Array.from({ length: 9 }, (_, i) => [1100 + 100 * i, 10 * (i + 1), 40 * (i + 1)]));
  expect(snapshots.map(({ coveredNs }) => (coveredNs.node[0] ?? 0) / MS)).toEqual(
    Array.from({ length: 9 }, (_, i) => 100 * (i + 1)),
  );
});

test('a silent domain is waited for as long as its next reading may count, and its joules fall on the time between', () => {
  const bench = new Bench([
    { kind: 'package', watts: 100 },
    { kind: 'dram', watts: 10 },
  ]);
  bench.mark(1000);
  for (let ms = 2000; ms <= 30_000; ms += 1000) bench.mark(ms, [ms, 1000]);
  expect(bench.reader.take(30_000 * MS)).toHaveLength(1);
  bench.mark(31_000);
  const snapshots = bench.reader.take(31_000 * MS);
  expect(snapshots.map(({ dram }) => dram / 1e6)).toEqual(Array.from({ length: 30 }, (_, i) => 10 * (i + 1)));
});

test('after a longer silence moments go without, and say so', () => {
  const bench = new Bench([
    { kind: 'package', watts: 100 },
    { kind: 'dram', watts: 10, trustedGapMs: 5000 },
  ]);
  bench.mark(1000);
  bench.mark(2000);
  bench.mark(3000, [3000, 2000]);
  expect(bench.reader.take(9000 * MS)).toHaveLength(2);
  bench.mark(9500, [9500, 2000]);
  const stuck = bench.reader.take(9500 * MS);
  expect(stuck.map(({ dram, coveredNs }) => [dram / 1e6, (coveredNs.dram[0] ?? 0) / MS])).toEqual([
    [10, 1000],
    [10, 1000],
  ]);
  // It does not hold up what comes now.
  bench.mark(9600, [9600, 2000]);
  expect(bench.reader.take(9600 * MS)).toHaveLength(1);
});

test('a meter that is asked every ten seconds may take its time', () => {
  const bench = new Bench([{ kind: 'node', watts: 1, rateHz: 0.1, trustedGapMs: 1000 }]);
  bench.mark(1000);
  bench.mark(1100, [1000]);
  expect(bench.reader.take(12_000 * MS)).toHaveLength(1);
  bench.tick(12_000, [11_000]);
  expect(bench.reader.take(12_000 * MS)).toHaveLength(1);
});

test('at the end nothing is waited for', () => {
  const bench = new Bench([{ kind: 'node', watts: 1, rateHz: 1 }]);
  bench.mark(1000);
  bench.mark(1100, [1000]);
  expect(bench.reader.take(Infinity)).toHaveLength(2);
});

test('second opinions and what is contained count for nothing', () => {
  const bench = new Bench([
    { kind: 'package', watts: 100 },
    { kind: 'core', watts: 50 },
    { kind: 'package', watts: 99, witnessOf: 0 },
  ]);
  bench.mark(1000);
  bench.mark(1100, [1100, 1000, 1000]);
  expect(joules(bench.reader.take(1100 * MS)).at(-1)).toEqual([1100, 10, 0]);
});

test('however the readings come: snapshots are whole numbers that never fall', () => {
  const lags = fc.array(fc.tuple(fc.nat(90), fc.nat(2500), fc.boolean()), { minLength: 2, maxLength: 60 });
  fc.assert(
    fc.property(lags, (steps) => {
      const bench = new Bench([
        { kind: 'package', watts: 123.4567 },
        { kind: 'node', watts: 777.77, rateHz: 1 },
      ]);
      const taken: Snapshot[] = [];
      let ms = 1000;
      let known = [1000, 1000];
      for (const [fast, slow, wanted] of steps) {
        ms += 100;
        known = [Math.max(known[0] ?? 0, ms - fast), Math.max(known[1] ?? 0, ms - slow)];
        if (wanted) bench.mark(ms, known);
        else bench.tick(ms, known);
        taken.push(...bench.reader.take(ms * MS));
      }
      taken.push(...bench.reader.take(Infinity));
      expect(taken).toHaveLength(steps.filter(([, , wanted]) => wanted).length);
      const values = ({ monoNs, package: pkg, node, coveredNs }: Snapshot): number[] => [
        monoNs,
        pkg,
        node,
        ...coveredNs.package,
        ...coveredNs.node,
      ];
      taken.forEach((snapshot, index) => {
        const before = taken[index - 1];
        values(snapshot).forEach((value, key) => {
          expect(value).toBeGreaterThanOrEqual(before ? (values(before)[key] ?? 0) : 0);
        });
      });
    }),
  );
});
