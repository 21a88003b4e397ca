/** Samples kept for a test: cumulative energy and coverage of each domain, read at any instant. */
import { monotonicNs, type Sampler } from '../../src/sampler/index.js';

/** One tick, by domain index. */
export interface Recorded {
  readonly monoNs: number;
  readonly forced: boolean;
  readonly energyUj: readonly number[];
  readonly coveredNs: readonly number[];
  readonly knownAtNs: readonly number[];
}

/** A domain's totals, and when they were true: the reading's own time, not that of the tick that brought it. */
interface Known {
  readonly atNs: number;
  readonly energyUj: number;
  readonly coveredNs: number;
}

/** A machine that is so busy that nothing comes for this long fails the test instead of hanging it. */
const PATIENCE_NS = 60e9;

export class Recording {
  readonly ticks: Recorded[] = [];
  /** By domain index. */
  readonly #known: Known[][];

  constructor(private readonly sampler: Sampler) {
    this.#known = sampler.domains.map(() => []);
  }

  /** Takes in what was sampled since the last call. */
  drain(): void {
    const { domains } = this.sampler;
    this.sampler.drain((tick) => {
      this.ticks.push({
        monoNs: tick.monoNs,
        forced: tick.forced,
        energyUj: domains.map(({ index }) => tick.energyUj(index)),
        coveredNs: domains.map(({ index }) => tick.coveredNs(index)),
        knownAtNs: domains.map(({ index }) => tick.knownAtNs(index)),
      });
      for (const { index } of domains) {
        const atNs = tick.knownAtNs(index);
        const known = this.#known[index];
        if (known === undefined || atNs === 0 || atNs === known.at(-1)?.atNs) continue;
        known.push({ atNs, energyUj: tick.energyUj(index), coveredNs: tick.coveredNs(index) });
      }
    });
  }

  /** Samples until `monoNs` has passed, and one tick more. */
  async until(monoNs: number): Promise<void> {
    await this.#wait(() => this.last().monoNs > monoNs, 20);
  }

  /** Samples until each of the domains (default: all) is known up to `monoNs`. */
  async known(monoNs: number, domains = this.sampler.domains.map(({ index }) => index)): Promise<void> {
    await this.#wait(() => domains.every((index) => this.knownAtNs(index) >= monoNs), 10);
  }

  /** A tick right now; resolves to it once it has been taken. */
  async tickNow(): Promise<Recorded> {
    const before = this.ticks.length;
    let taken: Recorded | undefined;
    this.sampler.forceTick();
    await this.#wait(() => {
      taken = this.ticks.slice(before).find((tick) => tick.forced);
      return taken !== undefined;
    }, 1);
    return taken as unknown as Recorded;
  }

  last(): Recorded {
    return this.ticks.at(-1) ?? { monoNs: 0, forced: false, energyUj: [], coveredNs: [], knownAtNs: [] };
  }

  /** Up to when a domain's energy is known; 0 before its first reading. */
  knownAtNs(domain: number): number {
    return this.#known[domain]?.at(-1)?.atNs ?? 0;
  }

  /** The times at which a domain's energy became known. */
  readings(domain: number): readonly Known[] {
    return this.#known[domain] ?? [];
  }

  /** Microjoules of a domain between two instants, straight lines between its readings. */
  energyBetween(domain: number, fromNs: number, toNs: number): number {
    return this.#at(domain, toNs, 'energyUj') - this.#at(domain, fromNs, 'energyUj');
  }

  /** Sampled share of a span, 0 to 1. */
  coverageBetween(domain: number, fromNs: number, toNs: number): number {
    return (this.#at(domain, toNs, 'coveredNs') - this.#at(domain, fromNs, 'coveredNs')) / (toNs - fromNs);
  }

  #at(domain: number, ns: number, value: 'energyUj' | 'coveredNs'): number {
    const known = this.#known[domain] ?? [];
    const after = known.findIndex(({ atNs }) => atNs >= ns);
    const right = known[after];
    if (right === undefined) throw new Error('that instant is not known yet');
    const left = known[after - 1];
    if (left === undefined || right.atNs === ns) return right[value];
    const share = (ns - left.atNs) / (right.atNs - left.atNs);
    return left[value] + share * (right[value] - left[value]);
  }

  async #wait(done: () => boolean, everyMs: number): Promise<void> {
    const deadlineNs = monotonicNs() + PATIENCE_NS;
    this.drain();
    while (!done()) {
      if (monotonicNs() > deadlineNs) throw new Error('the sampler gave nothing new for a minute');
      await new Promise((resolve) => setTimeout(resolve, everyMs));
      this.drain();
    }
  }
}
