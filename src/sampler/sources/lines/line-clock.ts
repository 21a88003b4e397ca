import { NS_PER_MS } from '../clock.js';

/** The offset is the least of the last two of these. */
const WINDOW_NS = 30e9;
/** Lines are never that late: if they seem to be, a clock was set. */
const MOST_LATE_NS = 60e9;

/**
 * From a meter's own times to CLOCK_MONOTONIC. Programs hand lines over in bundles (a pipe is written 4 KiB at a time), so
 * that times of arrival lie; but the least delayed of many lines arrived almost at once, and tells how far the two clocks
 * are apart, whatever they are set to.
 */
export class LineClock {
  #windowFromNs = Number.NEGATIVE_INFINITY;
  #least = Number.POSITIVE_INFINITY;
  #leastBefore = Number.POSITIVE_INFINITY;
  #lastStampNs = Number.NEGATIVE_INFINITY;

  restart(): void {
    this.#windowFromNs = Number.NEGATIVE_INFINITY;
    this.#least = Number.POSITIVE_INFINITY;
    this.#leastBefore = Number.POSITIVE_INFINITY;
    this.#lastStampNs = Number.NEGATIVE_INFINITY;
  }

  /** CLOCK_MONOTONIC (ns) of a line's own time; never later than its arrival. */
  at(stampMs: number, arrivalNs: number): number {
    const stampNs = stampMs * NS_PER_MS;
    // The meter's clock was set back.
    if (stampNs < this.#lastStampNs) this.restart();
    this.#lastStampNs = stampNs;
    if (arrivalNs - this.#windowFromNs > WINDOW_NS) {
      this.#leastBefore = this.#least;
      this.#least = Number.POSITIVE_INFINITY;
      this.#windowFromNs = arrivalNs;
    }
    this.#least = Math.min(this.#least, arrivalNs - stampNs);
    const atNs = stampNs + Math.min(this.#least, this.#leastBefore);
    if (arrivalNs - atNs <= MOST_LATE_NS) return Math.round(Math.min(atNs, arrivalNs));
    this.restart();
    return arrivalNs;
  }
}
