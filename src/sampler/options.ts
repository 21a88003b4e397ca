import { WattleError } from '../contract/index.js';
import type { NativeAddon, NativeMeterOptions } from './native.js';
import type { MeterOptions, SamplerOptions } from './types.js';

const DEFAULTS = { rateHz: 10, ringSeconds: 60, cpuSlots: 512, sysfs: '/sys' } as const;
/** Forced ticks share the ring with the regular ones: room for as many again, and for a burst at a low rate. */
const MIN_RECORDS = 256;
const FORCED_SHARE = 1.25;
/** More is surely a mistake: a ring of hours, or thousands of slots at a kilohertz. */
const MAX_RING_BYTES = 1024 ** 3;

type NativeOptions = ConstructorParameters<NativeAddon['NativeSampler']>[0];

/** Checks what a caller asked for and fills in the defaults. Throws a WattleError `sampler.bad-option`. */
export function nativeOptions(options: SamplerOptions): NativeOptions {
  const { rateHz, ringSeconds, cpuSlots, sysfs } = { ...DEFAULTS, ...options };
  expectBetween('rateHz', rateHz, 1, 10_000);
  expectBetween('ringSeconds', ringSeconds, 1, 3600);
  expectBetween('cpuSlots', cpuSlots, 1, 65_536);
  if (!Number.isInteger(cpuSlots)) throw badOption('cpuSlots', 'a whole number', cpuSlots);

  const ringRecords = Math.max(MIN_RECORDS, Math.ceil(rateHz * ringSeconds * FORCED_SHARE));
  const ringBytes = 2 ** Math.ceil(Math.log2(ringRecords)) * cpuSlots * Float64Array.BYTES_PER_ELEMENT;
  if (ringBytes > MAX_RING_BYTES) {
    throw badOption('ringSeconds', `a ring of at most 1 GiB at ${rateHz} Hz with ${cpuSlots} CPU slots`, ringSeconds);
  }
  return { rateHz, ringRecords, cpuSlots, sysfs, meters: options.meters.map(nativeMeter) };
}

function nativeMeter(meter: MeterOptions): NativeMeterOptions {
  if (meter.kind === 'rapl-powercap') return { kind: meter.kind };
  const { kind, idleWatts, wattsPerCore, gpuWatts = 0, cpu, cpuAbsent = 'gap' } = meter;
  const plausible = [0, 1e6] as const;
  expectBetween('idleWatts', idleWatts, ...plausible);
  expectBetween('wattsPerCore', wattsPerCore, ...plausible);
  expectBetween('gpuWatts', gpuWatts, ...plausible);
  return {
    kind,
    idleWatts,
    wattsPerCore,
    gpuWatts,
    cpuFormat: cpu.format,
    cpuPath: cpu.format === 'pushed' ? '' : cpu.path,
    absentIsIdle: cpuAbsent === 'idle',
  };
}

function expectBetween(name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) throw badOption(name, `a number from ${low} to ${high}`, value);
}

function badOption(name: string, expected: string, found: number): WattleError {
  return new WattleError('sampler.bad-option', `${name}: expected ${expected}, found ${found}.`, `Change ${name}.`);
}
