/** What sampling itself took: CPU time, and the share of the packages' energy that goes with it. Pure. */
import type { Domain, SamplerStats } from '../../../sampler/index.js';
import type { DomainFigures } from './figures.js';

export interface OwnFigures {
  /** Shares of one core, 1 being all of it. */
  readonly samplingThread: number;
  readonly slowMeters: number;
  /** All of this process, the two above included. */
  readonly process: number;
  /** Null where no package was sampled. Always an estimate. */
  readonly joules: number | null;
}

export interface OwnTime {
  readonly stats: Pick<SamplerStats, 'cpuSeconds' | 'courierCpuSeconds'>;
  /** CPU time of this process since sampling began. */
  readonly processCpuSeconds: number;
  readonly elapsedSeconds: number;
  readonly onlineCpus: number;
}

/**
 * Energy is shared by CPU time: E_package x own CPU seconds / (CPUs x elapsed). Too low on an idle host, whose first
 * busy core costs more than its share, and about right on a busy one.
 */
export function ownFigures(
  { stats, processCpuSeconds, elapsedSeconds, onlineCpus }: OwnTime,
  domains: readonly Domain[],
  figures: readonly DomainFigures[],
): OwnFigures {
  const ofCore = (cpuSeconds: number): number => (elapsedSeconds > 0 ? cpuSeconds / elapsedSeconds : 0);
  const packages = domains.filter(({ kind, witnessOf }) => kind === 'package' && witnessOf === null);
  const microjoules = packages.reduce((sum, { index }) => sum + (figures[index]?.energyUj ?? 0), 0);
  return {
    samplingThread: ofCore(stats.cpuSeconds),
    slowMeters: ofCore(stats.courierCpuSeconds),
    process: ofCore(processCpuSeconds),
    joules: packages.length === 0 ? null : ((microjoules / 1e6) * ofCore(processCpuSeconds)) / onlineCpus,
  };
}
