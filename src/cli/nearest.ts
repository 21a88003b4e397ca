import { distance } from 'fastest-levenshtein';

/** The one of `known` that was probably meant, whatever its case; undefined where nothing known is like it. */
export function nearest(written: string, known: readonly string[]): string | undefined {
  let best: { readonly word: string; readonly changes: number } | undefined;
  for (const word of known) {
    const changes = distance(written.toLowerCase(), word.toLowerCase());
    // More than every third letter wrong is another word: `-s foo` did not mean `F`.
    if (changes > Math.max(1, Math.floor(written.length / 3)) || changes >= written.length) continue;
    if (best === undefined || changes < best.changes) best = { word, changes };
  }
  return best?.word;
}
