/**
 * Attribution rule `wattle-1`: splits the joules of one node and one window over their owners.
 * Pure arithmetic on numbers; docs/physics.md states the equations by the same names.
 */
import type { DomainGroup, OwnerKind } from '../contract/index.js';

/** Name and version, stored with every row. A change of any equation below is a new version. */
export const RULE = 'wattle-1';

/** One job's part in a window. */
export interface JobShare {
  /** Cores allocated to the job on this node. */
  readonly cores: number;
  /** GPUs allocated to the job on this node. */
  readonly gpus: number;
  /** CPU time burnt in the window, ns. */
  readonly cpuNs: number;
}

export interface Window {
  readonly durationNs: number;
  /** Joules of the node in the window per domain group, in microjoules. */
  readonly microjoules: Readonly<Record<DomainGroup, number>>;
  /** Cores and GPUs of the node. */
  readonly cores: number;
  readonly gpus: number;
  /** CPU time of processes in no job, ns. */
  readonly systemCpuNs: number;
  /** The idle floor of the package domains, in watts. */
  readonly idleFloorWatts: number;
  readonly jobs: readonly JobShare[];
}

export type OwnerShare = Record<DomainGroup, number>;

export interface Attribution {
  readonly jobs: readonly OwnerShare[];
  readonly idle: OwnerShare;
  readonly system: OwnerShare;
}

/** Owners that are no job, in the order in which rows list them. */
export const NODE_OWNERS = ['idle', 'system'] as const satisfies readonly OwnerKind[];

const nothing = (): OwnerShare => ({ package: 0, dram: 0, gpu: 0, other: 0 });

/**
 * Splits `amount` by allocated share: job j gets amount x held_j / max(capacity, sum of held), idle the rest.
 * With more held than there is (oversubscription) the jobs share what there is.
 */
function splitByAllocation(
  amount: number,
  group: DomainGroup,
  held: readonly number[],
  capacity: number,
  into: Attribution,
): void {
  const total = held.reduce((sum, share) => sum + share, 0);
  const whole = Math.max(capacity, total);
  if (whole === 0) {
    into.idle[group] += amount;
    return;
  }
  let left = amount;
  into.jobs.forEach((share, index) => {
    const part = (amount * (held[index] ?? 0)) / whole;
    share[group] += part;
    left -= part;
  });
  // The sum of the parts may exceed the amount by a rounding error; a negative share would break law 2.
  into.idle[group] += total >= capacity ? 0 : Math.max(0, left);
}

/**
 * Rule `wattle-1`. Shares are microjoules with fractions; their sum is the window's energy up to floating
 * point, and the caller rounds them to whole microjoules that add up exactly (law 1).
 */
export function attribute(window: Window): Attribution {
  const out: Attribution = { jobs: window.jobs.map(nothing), idle: nothing(), system: nothing() };
  const cores = window.jobs.map((job) => job.cores);

  // E_floor = min(E_pkg, P_floor x dt): 1 W = 1 uJ / 1000 ns.
  const floor = Math.min(window.microjoules.package, (window.idleFloorWatts * window.durationNs) / 1000);
  splitByAllocation(floor, 'package', cores, window.cores, out);

  // E_dyn by CPU time over jobs and system; without any CPU time there is nothing to tell them apart by.
  const dynamic = window.microjoules.package - floor;
  const jobCpu = window.jobs.reduce((sum, job) => sum + job.cpuNs, 0);
  const allCpu = jobCpu + window.systemCpuNs;
  if (allCpu > 0) {
    window.jobs.forEach((job, index) => {
      const share = out.jobs[index];
      if (share) share.package += (dynamic * job.cpuNs) / allCpu;
    });
    out.system.package += (dynamic * window.systemCpuNs) / allCpu;
  } else {
    splitByAllocation(dynamic, 'package', cores, window.cores, out);
  }

  splitByAllocation(window.microjoules.dram, 'dram', cores, window.cores, out);
  splitByAllocation(window.microjoules.other, 'other', cores, window.cores, out);
  const gpus = window.jobs.map((job) => job.gpus);
  splitByAllocation(window.microjoules.gpu, 'gpu', gpus, window.gpus, out);
  return out;
}

/**
 * Rounds shares to whole microjoules that add up to `total` exactly: each is rounded down, and the largest
 * takes what is left. No share becomes negative.
 */
export function roundToTotal(shares: readonly number[], total: number): number[] {
  const rounded = shares.map((share) => Math.max(0, Math.floor(share)));
  let left = total - rounded.reduce((sum, share) => sum + share, 0);
  // Usually one round: `left` is the lost fractions. Where floating point summed to a hair more than the
  // total, `left` is negative and is taken from the largest shares until it is used up.
  while (left !== 0 && rounded.length > 0) {
    const largest = rounded.indexOf(Math.max(...rounded));
    const change = Math.max(left, -(rounded[largest] ?? 0));
    if (change === 0) break;
    rounded[largest] = (rounded[largest] ?? 0) + change;
    left -= change;
  }
  return rounded;
}
