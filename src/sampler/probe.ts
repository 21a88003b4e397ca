import { loadAddon } from './loader.js';
import type { Domain, MeterKind, MeterOptions } from './types.js';

/** What a meter finds on this host. */
export interface MeterProbe {
  readonly kind: MeterKind;
  readonly available: boolean;
  /** Where it is not available: what was found, and what would give it. */
  readonly reason?: string;
  readonly remedy?: string;
  readonly domains: readonly Omit<Domain, 'index'>[];
}

export interface ProbeOptions {
  /** Where sysfs is mounted. Default `/sys`. */
  readonly sysfs?: string;
  /** The configured meters: `model` is available where its profile is declared. */
  readonly meters?: readonly MeterOptions[];
}

/** CLOCK_MONOTONIC now in ns: the clock of TickView.monoNs. */
export function monotonicNs(): number {
  return loadAddon().monotonicNs();
}

/** What each known meter finds on this host, best first. */
export function probeMeters(options: ProbeOptions): MeterProbe[] {
  return [probePowercap(options.sysfs ?? '/sys'), probeModel(options.meters ?? [])];
}

function probePowercap(sysfs: string): MeterProbe {
  const kind = 'rapl-powercap';
  const { outcome, path, domains } = loadAddon().probePowercap(sysfs);
  switch (outcome) {
    case 'available':
      return { kind, available: true, domains };
    case 'absent':
      return {
        kind,
        available: false,
        reason: `there is no RAPL zone in ${path}`,
        remedy:
          'Load the kernel module with `modprobe intel_rapl_msr` (Intel; AMD Zen from Linux 5.11). ' +
          'Virtual machines have no RAPL: declare a profile for the meter `model`.',
        domains,
      };
    case 'forbidden':
      return {
        kind,
        available: false,
        reason: `${path} may not be read by this process`,
        remedy: 'Give the agent CAP_DAC_READ_SEARCH (AmbientCapabilities= in its unit), or run it as root.',
        domains,
      };
    case 'unreadable':
      return {
        kind,
        available: false,
        reason: `${path} is there but gives no number`,
        remedy: 'Look at `dmesg | grep -i rapl`; reloading the module intel_rapl_msr may help.',
        domains,
      };
  }
}

function probeModel(meters: readonly MeterOptions[]): MeterProbe {
  const kind = 'model';
  const profile = meters.find((meter) => meter.kind === kind);
  if (profile === undefined) {
    return {
      kind,
      available: false,
      reason: 'no power profile is declared',
      remedy: 'Set idle_watts and watts_per_core under [sampler.model].',
      domains: [],
    };
  }
  const estimate = { meter: kind, quality: 'estimated', parent: null } as const;
  const domains: Omit<Domain, 'index'>[] = [{ ...estimate, name: 'package', kind: 'package' }];
  if ((profile.gpuWatts ?? 0) > 0) domains.push({ ...estimate, name: 'gpu', kind: 'gpu' });
  return { kind, available: true, domains };
}
