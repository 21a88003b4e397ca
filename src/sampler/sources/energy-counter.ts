/** More than any computer has used; an energy beyond it is no energy. */
const MOST_JOULES = 1e15;

/**
 * Makes a lifetime counter one that starts at 0 with the first reading: in microjoules a lifetime would not fit into
 * the whole numbers that a double can hold. A counter that falls was reset; it then starts at 0 again.
 */
export class EnergyCounter {
  #base: number | undefined;
  #last = 0;

  /**
   * What to report for a raw value; null where it is no energy, or where the counter stands still. Nothing that runs uses
   * no energy, so a counter that stands still is between two of its steps, or frozen: it knows nothing new.
   */
  step(joules: number): number | null {
    if (!(joules >= 0 && joules <= MOST_JOULES)) return null;
    if (this.#base === undefined || joules < this.#last) this.#base = joules;
    else if (joules === this.#last) return null;
    this.#last = joules;
    return joules - this.#base;
  }
}
