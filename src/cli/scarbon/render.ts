/** Rows and columns as a page: a table for people, lines with a delimiter, or CSV. */
import type { JobAnswer } from '../../contract/api.js';
import type { CellStyle } from './cells.js';
import type { Row } from './columns.js';
import type { Field } from './format.js';

export interface Page {
  readonly fields: readonly Field[];
  readonly rows: readonly Row[];
  readonly style: CellStyle;
  readonly header: boolean;
  /** Jobs to be summed in a last line; undefined for no such line. */
  readonly totalOf?: readonly JobAnswer[] | undefined;
}

/** Columns of fixed width; what is longer is cut and ends in `+`, as in sacct. */
export function renderTable(page: Page): string {
  const [heading, ...body] = cellsOf(page);
  const fields = page.fields.map((field, index) =>
    field.isDefaultWidth ? { ...field, width: Math.max(field.width, heading?.[index]?.length ?? 0) } : field,
  );
  const lines = body.map((cells) => cells.map((cell, index) => fit(cell, fields[index])).join(' '));
  if (page.header && heading !== undefined) {
    lines.unshift(
      heading.map((cell, index) => fit(cell, fields[index])).join(' '),
      fields.map(({ width }) => '-'.repeat(width)).join(' '),
    );
  }
  return joinLines(lines.map((line) => line.trimEnd()));
}

/** Cells between delimiters; with `closed` also one behind the last, as `sacct --parsable` prints. */
export function renderDelimited(page: Page, delimiter: string, closed: boolean): string {
  const lines = cellsToPrint(page).map((cells) => {
    // A job name that holds the delimiter must not make a column of its own.
    const line = cells.map((cell) => cell.replaceAll(delimiter, '?')).join(delimiter);
    return closed ? line + delimiter : line;
  });
  return joinLines(lines);
}

/** RFC 4180, but with plain line feeds. Text that a spreadsheet would run as a formula begins with an apostrophe. */
export function renderCsv(page: Page): string {
  const lines = cellsToPrint(page).map((cells) =>
    cells.map((cell, index) => csvCell(cell, page.fields[index]?.column.kind === 'text')).join(','),
  );
  return joinLines(lines);
}

function csvCell(cell: string, isText: boolean): string {
  const safe = isText && /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function cellsToPrint(page: Page): string[][] {
  const cells = cellsOf(page);
  return page.header ? cells : cells.slice(1);
}

/** The heading, then one list of cells per row, then the total. */
function cellsOf({ fields, rows, style, totalOf }: Page): string[][] {
  const cells = [
    fields.map(({ column }) => style.heading(column)),
    ...rows.map((row) => fields.map(({ column }) => style.cell(column, row))),
  ];
  if (totalOf !== undefined) {
    const totals = fields.map(({ column }) => style.total(column, totalOf));
    if (fields[0]?.column.kind === 'text') totals[0] = 'Total';
    cells.push(totals);
  }
  return cells;
}

/** Text in exactly `width` characters. */
export function fit(text: string, field: Pick<Field, 'width' | 'leftAligned'> | undefined): string {
  if (field === undefined) return text;
  const characters = Array.from(text);
  if (characters.length > field.width) return `${characters.slice(0, field.width - 1).join('')}+`;
  const padding = ' '.repeat(field.width - characters.length);
  return field.leftAligned ? text + padding : padding + text;
}

function joinLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
