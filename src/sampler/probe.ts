import { advise } from './advice.js';
import { loadAddon } from './loader.js';
import type { NativeAddon, NativeProbe } from './native.js';
import { nativeMeter } from './options.js';
import type { Offer, OfferedDomain } from './tree.js';
import type { MeterKind, MeterOptions, SamplerOptions } from './types.js';

/** What a meter finds on this host. */
export interface MeterProbe {
  readonly kind: MeterKind;
  readonly available: boolean;
  /** `forbidden` and `unreadable`: its interface is there, but not for this process, or gives no reading. */
  readonly outcome: NativeProbe['outcome'];
  /** Where it is not available: what was found, and what would give it. */
  readonly reason?: string;
  readonly remedy?: string;
  /** What an administrator should know although it works. */
  readonly notes: readonly string[];
  readonly domains: readonly OfferedDomain[];
}

/** CLOCK_MONOTONIC now in ns: the clock of TickView.monoNs. */
export function monotonicNs(): number {
  return loadAddon().monotonicNs();
}

/** What each of the meters finds on this host, in their order. Opens and closes their interfaces. */
export function probeMeters(
  options: Pick<SamplerOptions, 'sysfs' | 'procfs' | 'meters'>,
  addon: NativeAddon = loadAddon(),
): MeterProbe[] {
  return options.meters.map((meter) => probeMeter(meter, options, addon));
}

function probeMeter(meter: MeterOptions, options: Partial<SamplerOptions>, addon: NativeAddon): MeterProbe {
  const { kind } = meter;
  const found = addon.probeMeter(nativeMeter(meter, options));
  const { outcome, domains, notes } = found;
  if (outcome === 'available') return { kind, available: true, outcome, notes, domains };
  return { kind, available: false, outcome, ...advise(kind, found), notes, domains };
}

/** What the available meters offer to the tree. */
export function offersOf(probes: readonly MeterProbe[]): Offer[] {
  return probes.filter(({ available }) => available).map(({ kind, domains }): Offer => ({ meter: kind, domains }));
}
