/** More than any computer has used; an energy beyond it is no energy. */
const MOST_JOULES = 1e15;

/** Falls whose values from before are kept: a counter that fell more often without coming back is none to trust. */
const KEPT_FALLS = 16;

/**
 * Makes a lifetime counter one that starts at 0 with the first reading: in microjoules a lifetime would not fit into
 * the whole numbers that a double can hold. A counter that falls was reset; it then starts at 0 again. One that comes
 * back to the value from before had only dipped: it goes on from there, so that its return is no energy.
 */
export class EnergyCounter {
  #base: number | undefined;
  #last = 0;
  /** From before each fall, the latest last; the values fall, because whoever reaches one of them is taken off. */
  readonly #falls: { readonly base: number; readonly last: number }[] = [];

  /**
   * What to report for a raw value; null where it is no energy, or where the counter stands still. Nothing that runs uses
   * no energy, so a counter that stands still is between two of its steps, or frozen: it knows nothing new.
   */
  step(joules: number): number | null {
    if (!(joules >= 0 && joules <= MOST_JOULES)) return null;
    if (this.#base === undefined) this.#base = joules;
    else if (joules === this.#last) return null;
    else if (joules < this.#last) this.#fall(this.#base, joules);
    for (let before = this.#falls.at(-1); before !== undefined && joules >= before.last; before = this.#falls.at(-1)) {
      this.#base = before.base;
      this.#falls.pop();
    }
    this.#last = joules;
    return joules - this.#base;
  }

  #fall(base: number, joules: number): void {
    this.#falls.push({ base, last: this.#last });
    if (this.#falls.length > KEPT_FALLS) this.#falls.shift();
    this.#base = joules;
  }
}
