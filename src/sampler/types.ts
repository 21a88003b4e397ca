import type { DomainKind, Quality } from '../contract/index.js';
import type { RedfishOptions, WattmeterOptions } from './sources/index.js';

/**
 * A cumulative CPU-time counter that is read in the same tick as the energy.
 * `cpuacct.usage`: control group v1; `cpu.stat`: control group v2; `proc-stat`: the whole host's busy time
 * (on hosts with many processors /proc/stat is dear to read: the root group's cpuacct.usage or cpu.stat is cheaper);
 * `pushed`: given by {@link Sampler.pushCpu}.
 */
export type CpuSource =
  | { readonly format: 'cpuacct.usage' | 'cpu.stat' | 'proc-stat'; readonly path: string }
  | { readonly format: 'pushed' };

interface Meter<Kind extends string> {
  readonly kind: Kind;
  /** Reads per second. Default: the sampler's rate, or less where the meter has nothing new that often. */
  readonly rateHz?: number;
}

/** See docs/meters/ for what each reads, needs and gives. */
export type MeterOptions =
  | Meter<'rapl-perf'>
  | Meter<'rapl-powercap'>
  | Meter<'rapl-msr'>
  | Meter<'amd-energy'>
  /** `library`: what dlopen takes. Default: libnvidia-ml.so.1 where the driver puts it. */
  | (Meter<'nvml'> & { readonly library?: string })
  | Meter<'pm-counters'>
  /** `device`: default /dev/ipmi0. */
  | (Meter<'ipmi'> & { readonly device?: string })
  | (Meter<'redfish'> & RedfishOptions)
  | (Meter<'wattmeter'> & WattmeterOptions)
  | (Meter<'model'> & {
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
    });

export type MeterKind = MeterOptions['kind'];

export interface SamplerOptions {
  /** Regular ticks per second, 1 to 10000. Default 10. A meter with a higher rate of its own raises it. */
  readonly rateHz?: number;
  /** How often CPU-time counters are read per second. Default: 10, or the rate where that is less. */
  readonly cpuRateHz?: number;
  /** How far back the ring reaches at that rate. Default 60 s. */
  readonly ringSeconds?: number;
  /** CPU-time counters that can be watched at once, 1 to 65536. Default 512; an unused slot costs no memory. */
  readonly cpuSlots?: number;
  /** Where sysfs and procfs are mounted. Default `/sys` and `/proc`. */
  readonly sysfs?: string;
  readonly procfs?: string;
  /** In order of preference: of several that give a kind of domain, the first wins (see tree.ts). */
  readonly meters: readonly MeterOptions[];
  /** Kinds of domain to read. Default: all. */
  readonly kinds?: readonly DomainKind[];
  /**
   * Second opinions to read beside the winners. `own` (default): those of the winning meter itself, such as the
   * integrated power of a GPU beside its energy counter. `all`: also what other meters say of the same domains.
   */
  readonly witnesses?: 'own' | 'all';
}

export interface Domain {
  readonly index: number;
  /** Unique per meter: `package-0`, `package-0/dram`, `psys`, `gpu-<UUID>`, `node`. */
  readonly name: string;
  readonly kind: DomainKind;
  readonly meter: MeterKind;
  /** Reads per second that are asked of its meter. */
  readonly rateHz: number;
  /** The longest time between two readings whose difference is still trusted, ns; Infinity: there is no bound. */
  readonly trustedGapNs: number;
  readonly quality: Quality;
  /** Index of the domain whose energy contains this one's: never add both. Null for a root, and for a witness. */
  readonly parent: number | null;
  /** Index of the domain that this one is a second opinion of: never add it to anything. */
  readonly witnessOf: number | null;
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
  /** Whether CPU times were read at this tick. */
  readonly hasCpu: boolean;
  /** Cumulative microjoules of a domain, as known at knownAtNs. */
  energyUj(domain: number): number;
  /** Cumulative nanoseconds in which the domain was really sampled, as known at knownAtNs. */
  coveredNs(domain: number): number;
  /**
   * CLOCK_MONOTONIC up to when the domain's energy is known, ns; 0 before its first reading. Behind the tick where its
   * meter is slower, its counter has not moved, or its reads fail.
   */
  knownAtNs(domain: number): number;
  /** Cumulative CPU time of a slot in ns; NaN where it could not be read at this tick, or was not watched yet. */
  cpuNs(slot: number): number;
}

