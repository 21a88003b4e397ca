import { closest } from 'fastest-levenshtein';

/** The one of `known` that was probably meant, whatever its case. */
export function nearest(written: string, known: readonly string[]): string {
  const lowerCased = known.map((word) => word.toLowerCase());
  return known[lowerCased.indexOf(closest(written.toLowerCase(), lowerCased))] ?? '';
}
