/** The product's addon on emulated hardware: pass it to a Sampler in place of the real one. */
import { createRequire } from 'node:module';
import type { NativeAddon } from '../../src/sampler/native.js';
import type { Waveform } from '../hardware/waveform.mjs';
import { buildEmulatedAddon } from './build.js';

export type HardwareFault =
  | 'none'
  /** An I/O error. */
  | 'failed-read'
  /** Perf: fewer bytes than there should be, or none at all. */
  | 'short'
  | 'eof'
  | 'frozen'
  /** Begins again from 0, once. */
  | 'reset'
  /** May not be opened; a controller answers with an error code. */
  | 'refuse'
  /** A controller that does not answer in time, and a driver that returns after 2 s whatever time it was given. */
  | 'timeout'
  | 'hang'
  | 'garbage';

interface EmulatedCounter {
  /** `<interface>/<domain>`, for faults. */
  readonly name: string;
  readonly domain: string;
  /** The CPUs that it can be read from. */
  readonly cpus: readonly number[];
  /** It counts in 2^-exponent J. */
  readonly exponent: number;
  /** Units from its first value to its wrap; 0: it begins at 0. */
  readonly unitsToWrap: number;
}

export interface EmulatedHardware {
  /** CLOCK_MONOTONIC at which every waveform begins, ns. */
  readonly startNs: number;
  readonly waveforms: Readonly<Record<string, Waveform>>;
  readonly events: readonly (EmulatedCounter & { readonly type: number; readonly config: number })[];
  readonly registers: readonly (EmulatedCounter & { readonly address: number })[];
  readonly constants: readonly { readonly address: number; readonly cpus: readonly number[]; readonly value: number }[];
  readonly controllers: readonly { readonly name: string; readonly domain: string; readonly device: string }[];
}

export interface EmulatedAddon extends NativeAddon {
  readonly emulation: {
    /** Several nodes may be added: they differ by names, CPU numbers, event types and devices. */
    add(hardware: EmulatedHardware): void;
    /** Forgets all of it; what is open fails from then on. */
    clear(): void;
    /** `name`: of a counter or controller, or an interface. False where there is none of that name. */
    fault(name: string, kind: HardwareFault): boolean;
    unplug(cpu: number, away: boolean): void;
    /** waveform.mjs's energyUj, by the C++ that the counters are made of. */
    energyUj(waveform: Waveform, elapsedNs: number): number;
  };
}

/** Builds what has changed, and loads it. One machine per process: whoever adds hardware clears it at the end. */
export async function loadEmulatedAddon(): Promise<EmulatedAddon> {
  return createRequire(import.meta.url)(await buildEmulatedAddon()) as EmulatedAddon;
}
