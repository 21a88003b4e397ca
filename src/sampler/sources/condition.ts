import { monotonicNs, NS_PER_MS } from './clock.js';

/** Whether readings come, and if not, what was last seen to be wrong. */
export class Condition {
  readonly #freshForNs: number;
  #goodNs = Number.NEGATIVE_INFINITY;
  #why = 'no reading has come yet';

  /** Readings further apart than `freshForMs` have ceased to come. */
  constructor(freshForMs: number) {
    this.#freshForNs = freshForMs * NS_PER_MS;
  }

  good(): void {
    this.#goodNs = monotonicNs();
    this.#why = 'readings have ceased to come';
  }

  bad(why: string): void {
    this.#why = why;
  }

  get problem(): string | null {
    return monotonicNs() - this.#goodNs <= this.#freshForNs ? null : this.#why;
  }
}
