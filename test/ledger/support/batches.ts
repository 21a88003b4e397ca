/** Small batches that obey law 1, for tests. */
import type { Batch, LedgerDelta, Segment } from '../../../src/contract/index.js';

export const T0 = Date.UTC(2026, 9, 5, 10, 0, 0);
export const INTERVAL_MS = 300_000;

export const uj = (value: number): Segment['microjoules'] => ({ package: value, dram: 0, gpu: 0, other: 0 });

export function jobRow(jobId: number, microjoules: number, extra: Partial<LedgerDelta> = {}): LedgerDelta {
  return {
    owner: 'job',
    jobId,
    restartCount: 0,
    startMs: T0,
    endMs: T0 + 10_000,
    microjoules: uj(microjoules),
    coveredMs: 10_000,
    cpuMs: 5_000,
    cores: 2,
    quality: 'measured',
    ...extra,
  };
}

export function idleRow(microjoules: number, extra: Partial<LedgerDelta> = {}): LedgerDelta {
  const { jobId: _, restartCount: __, ...row } = jobRow(0, microjoules, { cpuMs: 0, cores: 0, ...extra });
  return { ...row, owner: 'idle' };
}

/** A segment of 10 s whose total is the sum of its rows. */
export function segment(rows: LedgerDelta[], extra: Partial<Segment> = {}): Segment {
  const total = uj(0);
  for (const row of rows) {
    for (const group of ['package', 'dram', 'gpu', 'other'] as const) total[group] += row.microjoules[group];
  }
  return {
    startMs: T0,
    endMs: T0 + 10_000,
    intervalStartMs: T0,
    intervalMs: INTERVAL_MS,
    microjoules: total,
    coveredMs: 10_000,
    quality: 'measured',
    rule: 'wattle-1',
    method: 'rapl-powercap',
    rows,
    ...extra,
  };
}

export function batch(sequence: number, segments: Segment[], extra: Partial<Batch> = {}): Batch {
  return {
    version: 1,
    cluster: 'test',
    node: 'n1',
    epoch: 'boot/a',
    sequence,
    sentAtMs: T0,
    domains: [{ name: 'package-0', kind: 'package', meter: 'rapl-powercap', quality: 'measured' }],
    segments,
    events: [],
    ...extra,
  };
}
