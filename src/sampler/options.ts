import { METER_RATE_LIMITS } from '../config/types.js';
import { WattleError } from '../contract/index.js';
import type { NativeAddon, NativeMeterOptions } from './native.js';
import { holdOf, MOST_WATTS, type SourceOptions } from './sources/index.js';
import type { MeterKind, MeterOptions, SamplerOptions } from './types.js';

const DEFAULTS = { rateHz: 10, ringSeconds: 60, cpuSlots: 512, sysfs: '/sys', procfs: '/proc' } as const;
/** CPU times are attributed over windows of a tenth of a second: reading hundreds of files more often buys nothing. */
const CPU_RATE_HZ = 10;
/** Forced ticks share the ring with the regular ones: some room for them, and for a burst at a low rate. */
const MIN_RECORDS = 256;
const FORCED_SHARE = 1.05;
/** More is surely a mistake: a ring of hours, or thousands of slots at a kilohertz. */
const MAX_RING_BYTES = 1024 ** 3;

/**
 * Rates that a meter is read at where none is asked for, if not the sampler's. They have nothing new more often: 10 Hz is
 * the update rate of NVML's sensors and of pm_counters, a management controller measures about once a second.
 */
const USUAL_RATES: Readonly<Partial<Record<MeterKind, number>>> = { nvml: 10, 'pm-counters': 10, ipmi: 1 };

type NativeOptions = ConstructorParameters<NativeAddon['NativeSampler']>[0];

/** Checks what a caller asked for and fills in the defaults. Throws a WattleError `sampler.bad-option`. */
export function nativeOptions(options: SamplerOptions): NativeOptions {
  const { ringSeconds, cpuSlots, ...given } = { ...DEFAULTS, ...options };
  expectBetween('rateHz', given.rateHz, 1, 10_000);
  expectBetween('ringSeconds', ringSeconds, 1, 3600);
  expectBetween('cpuSlots', cpuSlots, 1, 65_536);
  if (!Number.isInteger(cpuSlots)) throw badOption('cpuSlots', 'a whole number', cpuSlots);
  const kinds = options.meters.map(({ kind }) => kind);
  const again = kinds.find((kind, at) => kinds.indexOf(kind) < at);
  // Two of a kind would give each of their domains twice, and every joule would count twice.
  if (again !== undefined) throw badOption('meters', 'each meter once', `${again} twice`);
  const meters = options.meters.map((meter) => nativeMeter(meter, options));
  const rateHz = Math.max(given.rateHz, ...meters.map((meter) => meter.rateHz));
  const cpuRateHz = given.cpuRateHz ?? Math.min(CPU_RATE_HZ, rateHz);
  expectBetween('cpuRateHz', cpuRateHz, 0.1, rateHz);

  const ringRecords = Math.max(MIN_RECORDS, Math.ceil(rateHz * ringSeconds * FORCED_SHARE));
  const ringBytes = 2 ** Math.ceil(Math.log2(ringRecords)) * cpuSlots * Float64Array.BYTES_PER_ELEMENT;
  if (ringBytes > MAX_RING_BYTES) {
    throw badOption('ringSeconds', `a ring of at most 1 GiB at ${rateHz} Hz with ${cpuSlots} CPU slots`, ringSeconds);
  }
  return { rateHz, cpuRateHz, ringRecords, cpuSlots, meters };
}

/** What the native maker of a meter takes: all its domains, at its own rate. */
export function nativeMeter(
  meter: MeterOptions,
  { rateHz = DEFAULTS.rateHz, sysfs = DEFAULTS.sysfs, procfs = DEFAULTS.procfs }: Partial<SamplerOptions>,
): NativeMeterOptions {
  const { least, most } = METER_RATE_LIMITS[meter.kind];
  const ownRate = meter.rateHz ?? Math.min(rateHz, USUAL_RATES[meter.kind] ?? rateHz);
  expectBetween(`rateHz of ${meter.kind}`, ownRate, least, most);
  const maker = isSource(meter) ? 'reported' : meter.kind;
  return { maker, rateHz: ownRate, sysfs, procfs, only: [], settings: settingsOf(meter) };
}

/** Whether the meter is read in TypeScript, and only reported to the native side. */
export function isSource(meter: MeterOptions): meter is Extract<MeterOptions, SourceOptions> {
  return meter.kind === 'redfish' || meter.kind === 'wattmeter';
}

function settingsOf(meter: MeterOptions): NativeMeterOptions['settings'] {
  switch (meter.kind) {
    case 'rapl-perf':
    case 'rapl-powercap':
    case 'rapl-msr':
    case 'amd-energy':
    case 'pm-counters':
      return {};
    case 'nvml':
      return meter.library === undefined ? {} : { library: meter.library };
    case 'ipmi':
      return meter.device === undefined ? {} : { device: meter.device };
    case 'redfish':
    case 'wattmeter': {
      const { watts: maxHoldMs, joules: maxCounterHoldMs } = holdOf(meter);
      return {
        name: 'node',
        domainKind: 'node',
        maxWatts: meter.maxWatts ?? MOST_WATTS,
        maxHoldMs,
        maxCounterHoldMs,
      };
    }
    case 'model': {
      const { idleWatts, wattsPerCore, gpuWatts = 0, cpu, cpuAbsent = 'gap' } = meter;
      const plausible = [0, 1e6] as const;
      expectBetween('idleWatts', idleWatts, ...plausible);
      expectBetween('wattsPerCore', wattsPerCore, ...plausible);
      expectBetween('gpuWatts', gpuWatts, ...plausible);
      return {
        idleWatts,
        wattsPerCore,
        gpuWatts,
        cpuFormat: cpu.format,
        cpuPath: cpu.format === 'pushed' ? '' : cpu.path,
        absentIsIdle: cpuAbsent === 'idle',
      };
    }
  }
}

function expectBetween(name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) throw badOption(name, `a number from ${low} to ${high}`, value);
}

function badOption(name: string, expected: string, found: number | string): WattleError {
  return new WattleError('sampler.bad-option', `${name}: expected ${expected}, found ${found}.`, `Change ${name}.`);
}
