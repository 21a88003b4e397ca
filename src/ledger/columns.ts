/** From rows of objects to the arrays that `unnest()` takes, and from times to the text that both engines read. */
import type { SqlScalar } from './database.js';

/** One array per picked column. */
export function columns<T>(rows: readonly T[], ...pick: ((row: T) => SqlScalar)[]): SqlScalar[][] {
  return pick.map((column) => rows.map(column));
}

export const timestamp = (ms: number): string => new Date(ms).toISOString();

export const timestampOrNull = (ms: number | null): string | null => (ms === null ? null : timestamp(ms));
