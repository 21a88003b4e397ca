/**
 * Moments of the ring, reduced to what booking needs: cumulative joules per group, coverage, CPU time.
 *
 * Every meter has its own pace, so at the moment of a tick a domain's energy is seldom known to that very instant. A
 * moment therefore waits until each domain has a reading of it or later, and takes the value between its two
 * neighbours (law 5). A slow node meter neither blurs the edges of a fast one nor holds up the ticks.
 */
import type { DomainKind, Quality } from '../contract/index.js';
import { worstQuality } from '../contract/index.js';
import type { Domain, TickView } from '../sampler/index.js';

export interface Snapshot {
  /** CLOCK_MONOTONIC in ns and the wall clock in ms at the same instant. */
  readonly monoNs: number;
  readonly realMs: number;
  /** Cumulative microjoules; `node` is what a node meter saw, 0 without one. */
  readonly package: number;
  readonly dram: number;
  readonly gpu: number;
  readonly node: number;
  /**
   * Cumulative time in which each domain was sampled, ns, by kind. Each on its own: the least of cumulative times would
   * hide a gap of one domain behind an older one of another.
   */
  readonly coveredNs: CoveredNs;
  /** Cumulative CPU time by sampler slot, ns; NaN where it could not be read. */
  readonly cpuNs: readonly number[];
}

/**
 * Which domains count. psys contains package, package contains core and uncore: only `package`, `dram`, `gpu`
 * and `node` are added up, so no joule is counted twice (law 4).
 */
export const COUNTED_KINDS = ['package', 'dram', 'gpu', 'node'] as const satisfies readonly DomainKind[];
export type CountedKind = (typeof COUNTED_KINDS)[number];
export type CoveredNs = Readonly<Record<CountedKind, readonly number[]>>;

/**
 * A silent domain holds moments up for as long as a reading may still come whose difference is trusted, so that joules
 * of before and after a job's edge are told apart even then; what comes later is a gap by then, and brings none. So
 * much longer, for the reading to arrive: two of the domain's periods, and a busy machine.
 */
const ARRIVAL_NS = 2e9;
/** A domain of which every difference is trusted, however old, does not hold up the books for ever. */
const LONGEST_PENDING_NS = 900e9;

/** What was known of a domain at one time. */
interface Known {
  readonly atNs: number;
  readonly energyUj: number;
  readonly coveredNs: number;
}

/** The last two readings of a counted domain. */
interface Track {
  readonly domain: Domain;
  readonly maxPendingNs: number;
  before: Known;
  latest: Known;
}

/** A moment, and the domains' values at it as far as they are known yet; by index of the tracks. */
interface Moment {
  readonly monoNs: number;
  readonly realMs: number;
  readonly cpuNs: readonly number[];
  readonly values: (Known | undefined)[];
}

const UNKNOWN: Known = { atNs: 0, energyUj: 0, coveredNs: 0 };

export class SnapshotReader {
  readonly quality: Quality;
  readonly method: string;
  readonly hasNodeMeter: boolean;
  readonly gpus: number;
  readonly #tracks: readonly Track[];
  readonly #waiting: Moment[] = [];

