import { NS_PER_MS } from '../clock.js';

export interface Timed {
  readonly value: number;
  readonly monoNs: number;
}

/** Means over `everyMs`, each at the mean time of its readings: what is integrated of them is what was measured. */
export class MeanThinning {
  readonly #everyNs: number;
  #fromNs = Number.NEGATIVE_INFINITY;
  #count = 0;
  #sum = 0;
  #sumNs = 0;
  /** Readings come further apart than the means: there is nothing to wait for. */
  #slow: boolean;

  constructor(everyMs: number) {
    this.#everyNs = everyMs * NS_PER_MS;
    this.#slow = everyMs === 0;
  }

  /** Takes a reading; returns the means that it completes. */
  add({ value, monoNs }: Timed): Timed[] {
    const done: Timed[] = [];
    const apart = monoNs - this.#fromNs >= this.#everyNs;
    if (apart) {
      if (this.#count > 0) this.#slow = this.#count === 1;
      done.push(...this.flush());
    } else if (this.#everyNs > 0) {
      this.#slow = false;
    }
    if (this.#count === 0) this.#fromNs = monoNs;
    this.#count++;
    this.#sum += value;
    this.#sumNs += monoNs - this.#fromNs;
    if (this.#slow) done.push(...this.flush());
    return done;
  }

  /** The mean of what has come since the last one, if anything has. */
  flush(): Timed[] {
    if (this.#count === 0) return [];
    const mean = { value: this.#sum / this.#count, monoNs: Math.round(this.#fromNs + this.#sumNs / this.#count) };
    this.#count = 0;
    this.#sum = 0;
    this.#sumNs = 0;
    return [mean];
  }
}
