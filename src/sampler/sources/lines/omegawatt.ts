/** The two outputs of an OmegaWatt box; docs/meters/wattmeter.md says what of them is known and what is assumed. */
import { cellsOf, positionsOf, sumOf, unusable, type Column, type Line, type LineFormat } from './format.js';
import { wallTimeMs } from './wall-time.js';

interface FrameColumns {
  readonly time: number;
  readonly ok: number;
  readonly powers: readonly number[];
  readonly count: number;
}

/**
 * What `wattmetre-read` prints: a header that names the columns, then one line every 10 ms with a time, whether the frame
 * is good, voltages, and a current and an active power for each socket.
 */
export class OmegawattFrames implements LineFormat {
  readonly unit = 'watts';
  readonly #wanted: readonly string[];
  #columns: FrameColumns | undefined;

  /** @param channels Sockets, whose powers are added up: a number, or the whole name of its column. */
  constructor(channels: readonly Column[]) {
    this.#wanted = channels.map((channel) => (typeof channel === 'number' ? `#activepow${channel}` : channel));
  }

  restart(): void {
    this.#columns = undefined;
  }

  parse(line: string): Line {
    const cells = cellsOf(line, ',');
    if (cells === null) return unusable('it has too many columns');
    if (cells[0] === '#timestamp') return this.#header(cells);
    const columns = this.#columns;
    if (columns === undefined) return unusable('no header came before it');
    if (cells.length !== columns.count) {
      // A frame that is not good comes without some of its commas.
      return cells[columns.ok] === 'false' ? { kind: 'gap' } : unusable(`it has not ${columns.count} columns`);
    }
    if (cells[columns.ok] === 'false') return { kind: 'gap' };
    if (cells[columns.ok] !== 'true') return unusable('it says not whether its frame is good');
    const stampMs = wallTimeMs(cells[columns.time] ?? '');
    if (stampMs === null) return unusable('it has no time');
    const value = sumOf(cells, columns.powers);
    return typeof value === 'number' ? { kind: 'value', value, stampMs } : value;
  }

  #header(names: readonly string[]): Line {
    const powers = positionsOf(this.#wanted, names);
    const ok = names.indexOf('#frame_is_ok');
    this.#columns = powers === undefined || ok < 0 ? undefined : { time: 0, ok, powers, count: names.length };
    if (this.#columns !== undefined) return { kind: 'names' };
    return unusable(`its header has no ${powers === undefined ? this.#wanted.join(' or no ') : '#frame_is_ok'}`);
  }
}

interface TableColumns {
  readonly powers: readonly number[];
  readonly count: number;
}

/**
 * The file that the box's web page gives: a header, then a row per step, tab-separated, its time first (in one column,
 * or date and time in two), the decimals after a point or a comma. Channel n is the n-th column after the time, or the
 * column of that name.
 */
export class OmegawattTable implements LineFormat {
  readonly unit = 'watts';
  readonly #channels: readonly Column[];
  #names: readonly string[] | undefined;
  #columns: TableColumns | undefined;

  constructor(channels: readonly Column[]) {
    this.#channels = channels;
  }

  restart(): void {
    this.#names = undefined;
    this.#columns = undefined;
  }

  parse(line: string): Line {
    const cells = cellsOf(line, '\t');
    if (cells === null) return unusable('it has too many columns');
    const time = timeOf(cells);
    if (time === null) {
      // A header is a line of names; a row that is cut short has numbers in it.
      if (cells.length < 2 || cells.some((cell) => /^[\d.,+-]+$/.test(cell))) return unusable('it has no time');
      this.#names = cells;
      this.#columns = undefined;
      return { kind: 'names' };
    }
    this.#columns ??= this.#find(cells.length, time.cells);
    const { powers, count } = this.#columns ?? {};
    if (powers === undefined) return unusable(`the header has no ${this.#channels.join(' or no ')}`);
    if (cells.length !== count) return unusable(`it has not ${count ?? 0} columns`);
    const value = sumOf(
      cells.map((cell) => cell.replace(',', '.')),
      powers,
    );
    return typeof value === 'number' ? { kind: 'value', value, stampMs: time.ms } : value;
  }

  #find(count: number, timeCells: number): TableColumns | undefined {
    if (this.#names !== undefined && this.#names.length !== count) return undefined;
    const shifted = this.#channels.map((channel) => (typeof channel === 'number' ? channel + timeCells : channel));
    const powers = positionsOf(shifted, this.#names ?? []);
    return powers === undefined ? undefined : { powers, count };
  }
}

function timeOf(cells: readonly string[]): { readonly ms: number; readonly cells: number } | null {
  const [first = '', second = ''] = cells;
  const alone = wallTimeMs(first.replace(',', '.'));
  if (alone !== null) return { ms: alone, cells: 1 };
  const both = wallTimeMs(`${first} ${second}`);
  return both === null ? null : { ms: both, cells: 2 };
}
