/** Signs before a figure that must not be taken for an exact measurement. */
export interface Doubts {
  readonly estimated: boolean;
  /** Part of the time was not sampled. */
  readonly gap: boolean;
  /** Part of a sum is unknown. */
  readonly partial: boolean;
}

export const NO_DOUBTS: Doubts = { estimated: false, gap: false, partial: false };

const MARKS: readonly (readonly [sign: string, doubt: keyof Doubts, meaning: string])[] = [
  ['~', 'estimated', 'estimated from CPU time and a declared power profile, not measured'],
  ['*', 'gap', 'part of the time was not sampled: see column Coverage'],
  ['>', 'partial', 'the figure of some job is unknown: the sum is at least this'],
];

export function marksOf(doubts: Doubts): string {
  return MARKS.map(([sign, doubt]) => (doubts[doubt] ? sign : '')).join('');
}

/** What the signs in `shown` mean, one line each. */
export function legend(shown: Doubts): string {
  return MARKS.flatMap(([sign, doubt, meaning]) => (shown[doubt] ? `${sign} ${meaning}\n` : [])).join('');
}
