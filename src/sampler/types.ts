import type { DomainKind, Quality } from '../contract/index.js';

/**
 * A cumulative CPU-time counter that is read in the same tick as the energy.
 * `cpuacct.usage`: control group v1; `cpu.stat`: control group v2; `proc-stat`: the whole host's busy time
 * (on hosts with many processors /proc/stat is dear to read: the root group's cpuacct.usage or cpu.stat is cheaper);
 * `pushed`: given by {@link Sampler.pushCpu}.
 */
export type CpuSource =
  | { readonly format: 'cpuacct.usage' | 'cpu.stat' | 'proc-stat'; readonly path: string }
  | { readonly format: 'pushed' };

export type MeterOptions =
  | { readonly kind: 'rapl-powercap' }
  | {
      readonly kind: 'model';
      /** Power with no work to do, and what each busy core adds. */
      readonly idleWatts: number;
      readonly wattsPerCore: number;
      /** Constant power of a `gpu` domain; 0 or absent: no such domain. */
      readonly gpuWatts?: number;
      readonly cpu: CpuSource;
      /**
       * What it means when the CPU source's file does not exist. `gap` (default): nothing is known, so coverage falls.
       * `idle`: the group has no processes yet, so only the idle power flows.
       */
      readonly cpuAbsent?: 'gap' | 'idle';
    };

export type MeterKind = MeterOptions['kind'];

export interface SamplerOptions {
  /** Regular ticks per second, 1 to 10000. Default 10. */
  readonly rateHz?: number;
  /** How far back the ring reaches at that rate. Default 60 s. */
  readonly ringSeconds?: number;
  /** CPU-time counters that can be watched at once, 1 to 65536. Default 512; an unused slot costs no memory. */
  readonly cpuSlots?: number;
  /** Where sysfs is mounted. Default `/sys`. */
  readonly sysfs?: string;
  /** Tried in this order. Once a meter gives a `package` domain, those after it are not used. */
  readonly meters: readonly MeterOptions[];
}

export interface Domain {
  readonly index: number;
  /** Unique per socket and part: `package-0`, `package-0/dram`, `psys`. */
  readonly name: string;
  readonly kind: DomainKind;
  readonly meter: string;
  readonly quality: Quality;
  /** Index of the domain whose energy contains this one's: never add both. */
  readonly parent: number | null;
}

/**
 * One tick in the ring. Valid only during the visit that it is passed to: the same object then shows the next tick.
 * Energy and coverage are cumulative since the sampler was made; take differences.
 */
export interface TickView {
  /** CLOCK_MONOTONIC in ns: exact for 104 days after boot, then rounded to even numbers. */
  readonly monoNs: number;
  /** Wall-clock time in ms since 1970, with fractions. */
  readonly realMs: number;
  /** True for a tick asked for by {@link Sampler.forceTick}. */
  readonly forced: boolean;
  /** Cumulative microjoules of a domain. */
  energyUj(domain: number): number;
  /** Cumulative nanoseconds in which the domain was really sampled. */
  coveredNs(domain: number): number;
  /** Cumulative CPU time of a slot in ns; NaN where it could not be read at this tick, or was not watched yet. */
  cpuNs(slot: number): number;
}

/** Why a domain's coverage is below 1: how often each thing happened since the sampler was made. */
export interface DomainHealth {
  readonly failedReads: number;
  readonly wraps: number;
  /** Steps that no real power explains: nothing was booked for them. */
  readonly resets: number;
  /** Intervals without a trustworthy reading at both ends: nothing was booked for them. */
  readonly gaps: number;
  /** Times the counter stood still for longer than it can. */
  readonly freezes: number;
}

export interface SamplerStats {
  /** Regular ticks taken, and ticks taken on request. */
  readonly ticks: number;
  readonly forced: number;
  /** Ticks that were overwritten before drain() came for them, or dropped while it read. No joules are lost by that. */
  readonly lost: number;
  /** Regular ticks that began more than a tenth of a period late, and deadlines that passed altogether. */
  readonly late: number;
  readonly missed: number;
  /** Regular ticks per second as really taken; 0 before the second tick. */
  readonly achievedHz: number;
  /** CPU time that the sampling thread has burnt, in seconds. */
  readonly cpuSeconds: number;
  /** Size of the ring. Pages of slots that were never used are not resident. */
  readonly memoryBytes: number;
  /** By domain index. */
  readonly domains: readonly DomainHealth[];
}
