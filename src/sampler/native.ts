/** What native/addon/addon.cc exports. */
import type { DomainKind, Quality } from '../contract/index.js';
import type { Capability } from './privileges.js';
import type { GpuStatus, Urgency } from './types.js';

export interface NativeDomain {
  /** Unique within its meter. */
  readonly name: string;
  readonly kind: DomainKind;
  readonly quality: Quality;
  /** Name of the domain of the same meter that this one is a second opinion of; empty where it is none. */
  readonly witnessOf: string;
  readonly trustedGapNs: number;
}

export interface NativeStats {
  readonly ticks: number;
  readonly forced: number;
  readonly late: number;
  readonly missed: number;
  readonly firstTickNs: number;
  readonly lastTickNs: number;
  readonly threadCpuNs: number;
  readonly couriersCpuNs: number;
  readonly suspends: number;
  /** 0 before the first tick. */
  readonly periodNs: number;
  readonly slowdowns: number;
  readonly timerResolutionNs: number;
  readonly latenessP50Ns: number;
  readonly latenessP99Ns: number;
  readonly latenessMaxNs: number;
  readonly urgency: Urgency;
  readonly domains: readonly {
    readonly failedReads: number;
    readonly wraps: number;
    readonly resets: number;
    readonly gaps: number;
    readonly freezes: number;
  }[];
}

export interface NativeMeterOptions {
  /** A name of native/meters/registry.cc. */
  readonly maker: string;
  readonly rateHz: number;
  readonly sysfs: string;
  readonly procfs: string;
  /** Which of its domains to read; empty: all. */
  readonly only: readonly string[];
  readonly settings: Readonly<Record<string, boolean | number | string>>;
}

export interface NativeProbe {
  readonly outcome: 'available' | 'absent' | 'forbidden' | 'unreadable';
  readonly path: string;
  readonly domains: readonly NativeDomain[];
  readonly notes: readonly string[];
}

export interface NativeSampler {
  readonly memory: ArrayBuffer;
  readonly shape: {
    readonly capacity: number;
    readonly domains: number;
    readonly cpuSlots: number;
    /** Cells from one record's row to the next, and from one slot's column to the next. */
    readonly rowCells: number;
    readonly columnCells: number;
  };
  readonly domains: readonly NativeDomain[];
  start(): void;
  stop(): void;
  forceTick(): void;
  /** Throws where the path cannot be bound. */
  listen(path: string): void;
  /** -1 when every slot is in use. */
  watchCpu(format: string, path: string): number;
  unwatchCpu(slot: number): boolean;
  pushCpu(slot: number, ns: number): boolean;
  /** False where the domain's meter takes no values from outside. */
  report(domain: number, unit: 'watts' | 'joules', value: number, atNs: number): boolean;
  gpus(): readonly GpuStatus[];
  stats(): NativeStats;
}

export interface NativeAddon {
  readonly NativeSampler: new (options: {
    readonly rateHz: number;
    readonly cpuRateHz: number;
    readonly ringRecords: number;
    readonly cpuSlots: number;
    readonly meters: readonly NativeMeterOptions[];
  }) => NativeSampler;
  probeMeter(options: NativeMeterOptions): NativeProbe;
  monotonicNs(): number;
  /** Throws where a thread still has more. */
  dropPrivileges(keep: readonly Capability[]): Capability[];
}
