import { monotonicNs, NS_PER_MS } from '../clock.js';
import type { LineFormat } from './format.js';
import { LineClock } from './line-clock.js';
import type { LineFeed } from './origin.js';
import { LineSplitter } from './splitter.js';
import type { Values } from './values.js';

/** A meter sends some 100 lines a second; whoever sends more than these in this time is made to wait. */
const MOST_LINES = 1000;
const MOST_LINES_MS = 100;

/** Lines that come while the meter measures. */
export class LiveLines implements LineFeed {
  readonly #format: LineFormat;
  readonly #values: Values;
  readonly #clock = new LineClock();
  readonly #splitter = new LineSplitter((line) => {
    this.#line(line);
  });
  /** The first line of a stream that was joined may lack its beginning, and still look whole. */
  #mayBeCut = false;
  #onlyNames = false;
  #arrivalNs = 0;
  #lines = 0;
  #linesFromNs = 0;

  constructor(format: LineFormat, values: Values) {
    this.#format = format;
    this.#values = values;
  }

  /** A new stream begins: from its beginning, or joined on the way. */
  restart(fromBeginning: boolean): void {
    this.#format.restart();
    this.#clock.restart();
    this.#splitter.reset();
    this.#mayBeCut = !fromBeginning;
  }

  begins(why: string): void {
    this.#values.gap(why);
    this.restart(true);
  }

  data(chunk: Buffer): number {
    this.#arrivalNs = monotonicNs();
    if (this.#arrivalNs - this.#linesFromNs > MOST_LINES_MS * NS_PER_MS) {
      this.#linesFromNs = this.#arrivalNs;
      this.#lines = 0;
    }
    this.#splitter.push(chunk);
    return this.#lines > MOST_LINES ? MOST_LINES_MS : 0;
  }

  head(chunk: Buffer): void {
    this.#onlyNames = true;
    this.#splitter.push(chunk);
    this.#splitter.reset();
    this.#onlyNames = false;
  }

  #line(line: string): void {
    this.#lines++;
    const parsed = this.#format.parse(line);
    if (this.#onlyNames) return;
    const cut = this.#mayBeCut;
    this.#mayBeCut = false;
    if (cut || parsed.kind === 'names') return;
    if (parsed.kind === 'gap') {
      this.#values.gap('the meter says that it has no value at present');
    } else if (parsed.kind === 'unusable') {
      this.#values.drop(parsed.why, line);
    } else {
      const { value, stampMs } = parsed;
      this.#values.take(value, stampMs === undefined ? this.#arrivalNs : this.#clock.at(stampMs, this.#arrivalNs));
    }
  }
}