/** A domain at one tick; each number as TickView's method of the same name gives it. */
export interface DomainReading {
  readonly energyUj: number;
  readonly coveredNs: number;
  readonly knownAtNs: number;
}

/** A copy of one tick. */
export interface Latest {
  readonly monoNs: number;
  readonly realMs: number;
  /** By domain index. */
  readonly domains: readonly DomainReading[];
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

/** How the kernel schedules the sampling thread: `realtime` and `nice` from 100 Hz on, where it may. */
export type Urgency = 'normal' | 'nice' | 'realtime';

export interface SamplerStats {
  /** Regular ticks taken, and ticks taken on request. */
  readonly ticks: number;
  readonly forced: number;
  /** Ticks that were overwritten before drain() came for them, or dropped while it read. No joules are lost by that. */
  readonly lost: number;
  /** Regular ticks that began more than a tenth of a period late, and deadlines that got no tick of their own. */
  readonly late: number;
  readonly missed: number;
  /** CLOCK_MONOTONIC of the first tick in ns; 0 before it. */
  readonly firstTickNs: number;
  /** The rate asked for, the one in force (lower while the machine cannot hold it), and the one really achieved. */
  readonly requestedHz: number;
  readonly rateHz: number;
  readonly achievedHz: number;
  /** Times the rate was halved because more than a tenth of the deadlines were missed. */
  readonly slowdowns: number;
  /** From a regular tick's deadline to its begin, in microseconds; read off buckets, so at most a quarter too high. */
  readonly latenessUs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** What a wait of one microsecond really takes here, in microseconds. */
  readonly timerResolutionUs: number;
  readonly urgency: Urgency;
  /** CPU time that the sampling thread has burnt, and the threads of slow meters, in seconds. */
  readonly cpuSeconds: number;
  readonly courierCpuSeconds: number;
  /** Times the host slept while sampling. */
  readonly suspends: number;
  /** Size of the ring. Pages of slots that were never used are not resident. */
  readonly memoryBytes: number;
  /** By domain index. */
  readonly domains: readonly DomainHealth[];
}

/** One MIG instance: a slice of a GPU with memory of its own. */
export interface GpuInstance {
  /** `MIG-...` */
  readonly uuid: string;
  readonly gpuInstance: number;
  readonly computeInstance: number;
  /** How many of the GPU's compute slices it has. */
  readonly slices: number;
  readonly memoryBytes: number;
  readonly memoryUsedBytes: number;
  /** Null where the driver does not tell. */
  readonly busyRatio: number | null;
}

/** What a GPU does besides drawing power. */
export interface GpuStatus {
  /** `GPU-...`: stays the same over reboots and between tools. */
  readonly uuid: string;
  /** PCI bus id. */
  readonly busId: string;
  readonly name: string;
  /** It does not answer any more; the rest is of the time before. */
  readonly lost: boolean;
  /** CLOCK_MONOTONIC of the values in ns, 0 before the first. */
  readonly atNs: number;
  /** Share of the driver's last sample period in which a kernel ran; null where it does not tell. */
  readonly busyRatio: number | null;
  /** The integral of busyRatio, and the seconds over which it was taken. */
  readonly busySeconds: number;
  readonly busyKnownSeconds: number;
  readonly memoryUsedBytes: number;
  readonly memoryBytes: number;
  /** 0 where the driver does not tell. */
  readonly powerLimitWatts: number;
  readonly mig: boolean;
  readonly instances: readonly GpuInstance[];
  /** Process ids on this host that hold a context. */
  readonly processes: readonly number[];
}
