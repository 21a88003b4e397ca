/** What one line of a meter says. */
export type Line =
  /** A value in the format's unit, and the meter's own time of it in ms since 1970 where it tells one. */
  | { readonly kind: 'value'; readonly value: number; readonly stampMs?: number }
  /** The names of the columns, which hold for the lines that follow. */
  | { readonly kind: 'names' }
  /** The meter says that it has no value for this time. */
  | { readonly kind: 'gap' }
  | { readonly kind: 'unusable'; readonly why: string };

export interface LineFormat {
  readonly unit: 'watts' | 'joules';
  /** Never throws, whatever the line. */
  parse(line: string): Line;
  /** A new stream begins: names of columns no longer hold. */
  restart(): void;
}

/** A column by its name in the header, or by its number from 1. */
export type Column = string | number;

/** More columns than any meter has. */
const MAX_CELLS = 1024;

/** The cells of a line; null where there are too many. */
export function cellsOf(line: string, separator: string): string[] | null {
  const cells = line.split(separator, MAX_CELLS + 1);
  return cells.length > MAX_CELLS ? null : cells.map((cell) => cell.trim());
}

/** A number as instruments write it; null for anything else: no hex, no Infinity, no blank. */
export function numberOf(text: string): number | null {
  return /^[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})([eE][+-]?\d{1,3})?$/.test(text) ? Number(text) : null;
}

export const unusable = (why: string): Line => ({ kind: 'unusable', why });

/** The sum of some cells, none of them negative; a line without a number where one is due. */
export function sumOf(cells: readonly string[], columns: readonly number[]): number | Line {
  let sum = 0;
  let empty = 0;
  for (const column of columns) {
    const cell = cells[column];
    if (cell === undefined) return unusable(`there is no column ${column + 1}`);
    if (cell === '') {
      empty++;
      continue;
    }
    const value = numberOf(cell);
    if (value === null) return unusable(`column ${column + 1} is no number`);
    if (value < 0) return unusable(`column ${column + 1} is negative`);
    sum += value;
  }
  // Some of them are as good as none: the sum would be too low.
  return empty > 0 ? { kind: 'gap' } : sum;
}

/** Positions of columns; undefined where a name is not among the names. */
export function positionsOf(columns: readonly Column[], names: readonly string[]): number[] | undefined {
  const positions = columns.map((column) => (typeof column === 'number' ? column - 1 : names.indexOf(column)));
  return positions.includes(-1) ? undefined : positions;
}
