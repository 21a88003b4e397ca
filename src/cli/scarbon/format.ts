/** `--format`: which columns, in which order and width. */
import { nearest } from '../nearest.js';
import { usageError } from '../program.js';
import { COLUMNS, type Column } from './columns.js';

export interface Field {
  readonly column: Column;
  readonly width: number;
  readonly leftAligned: boolean;
  /** The column's own width, nobody's wish: a heading that names a unit may widen it. */
  readonly isDefaultWidth: boolean;
}

const MAX_WIDTH = 10_000;

/**
 * Reads `JobID,Energy%20,JobName%-30`. Case does not matter, a shortened name means the first column that begins with
 * it, `%20` is a width, `%-20` a width with the text at the left, `ALL` means every column.
 * @throws {WattleError} wrong usage
 */
export function parseFormat(format: string): readonly Field[] {
  const fields = format
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
    .flatMap(parseItem);
  if (fields.length === 0) throw usageError('--format: expected column names, found none', 'See scarbon --helpformat.');
  return fields;
}

function parseItem(item: string): Field[] {
  const [, name = item, width] = /^([^%]*)(?:%(.*))?$/.exec(item) ?? [];
  const columns = name.toUpperCase() === 'ALL' ? COLUMNS : [findColumn(name)];
  return columns.map((column) => ({
    column,
    width: width === undefined ? column.width : parseWidth(item, width),
    isDefaultWidth: width === undefined,
    leftAligned: width === undefined ? column.leftAligned === true : width.startsWith('-'),
  }));
}

function findColumn(name: string): Column {
  const wanted = name.toLowerCase();
  const names = COLUMNS.map((column) => column.name.toLowerCase());
  const exact = names.indexOf(wanted);
  const index = exact >= 0 || wanted === '' ? exact : names.findIndex((candidate) => candidate.startsWith(wanted));
  const column = COLUMNS[index];
  if (column !== undefined) return column;
  const suggestion = nearest(
    name,
    COLUMNS.map((known) => known.name),
  );
  throw usageError(
    `unknown column ${JSON.stringify(name)}`,
    `${suggestion === undefined ? '' : `The nearest known column is ${suggestion}; `}scarbon --helpformat lists all columns.`,
  );
}

function parseWidth(item: string, width: string): number {
  const value = Number(/^-?(\d{1,5})$/.exec(width)?.[1] ?? 0);
  if (value >= 1 && value <= MAX_WIDTH) return value;
  throw usageError(
    `expected a width from 1 to ${MAX_WIDTH} behind %, found ${JSON.stringify(item)}`,
    'Write for example JobName%20, or JobName%-20 for text at the left.',
  );
}

/** The list of columns, four in a line, as sacct prints it. */
export function helpFormat(): string {
  const lines: string[] = [];
  for (let at = 0; at < COLUMNS.length; at += 4) {
    const names = COLUMNS.slice(at, at + 4).map((column) => column.name.padEnd(19));
    lines.push(names.join(' ').trimEnd());
  }
  return `${lines.join('\n')}\n`;
}