  constructor(domains: readonly Domain[]) {
    const counted = domains.filter(
      ({ kind, witnessOf }) => witnessOf === null && (COUNTED_KINDS as readonly DomainKind[]).includes(kind),
    );
    this.#tracks = counted.map((domain) => ({
      domain,
      maxPendingNs: Math.min(domain.trustedGapNs, LONGEST_PENDING_NS) + 2e9 / domain.rateHz + ARRIVAL_NS,
      before: UNKNOWN,
      latest: UNKNOWN,
    }));
    this.quality = counted.map((domain) => domain.quality).reduce(worstQuality, 'measured');
    this.method = [...new Set(counted.map((domain) => domain.meter))].sort().join('+') || 'none';
    this.hasNodeMeter = counted.some(({ kind }) => kind === 'node');
    this.gpus = counted.filter(({ kind }) => kind === 'gpu').length;
  }

  /** Time of the last moment that waits for readings; null where none waits. */
  get lastWaitingNs(): number | null {
    return this.#waiting.at(-1)?.monoNs ?? null;
  }

  /** Takes note of what a tick tells. Every tick must pass here, in order: a reading may be the one that is waited for. */
  observe(tick: TickView): void {
    this.#tracks.forEach((track, index) => {
      const { index: domain } = track.domain;
      const atNs = tick.knownAtNs(domain);
      if (atNs <= track.latest.atNs) return;
      track.before = track.latest;
      track.latest = { atNs, energyUj: tick.energyUj(domain), coveredNs: tick.coveredNs(domain) };
      for (const moment of this.#waiting) {
        if (moment.monoNs > atNs) break;
        moment.values[index] ??= between(track.before, track.latest, moment.monoNs);
      }
    });
  }

  /**
   * Makes the moment of a tick one that a snapshot is wanted of; the tick has been observed.
   * @param slots how many CPU slots are in use, counted from slot 0
   */
  mark(tick: TickView, slots: number): void {
    const { monoNs, realMs } = tick;
    const cpuNs = Array.from({ length: slots }, (_, slot) => tick.cpuNs(slot));
    const values = this.#tracks.map(({ before, latest }) =>
      latest.atNs >= monoNs ? between(before, latest, monoNs) : undefined,
    );
    this.#waiting.push({ monoNs, realMs, cpuNs, values });
  }

  /**
   * Snapshots of the marked moments, in order, up to the first that still waits.
   * @param nowNs the present, by which a domain's silence is judged; Infinity: nothing more will come
   */
  take(nowNs: number): Snapshot[] {
    const waits = ({ values }: Moment): boolean =>
      this.#tracks.some(
        ({ latest, maxPendingNs }, index) => values[index] === undefined && nowNs - latest.atNs < maxPendingNs,
      );
    const firstWaiting = this.#waiting.findIndex(waits);
    const ready = this.#waiting.splice(0, firstWaiting < 0 ? this.#waiting.length : firstWaiting);
    return ready.map((moment) => this.#snapshot(moment));
  }

  /** Where a domain stayed silent it stands still: its time is a gap until a later reading covers it. */
  #snapshot({ monoNs, realMs, cpuNs, values }: Moment): Snapshot {
    const known = this.#tracks.map(({ latest }, index) => values[index] ?? latest);
    const sum = (kind: CountedKind): number =>
      known.reduce(
        (total, { energyUj }, index) => total + (this.#tracks[index]?.domain.kind === kind ? energyUj : 0),
        0,
      );
    const covered = (kind: CountedKind): number[] =>
      known.flatMap(({ coveredNs }, index) => (this.#tracks[index]?.domain.kind === kind ? [coveredNs] : []));
    return {
      monoNs,
      realMs,
      package: sum('package'),
      dram: sum('dram'),
      gpu: sum('gpu'),
      node: sum('node'),
      coveredNs: {
        package: covered('package'),
        dram: covered('dram'),
        gpu: covered('gpu'),
        node: covered('node'),
      },
      cpuNs,
    };
  }
}

/** Energy and coverage at an instant between two readings, rounded down so that later ones are never less. */
function between(before: Known, latest: Known, atNs: number): Known {
  if (atNs >= latest.atNs) return latest;
  // Before the first reading nothing is known: the counters stand where that reading found them.
  if (before.atNs === 0 || atNs <= before.atNs) return { ...(before.atNs === 0 ? latest : before), atNs };
  const share = (atNs - before.atNs) / (latest.atNs - before.atNs);
  const at = (from: number, to: number): number => from + Math.floor((to - from) * share);
  return {
    atNs,
    energyUj: at(before.energyUj, latest.energyUj),
    coveredNs: at(before.coveredNs, latest.coveredNs),
  };
}
