/**
 * Worst relative error of sampled energy against emulated counters whose energy is known, at the default rate.
 * Windows begin and end at events, as jobs do: each event takes its own time and forces a tick.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicNs, Sampler } from '../src/sampler/index.js';
import { startPowercapEmulator, type ZoneOptions } from '../test/hardware/powercap.js';
import { Recording } from '../test/hardware/recording.js';
import { quantile, type Emit } from './figure.js';

export const name = 'sampler.energy_error';

const RATE_HZ = 10;
const RUN_S = 30;
const SECOND = 1e9;
const WRAPPING_RANGE_UJ = 5e9;

const ZONES: readonly ZoneOptions[] = [
  { name: 'package-0', kind: 'package', waveform: { shape: 'constant', watts: 150 } },
  { name: 'package-1', kind: 'package', waveform: { shape: 'square', lowWatts: 60, highWatts: 240, periodS: 0.37 } },
  { name: 'package-2', kind: 'package', waveform: { shape: 'ramp', lowWatts: 20, highWatts: 300, periodS: 2.3 } },
  { name: 'package-3', kind: 'package', waveform: { shape: 'random', lowWatts: 40, highWatts: 260 } },
  {
    name: 'package-4',
    kind: 'package',
    waveform: { shape: 'constant', watts: 250 },
    rangeUj: WRAPPING_RANGE_UJ,
    // Wraps 8 s after the start, and again after 20 s more.
    initialUj: WRAPPING_RANGE_UJ - 2e9,
  },
];

export async function run(emit: Emit): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'wattle-bench-'));
  const emulator = await startPowercapEmulator({ root, zones: ZONES });
  const sampler = new Sampler({ rateHz: RATE_HZ, sysfs: root, meters: [{ kind: 'rapl-powercap' }] });
  try {
    sampler.start();
    const recording = new Recording(sampler);
    const events = await takeEvents(sampler, recording);
    for (const [figure, seconds, aim] of [
      ['over_10s', 10, 0.005],
      ['at_1s', 1, 0.02],
    ] as const) {
      const errors = windows(events, seconds * SECOND).flatMap(([from, to]) =>
        sampler.domains.map((domain) => {
          const truth = emulator.truthUj(domain.name, from, to);
          return Math.abs(recording.energyBetween(domain.index, from, to) / truth - 1);
        }),
      );
      emit({
        figure,
        value: Math.max(...errors),
        unit: 'ratio',
        aim,
        better: 'lower',
        context: {
          windows: errors.length,
          median: quantile(errors, 0.5),
          p99: quantile(errors, 0.99),
          rate_hz: RATE_HZ,
          wraps: sampler.stats().domains.reduce((sum, domain) => sum + domain.wraps, 0),
          compared_with: 'emulated powercap counters, updated at 1 kHz from waveforms with a known integral',
        },
      });
    }
  } finally {
    sampler.stop();
    await emulator.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

/** Events at irregular times, each with its forced tick; returns their times. */
async function takeEvents(sampler: Sampler, recording: Recording): Promise<number[]> {
  await recording.until(monotonicNs());
  const events: number[] = [];
  const endNs = monotonicNs() + RUN_S * SECOND;
  while (monotonicNs() < endNs) {
    events.push(monotonicNs());
    sampler.forceTick();
    await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 170));
    recording.drain();
  }
  await recording.until(monotonicNs());
  return events;
}

/** For each event the span to the first event that is at least `lengthNs` later. */
function windows(events: readonly number[], lengthNs: number): [number, number][] {
  return events.flatMap((from) => {
    const to = events.find((event) => event - from >= lengthNs);
    return to === undefined ? [] : [[from, to]];
  });
}
