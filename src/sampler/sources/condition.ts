import { monotonicNs, NS_PER_MS } from './clock.js';
import type { Hold } from './hold.js';
import type { SourceReading } from './source.js';

/** One silence is an outage; a second one in a row is how often the meter speaks. */
const TOO_FAR_IN_A_ROW = 2;

/** Whether readings come, and often enough, and if not, what was last seen to be wrong. */
export class Condition {
  readonly #freshForNs: number;
  readonly #hold: Hold;
  #goodNs = Number.NEGATIVE_INFINITY;
  #why = 'no reading has come yet';
  #lastNs = Number.NEGATIVE_INFINITY;
  #holdNs = 0;
  #apartNs = 0;
  #tooFar = 0;

  /** Where readings come further apart than `freshForMs`, three times their distance may pass before they are missed. */
  constructor(freshForMs: number, hold: Hold) {
    this.#freshForNs = freshForMs * NS_PER_MS;
    this.#hold = hold;
  }

  good({ unit, monoNs }: Omit<SourceReading, 'value'>): void {
    this.#goodNs = monotonicNs();
    this.#why = 'readings have ceased to come';
    this.#holdNs = this.#hold[unit] * NS_PER_MS;
    if (Number.isFinite(this.#lastNs)) {
      this.#apartNs = monoNs - this.#lastNs;
      this.#tooFar = this.#apartNs > this.#holdNs ? this.#tooFar + 1 : 0;
    }
    this.#lastNs = monoNs;
  }

  bad(why: string): void {
    this.#why = why;
  }

  get problem(): string | null {
    const sinceNs = monotonicNs() - this.#goodNs;
    if (this.#tooFar >= TOO_FAR_IN_A_ROW && sinceNs <= Math.max(this.#freshForNs, 3 * this.#apartNs)) {
      const apart = Number((this.#apartNs / 1e9).toPrecision(3));
      const hold = `hold = "${this.#holdNs / 1e9}s"`;
      return `readings come ${apart} s apart, longer than ${hold}, so what lies between is not booked: raise hold`;
    }
    return sinceNs <= Math.max(this.#freshForNs, Math.min(this.#holdNs, 3 * this.#apartNs)) ? null : this.#why;
  }
}
