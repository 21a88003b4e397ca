/** Samples kept for a test: cumulative energy and coverage of each domain at each tick, read at any instant. */
import type { Sampler } from '../../src/sampler/index.js';

export interface Recorded {
  readonly monoNs: number;
  readonly forced: boolean;
  readonly energyUj: readonly number[];
  readonly coveredNs: readonly number[];
}

export class Recording {
  readonly ticks: Recorded[] = [];

  constructor(private readonly sampler: Sampler) {}

  /** Takes in what was sampled since the last call. */
  drain(): void {
    this.sampler.drain((tick) => {
      this.ticks.push({
        monoNs: tick.monoNs,
        forced: tick.forced,
        energyUj: this.sampler.domains.map((domain) => tick.energyUj(domain.index)),
        coveredNs: this.sampler.domains.map((domain) => tick.coveredNs(domain.index)),
      });
    });
  }

  /** Samples until `monoNs` has passed, and one tick more. */
  async until(monoNs: number): Promise<void> {
    while (this.last().monoNs <= monoNs) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      this.drain();
    }
  }

  /** A tick right now; resolves to it once it has been taken. */
  async tickNow(): Promise<Recorded> {
    const before = this.ticks.length;
    this.sampler.forceTick();
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      this.drain();
      const taken = this.ticks.slice(before).find((tick) => tick.forced);
      if (taken !== undefined) return taken;
    }
  }

  last(): Recorded {
    return this.ticks.at(-1) ?? { monoNs: 0, forced: false, energyUj: [], coveredNs: [] };
  }

  /** Microjoules of a domain between two instants, straight lines between ticks. */
  energyBetween(domain: number, fromNs: number, toNs: number): number {
    return (
      this.#at(toNs, (tick) => tick.energyUj[domain] ?? 0) - this.#at(fromNs, (tick) => tick.energyUj[domain] ?? 0)
    );
  }

  /** Sampled share of a span, 0 to 1. */
  coverageBetween(domain: number, fromNs: number, toNs: number): number {
    const covered = (ns: number) => this.#at(ns, (tick) => tick.coveredNs[domain] ?? 0);
    return (covered(toNs) - covered(fromNs)) / (toNs - fromNs);
  }

  #at(ns: number, value: (tick: Recorded) => number): number {
    const after = this.ticks.findIndex((tick) => tick.monoNs >= ns);
    const right = this.ticks[after];
    if (right === undefined) throw new Error('that instant has not been sampled yet');
    const left = this.ticks[after - 1];
    if (left === undefined || right.monoNs === ns) return value(right);
    const share = (ns - left.monoNs) / (right.monoNs - left.monoNs);
    return value(left) + share * (value(right) - value(left));
  }
}
