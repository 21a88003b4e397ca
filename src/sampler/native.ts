/** What native/addon/addon.cc exports. */
import type { DomainKind, Quality } from '../contract/index.js';

export interface NativeDomain {
  readonly name: string;
  readonly kind: DomainKind;
  readonly quality: Quality;
  readonly meter: string;
  readonly parent: number | null;
}

export interface NativeStats {
  readonly ticks: number;
  readonly forced: number;
  readonly late: number;
  readonly missed: number;
  readonly firstTickNs: number;
  readonly lastTickNs: number;
  readonly threadCpuNs: number;
  readonly domains: readonly {
    readonly failedReads: number;
    readonly wraps: number;
    readonly resets: number;
    readonly gaps: number;
    readonly freezes: number;
  }[];
}

export type NativeMeterOptions =
  | { readonly kind: 'rapl-powercap' }
  | {
      readonly kind: 'model';
      readonly idleWatts: number;
      readonly wattsPerCore: number;
      readonly gpuWatts: number;
      readonly cpuFormat: string;
      readonly cpuPath: string;
      readonly absentIsIdle: boolean;
    };

export interface NativeSampler {
  readonly memory: ArrayBuffer;
  readonly shape: { readonly capacity: number; readonly domains: number; readonly cpuSlots: number };
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
  stats(): NativeStats;
}

export interface NativeAddon {
  readonly NativeSampler: new (options: {
    readonly rateHz: number;
    readonly ringRecords: number;
    readonly cpuSlots: number;
    readonly sysfs: string;
    readonly meters: readonly NativeMeterOptions[];
  }) => NativeSampler;
  probePowercap(sysfs: string): {
    readonly outcome: 'available' | 'absent' | 'forbidden' | 'unreadable';
    readonly path: string;
    readonly domains: readonly NativeDomain[];
  };
  monotonicNs(): number;
}
