/**
 * The idle floor: the power of the node's packages with no job allocated. Learned from empty time, learned
 * again whenever the node is empty, and never above the lowest power seen since.
 */

/** Power is averaged over bins of this length, so that one odd tick does not set the floor. */
const BIN_NS = 10e9;
/** Weight of a new empty bin against what was learned before: follows a season, not a spike. */
const LEARNING_RATE = 0.2;

export interface IdleFloorState {
  /** Mean power of empty time in watts, null until the node was empty for one bin. */
  readonly emptyWatts: number | null;
  /** Lowest bin since the last empty one, in watts; null before the first bin. */
  readonly lowestWatts: number | null;
}

export class IdleFloor {
  #empty: number | null;
  #lowest: number | null;
  #binNs = 0;
  #binMicrojoules = 0;
  #binEmpty = true;

  constructor(state: IdleFloorState = { emptyWatts: null, lowestWatts: null }) {
    this.#empty = state.emptyWatts;
    this.#lowest = state.lowestWatts;
  }

  /** The floor in watts; 0 until anything was seen, so that nothing is booked by allocation on a guess. */
  get watts(): number {
    if (this.#lowest === null) return this.#empty ?? 0;
    return this.#empty === null ? this.#lowest : Math.min(this.#empty, this.#lowest);
  }

  get state(): IdleFloorState {
    return { emptyWatts: this.#empty, lowestWatts: this.#lowest };
  }

  /** Takes one fully covered window. @param empty whether no job was allocated in any part of it */
  observe(microjoules: number, durationNs: number, empty: boolean): void {
    // A bin counts as empty only if all of it was: a job in its last second would raise the floor.
    this.#binEmpty &&= empty;
    this.#binNs += durationNs;
    this.#binMicrojoules += microjoules;
    if (this.#binNs < BIN_NS) return;
    const watts = (this.#binMicrojoules * 1000) / this.#binNs;
    this.#binNs = 0;
    this.#binMicrojoules = 0;
    const binEmpty = this.#binEmpty;
    this.#binEmpty = true;
    if (binEmpty) {
      this.#empty = this.#empty === null ? watts : this.#empty + LEARNING_RATE * (watts - this.#empty);
      this.#lowest = watts;
    } else {
      this.#lowest = this.#lowest === null ? watts : Math.min(this.#lowest, watts);
    }
  }
}
