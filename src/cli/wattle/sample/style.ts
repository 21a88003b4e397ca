/** What the terminal can show, and text made to fit it. Pure. */

export interface Style {
  readonly columns: number;
  /** Rows that a frame may have. */
  readonly rows: number;
  readonly unicode: boolean;
  readonly colour: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether the locale's characters are UTF-8. */
export function isUtf8(env: Environment): boolean {
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((value) => value !== undefined && value !== '');
  return /utf-?8/i.test(locale ?? '');
}

/** Whether the terminal can move its cursor. */
export const canRedraw = (env: Environment): boolean => env['TERM'] !== undefined && !/^(dumb)?$/.test(env['TERM']);

export function styleOf(env: Environment, columns: number, rows: number): Style {
  const noColour = env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '';
  return {
    columns: Math.max(20, columns),
    rows: Math.max(3, rows),
    unicode: isUtf8(env) && canRedraw(env),
    colour: canRedraw(env) && !noColour,
  };
}

const CODES = { bold: 1, dim: 2, cyan: 36, yellow: 33 } as const;

export const coloured = (text: string, colour: keyof typeof CODES, style: Style): string =>
  style.colour && text !== '' ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;

/** The text in at most `width` characters: what is too long loses its middle, since names differ at their ends. */
export function fit(text: string, width: number, { unicode }: Pick<Style, 'unicode'>): string {
  if (text.length <= width) return text;
  const mark = unicode ? '…' : '..';
  const kept = Math.max(0, width - mark.length);
  const head = Math.ceil(kept / 2);
  return `${text.slice(0, head)}${mark}${text.slice(text.length - (kept - head))}`.slice(0, width);
}

/** The beginning of a sentence that is too long. */
export const clip = (text: string, width: number): string => text.slice(0, Math.max(0, width)).trimEnd();

const BLOCKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const ASCII = ['.', ':', '-', '=', '+', '*', '#', '@'] as const;

/** The last `width` values as marks of eight heights, from 0 to the largest shown; a value not known is a blank. */
export function sparkline(
  values: readonly (number | null)[],
  width: number,
  { unicode }: Pick<Style, 'unicode'>,
): string {
  if (width <= 0) return '';
  const shown = values.slice(-width);
  const marks = unicode ? BLOCKS : ASCII;
  const most = shown.reduce<number>((largest, value) => Math.max(largest, value ?? 0), 0);
  return shown
    .map((value) => {
      if (value === null) return ' ';
      const height = most > 0 ? Math.floor((value / most) * marks.length) : 0;
      return marks[Math.min(Math.max(height, 0), marks.length - 1)] ?? ' ';
    })
    .join('');
}
