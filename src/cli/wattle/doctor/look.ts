/** Samples the node for a moment with every meter it has, beside whatever else reads them. */
import {
  coverage,
  type Domain,
  type DomainHealth,
  type DomainReading,
  type GpuStatus,
  meanWatts,
  Sampler,
  type SamplerOptions,
  type SamplerStats,
} from '../../../sampler/index.js';

/** Fast meters have a dozen readings by then. */
const USUAL_MS = 1200;
/** A management controller has two: it measures about once a second. */
const LONGEST_MS = 3500;
/** From here on the sampling thread is urgent, where it may: what this machine's timers are worth is seen then. */
const LEAST_HZ = 100;
const PACE_MS = 50;

export interface SeenDomain {
  readonly domain: Domain;
  /** Mean over the time that was looked; null where it had less than two readings. */
  readonly watts: number | null;
  /** 0 to 1, between its first and its last reading. */
  readonly coverage: number;
  readonly health: DomainHealth;
  /** What its meter says is wrong, where it is one outside the node. */
  readonly problem: string | null;
}

export interface Look {
  /** By domain index. */
  readonly domains: readonly SeenDomain[];
  readonly reasons: readonly string[];
  readonly gpus: readonly GpuStatus[];
  readonly stats: SamplerStats;
  readonly seconds: number;
}

/** @throws {WattleError} where no meter finds anything, see Sampler */
export async function lookAtNode(options: SamplerOptions): Promise<Look> {
  const rateHz = Math.max(LEAST_HZ, options.rateHz ?? 0);
  const sampler = new Sampler({ ...options, rateHz, ringSeconds: 5, cpuSlots: 4, witnesses: 'all' });
  const first: (DomainReading | undefined)[] = [];
  const last: (DomainReading | undefined)[] = [];
  const note = (): void => {
    sampler.latest()?.domains.forEach((reading, index) => {
      if (reading.knownAtNs === 0) return;
      first[index] ??= reading;
      last[index] = reading;
    });
  };
  const wattsOf = (index: number): number | null => {
    const [from, to] = [first[index], last[index]];
    return from === undefined || to === undefined ? null : meanWatts(from, to);
  };
  const began = performance.now();
  const elapsedMs = (): number => performance.now() - began;
  sampler.start();
  try {
    do {
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
      note();
    } while (
      elapsedMs() < USUAL_MS ||
      (elapsedMs() < LONGEST_MS && sampler.domains.some(({ index }) => wattsOf(index) === null))
    );
    const stats = sampler.stats();
    const problems = sampler.problems();
    const none = { failedReads: 0, wraps: 0, resets: 0, gaps: 0, freezes: 0 };
    return {
      domains: sampler.domains.map((domain, index): SeenDomain => {
        const [from, to] = [first[index], last[index]];
        const covered = from === undefined || to === undefined ? 0 : coverage(from, to);
        const problem = problems.find(({ meter }) => meter === domain.meter)?.problem ?? null;
        return { domain, watts: wattsOf(index), coverage: covered, health: stats.domains[index] ?? none, problem };
      }),
      reasons: sampler.reasons,
      gpus: sampler.gpus(),
      stats,
      seconds: elapsedMs() / 1000,
    };
  } finally {
    sampler.stop();
    await sampler.settled();
  }
}
