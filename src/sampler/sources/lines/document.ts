import { NS_PER_MS } from '../clock.js';
import type { LineFormat } from './format.js';
import { LineSplitter } from './splitter.js';
import type { Values } from './values.js';

/** So far may the newest row be from this host's time before the two clocks are said to disagree. */
const MOST_APART_MS = 60_000;

interface Row {
  readonly value: number;
  readonly stampMs: number | undefined;
}

/** When a document was fetched, on both of this host's clocks. */
export interface Fetched {
  readonly realMs: number;
  readonly monoNs: number;
}

/**
 * Rows of a document that is fetched again and again, which shows the last hours or the last value. Its rows are placed by
 * this host's wall clock as it is now: when that or the meter's clock is set, rows are left out rather than counted twice.
 */
export class DocumentRows {
  readonly #format: LineFormat;
  readonly #values: Values;
  /** Rows of before the source was started are nobody's. */
  #newestNs: number;
  /** The meter's own time of the newest row that was taken. */
  #newestStampMs = Number.NEGATIVE_INFINITY;

  constructor(format: LineFormat, values: Values, startedNs: number) {
    this.#format = format;
    this.#values = values;
    this.#newestNs = startedNs;
  }

  take(document: Buffer, fetched: Fetched): void {
    const rows: Row[] = [];
    this.#format.restart();
    const splitter = new LineSplitter((line) => {
      const parsed = this.#format.parse(line);
      if (parsed.kind === 'value') rows.push({ value: parsed.value, stampMs: parsed.stampMs });
      if (parsed.kind === 'unusable') this.#values.drop(parsed.why, line);
    });
    splitter.push(document);
    splitter.end();
    const last = rows.at(-1);
    if (last === undefined) {
      this.#values.gap('the document has no rows with a value');
    } else if (last.stampMs === undefined) {
      this.#values.take(last.value, fetched.monoNs);
    } else {
      this.#place(rows, fetched);
    }
  }

  #place(rows: readonly Row[], { realMs, monoNs }: Fetched): void {
    // Some documents have the newest row first.
    const inOrder = rows.toSorted((a, b) => (a.stampMs ?? 0) - (b.stampMs ?? 0));
    const newestMs = inOrder.at(-1)?.stampMs ?? 0;
    // The meter's clock was set back: its rows are new again, if their place in time is.
    if (newestMs < this.#newestStampMs) this.#newestStampMs = Number.NEGATIVE_INFINITY;
    for (const { value, stampMs = 0 } of inOrder) {
      // A row of the future waits until its time has come.
      if (stampMs > realMs || stampMs <= this.#newestStampMs) continue;
      const atNs = Math.round(monoNs - (realMs - stampMs) * NS_PER_MS);
      if (atNs <= this.#newestNs) continue;
      this.#newestNs = atNs;
      this.#newestStampMs = stampMs;
      this.#values.take(value, atNs);
    }
    const aheadMs = newestMs - realMs;
    if (Math.abs(aheadMs) > MOST_APART_MS) {
      const apart = `${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
      this.#values.gap(`the newest row is ${apart} this host's clock: set both clocks and their time zones`);
    }
  }
}
