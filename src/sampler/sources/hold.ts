/** For how long a reading stands when none follows: what lies between two readings further apart is unknown. In ms. */
export interface Hold {
  readonly watts: number;
  /** A counter tells what was used meanwhile: its step may be long, if not so long that a reset could hide in it. */
  readonly joules: number;
}

/** Of power that a meter shows now. A meter that is read over a network misses an answer now and then. */
export const LIVE_HOLD_MS = 10_000;
/** A counter of whole Wh takes 72 s for a step at 50 W. */
export const COUNTER_HOLD_MS = 300_000;
/** Tables of past means have rows of 1 s to 10 min. */
export const ROWS_HOLD_MS = 900_000;
