import { JOULES_PER_KWH } from '../../../contract/index.js';
import { cellsOf, positionsOf, sumOf, unusable, type Column, type Line, type LineFormat } from './format.js';
import { wallTimeMs } from './wall-time.js';

export interface SeparatedOptions {
  /** Columns whose values are added up. */
  readonly channels: readonly Column[];
  readonly timeColumn?: Column | undefined;
  readonly unit: 'watts' | 'joules' | 'kWh';
  readonly multiplier: number;
  readonly separator: string;
}

/** Lines of separated values of any meter. A header may come, and come again, with its columns in another order. */
export class SeparatedValues implements LineFormat {
  readonly unit: 'watts' | 'joules';
  readonly #options: SeparatedOptions;
  readonly #columns: readonly Column[];
  readonly #names: readonly string[];
  readonly #factor: number;
  #positions: readonly number[] | undefined;
  /** How many columns the header named: a line that was cut short has fewer. */
  #count: number | undefined;

  constructor(options: SeparatedOptions) {
    const { channels, timeColumn, unit, multiplier } = options;
    this.unit = unit === 'watts' ? 'watts' : 'joules';
    this.#options = options;
    this.#columns = timeColumn === undefined ? channels : [...channels, timeColumn];
    this.#names = this.#columns.filter((column) => typeof column === 'string');
    this.#factor = multiplier * (unit === 'kWh' ? JOULES_PER_KWH : 1);
    this.restart();
  }

  restart(): void {
    // Numbers of columns hold without a header.
    this.#positions = positionsOf(this.#columns, []);
    this.#count = undefined;
  }

  parse(line: string): Line {
    const { channels, timeColumn, separator } = this.#options;
    const cells = cellsOf(line, separator);
    if (cells === null) return unusable('it has too many columns');
    if (this.#isHeader(cells)) {
      if (this.#names.length > 0) {
        this.#positions = positionsOf(this.#columns, cells);
        this.#count = cells.length;
      }
      return { kind: 'names' };
    }
    const positions = this.#positions;
    if (positions === undefined) return unusable(`no header came before it that names ${this.#names.join(' and ')}`);
    if (this.#count !== undefined && cells.length !== this.#count) return unusable(`it has not ${this.#count} columns`);

    const sum = sumOf(cells, positions.slice(0, channels.length));
    if (typeof sum !== 'number') return sum;
    const value = sum * this.#factor;
    if (timeColumn === undefined) return { kind: 'value', value };
    const stampMs = wallTimeMs(cells[positions.at(-1) ?? 0] ?? '');
    return stampMs === null ? unusable('it has no time') : { kind: 'value', value, stampMs };
  }

  #isHeader(cells: readonly string[]): boolean {
    if (this.#names.length > 0) return this.#names.every((name) => cells.includes(name));
    return cells.every((cell) => /^["#A-Za-z_]/.test(cell) && !/^(nan|inf)/i.test(cell));
  }
}
