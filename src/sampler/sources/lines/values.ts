import { NS_PER_MS } from '../clock.js';
import type { Condition } from '../condition.js';
import { EnergyCounter } from '../energy-counter.js';
import { shown } from '../problem.js';
import type { SourceReading } from '../source.js';
import { MeanThinning, type Timed } from './thinning.js';

export interface ValueLimits {
  readonly unit: 'watts' | 'joules';
  /** Readings closer together are taken together. 0: each is reported. */
  readonly everyMs: number;
  readonly maxWatts: number;
}

/** A line that is cut now and then is no news. */
const FEW_DROPPED = 10;
const MOST_DROPPED_RATIO = 0.01;

/** Checks a meter's values, thins them out and reports them; counts what it drops. */
export class Values {
  readonly #limits: ValueLimits;
  readonly #condition: Condition;
  readonly #report: (reading: SourceReading) => void;
  readonly #means: MeanThinning;
  readonly #counter = new EnergyCounter();
  #lastNs = Number.NEGATIVE_INFINITY;
  #reported = 0;
  #dropped = 0;
  #taken = 0;
  #whyDropped = '';

  constructor(limits: ValueLimits, condition: Condition, report: (reading: SourceReading) => void) {
    this.#limits = limits;
    this.#condition = condition;
    this.#report = report;
    this.#means = new MeanThinning(limits.everyMs);
  }

  get reported(): number {
    return this.#reported;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** What is wrong although readings come; null where nothing is. */
  get complaint(): string | null {
    const all = this.#taken + this.#dropped;
    if (this.#dropped < FEW_DROPPED || this.#dropped <= MOST_DROPPED_RATIO * all) return null;
    return `${this.#dropped} of ${all} lines could not be used, the last: ${this.#whyDropped}`;
  }

  take(value: number, monoNs: number): void {
    const { unit, maxWatts } = this.#limits;
    if (!Number.isFinite(value) || value < 0 || (unit === 'watts' && value > maxWatts)) {
      this.drop(
        `it shows ${value} ${unit}, where 0 to ${unit === 'watts' ? `${maxWatts} (max_watts)` : 'a sum'} is due`,
      );
      return;
    }
    this.#taken++;
    if (unit === 'watts') {
      for (const mean of this.#means.add({ value, monoNs })) this.#emit(mean);
    } else {
      this.#energy(value, monoNs);
    }
  }

  drop(why: string, line?: string): void {
    this.#dropped++;
    this.#whyDropped = `${why}${line === undefined ? '' : `: ${shown(line, 60)}`}`;
    this.#condition.bad(`the meter's lines cannot be used (${this.#dropped} so far): ${this.#whyDropped}`);
  }

  /** What comes now does not follow on what has come: no mean over both. */
  gap(why: string): void {
    this.#condition.bad(why);
    for (const mean of this.#means.flush()) this.#emit(mean);
  }

  #energy(value: number, monoNs: number): void {
    if (monoNs - this.#lastNs < this.#limits.everyMs * NS_PER_MS) return;
    const joules = this.#counter.step(value);
    if (joules === null) this.#condition.bad("the meter's energy counter stands still");
    else this.#emit({ value: joules, monoNs });
  }

  #emit(reading: Timed): void {
    // Not later than the last: a clock was set, or a line came twice.
    if (reading.monoNs <= this.#lastNs) return;
    this.#lastNs = reading.monoNs;
    this.#reported++;
    const { unit } = this.#limits;
    this.#condition.good({ unit, ...reading });
    this.#report({ unit, ...reading });
  }
}
