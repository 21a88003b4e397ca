/** What becomes of ticks: watts now, mean, least, most and a short history of each domain. Pure, and cheap per tick. */
import { coverage, type DomainReading, meanWatts } from '../../../sampler/index.js';

/** Least and most are of mean powers over such steps: a counter's own millisecond makes 1 % of them. */
const STEP_NS = 100e6;
/** `now` is the mean over the last half second, and each mark of the history one such. */
const NOW_NS = 500e6;
/** Longer than any terminal is wide. */
const HISTORY = 512;
/** What has not come for this long, and for this many of its usual intervals, is not merely on its way. */
const LATE_NS = 2.5e9;
const LATE_INTERVALS = 2.5;
/** What is covered but for clock readings is covered. */
const FULL_COVERAGE = 0.9995;

export interface DomainFigures {
  /** Watts of the last half second, or between the last two readings where they lie further apart. */
  readonly now: number | null;
  readonly mean: number | null;
  readonly min: number | null;
  readonly max: number | null;
  /** Oldest first, one per half second; null where nothing was known yet. */
  readonly history: readonly (number | null)[];
  /** Microjoules since the first reading. */
  readonly energyUj: number;
  /** 0 to 1, of the time since the first reading. */
  readonly coverage: number;
  /** Times at which the energy was known first and last, CLOCK_MONOTONIC ns; 0: never. */
  readonly sinceNs: number;
  readonly knownAtNs: number;
}

/** Follows one domain. */
export class DomainFollower {
  #first: DomainReading | null = null;
  #last: DomainReading | null = null;
  /** Readings at steps, the oldest at least NOW_NS before the last where there is one. */
  #steps: DomainReading[] = [];
  #min: number | null = null;
  #max: number | null = null;
  readonly #history: (number | null)[] = [];

  /** At each step of the clock. */
  step(reading: DomainReading): void {
    if (reading.knownAtNs === 0) return;
    this.#first ??= reading;
    this.#last = reading;
    const previous = this.#steps.at(-1);
    if (previous === undefined) {
      this.#steps.push(reading);
      return;
    }
    const watts = meanWatts(previous, reading);
    // No news, or so soon after the last that the counter's own period shows.
    if (watts === null || reading.knownAtNs - previous.knownAtNs < STEP_NS / 2) return;
    this.#min = Math.min(this.#min ?? watts, watts);
    this.#max = Math.max(this.#max ?? watts, watts);
    this.#steps.push(reading);
    while (reading.knownAtNs - (this.#steps[1]?.knownAtNs ?? Infinity) >= NOW_NS * 0.95) this.#steps.shift();
  }

  /** Once per half second. */
  mark(atNs: number): void {
    this.#history.push(this.#now(atNs));
    if (this.#history.length > HISTORY) this.#history.shift();
  }

  #now(atNs: number): number | null {
    const [oldest] = this.#steps;
    const newest = this.#steps.at(-1);
    if (oldest === undefined || newest === undefined || this.#isLate(atNs)) return null;
    return meanWatts(oldest, newest);
  }

  /** Whether the next reading should have come long ago. */
  #isLate(atNs: number): boolean {
    const [previous, last] = this.#steps.slice(-2);
    const usualNs = previous === undefined || last === undefined ? 0 : last.knownAtNs - previous.knownAtNs;
    return atNs - (this.#last?.knownAtNs ?? 0) > Math.max(LATE_NS, usualNs * LATE_INTERVALS);
  }

  figures(untilNs: number): DomainFigures {
    const [first, last] = [this.#first, this.#last];
    const [mean, energyUj] =
      first === null || last === null ? [null, 0] : [meanWatts(first, last), last.energyUj - first.energyUj];
    const share =
      first === null || last === null ? 0 : coverage(first, last, this.#isLate(untilNs) ? untilNs : last.knownAtNs);
    return {
      now: this.#now(untilNs),
      mean,
      min: this.#min,
      max: this.#max,
      history: this.#history,
      energyUj,
      coverage: share >= FULL_COVERAGE ? 1 : share,
      sinceNs: first?.knownAtNs ?? 0,
      knownAtNs: last?.knownAtNs ?? 0,
    };
  }
}

/** CPU time of a job: a cumulative counter that is not read at every tick. */
export class CpuFollower {
  #first: { readonly cpuNs: number; readonly atNs: number } | null = null;
  #steps: { readonly cpuNs: number; readonly atNs: number }[] = [];

  step(cpuNs: number, atNs: number): void {
    if (Number.isNaN(cpuNs)) return;
    const reading = { cpuNs, atNs };
    this.#first ??= reading;
    this.#steps.push(reading);
    while (atNs - (this.#steps[1]?.atNs ?? Infinity) >= NOW_NS) this.#steps.shift();
  }

  /** Cores kept busy now and on the mean, and CPU seconds since the first reading; null before the second. */
  figures(): { readonly now: number; readonly mean: number; readonly cpuSeconds: number } | null {
    const [oldest, newest] = [this.#steps[0], this.#steps.at(-1)];
    if (this.#first === null || oldest === undefined || newest === undefined || newest.atNs <= oldest.atNs) return null;
    const cores = (from: { cpuNs: number; atNs: number }): number =>
      Math.max(0, newest.cpuNs - from.cpuNs) / (newest.atNs - from.atNs);
    return { now: cores(oldest), mean: cores(this.#first), cpuSeconds: (newest.cpuNs - this.#first.cpuNs) / 1e9 };
  }
}

/** Keeps the rhythm, and begins a new one after a time without ticks. */
function nextDue(dueNs: number, everyNs: number, nowNs: number): number {
  return dueNs + everyNs > nowNs ? dueNs + everyNs : nowNs + everyNs;
}

/** Follows all domains of a sampler; take() is called at every tick. */
export class Followers {
  readonly #domains: readonly DomainFollower[];
  #stepDueNs = 0;
  #markDueNs = 0;
  #firstNs = 0;
  #lastNs = 0;

  constructor(domains: number) {
    this.#domains = Array.from({ length: domains }, () => new DomainFollower());
  }

  /**
   * @param read a domain's reading at this tick; asked for only where a step is due
   * @param last whether it is the last tick: then it counts, due or not
   */
  take(monoNs: number, read: (domain: number) => DomainReading, last = false): void {
    if (this.#firstNs === 0) {
      this.#firstNs = monoNs;
      this.#markDueNs = monoNs + NOW_NS;
    }
    this.#lastNs = monoNs;
    // Ticks are late by varying times: a little early counts as due.
    if (!last && monoNs < this.#stepDueNs - STEP_NS / 20) return;
    this.#stepDueNs = nextDue(this.#stepDueNs, STEP_NS, monoNs);
    this.#domains.forEach((domain, index) => {
      domain.step(read(index));
    });
    if (monoNs < this.#markDueNs - STEP_NS / 20) return;
    this.#markDueNs = nextDue(this.#markDueNs, NOW_NS, monoNs);
    for (const domain of this.#domains) domain.mark(monoNs);
  }

  /** From the first tick to the last, ns. */
  get elapsedNs(): number {
    return this.#lastNs - this.#firstNs;
  }

  figures(): DomainFigures[] {
    return this.#domains.map((domain) => domain.figures(this.#lastNs));
  }
}
