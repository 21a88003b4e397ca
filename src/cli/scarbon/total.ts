/** What several jobs come to together. */
import type { JobAnswer } from '../../contract/api.js';
import { worstQuality, type Quality } from '../../contract/vocabulary.js';
import type { FigureColumn, Row } from './columns.js';

export interface Sum {
  /** null where no part is known. */
  readonly value: number | null;
  /** Whether some part is unknown, so that the whole is at least `value`. */
  readonly partial: boolean;
}

/** The sum over jobs; steps are parts of their job and count with it. */
export function sumOf({ value }: FigureColumn, jobs: readonly JobAnswer[]): Sum {
  const values = jobs.map((job) => value({ job } satisfies Row));
  const known = values.filter((part) => part !== null);
  return {
    value: known.length === 0 && values.length > 0 ? null : known.reduce((sum, part) => sum + part, 0),
    partial: known.length < values.length,
  };
}

/** The worst quality of the jobs of which something was booked. */
export function worstOf(jobs: readonly JobAnswer[]): Quality | null {
  return jobs.reduce<Quality | null>((worst, { quality }) => {
    if (quality === null || worst === null) return worst ?? quality;
    return worstQuality(worst, quality);
  }, null);
}

/** Whether some part of some job's time was not sampled. */
export function anyGap(jobs: readonly JobAnswer[]): boolean {
  return jobs.some(({ coverage }) => coverage !== null && coverage < 1);
}
