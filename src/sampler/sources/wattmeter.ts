/** A node's power from a wattmeter: lines of a program, a file, a server, or a document that is fetched. */
import http from 'node:http';
import https from 'node:https';
import { messageOf } from '../../contract/index.js';
import { monotonicNs } from './clock.js';
import { Condition } from './condition.js';
import { COUNTER_HOLD_MS, LIVE_HOLD_MS, ROWS_HOLD_MS, type Hold } from './hold.js';
import { exchange } from './http.js';
import { commandOrigin } from './lines/command.js';
import { DocumentRows } from './lines/document.js';
import { fileOrigin } from './lines/file.js';
import type { Column, LineFormat } from './lines/format.js';
import { LiveLines } from './lines/live.js';
import { OmegawattFrames, OmegawattTable } from './lines/omegawatt.js';
import type { LineOrigin } from './lines/origin.js';
import { SeparatedValues } from './lines/separated.js';
import { tcpOrigin } from './lines/tcp.js';
import { Values } from './lines/values.js';
import { atMost, backoffMs, pause } from './pause.js';
import { shown, SourceProblem } from './problem.js';
import type { Source, SourceReading } from './source.js';

export type WattmeterFrom =
  /** A program, which prints lines. It is started without a shell, and anew when it ends. */
  | { readonly command: readonly string[] }
  /** A FIFO, a serial line, or a file that grows. */
  | { readonly file: string }
  /** A server that sends lines. */
  | { readonly tcp: { readonly host: string; readonly port: number } }
  /** A document that is fetched every `pollMs`. */
  | { readonly url: string };

export interface WattmeterOptions {
  readonly kind: 'wattmeter';
  readonly format: 'omegawatt' | 'omegawatt-tsv' | 'csv';
  readonly from: WattmeterFrom;
  /** What feeds this node, added up: sockets of an OmegaWatt box; columns of other meters, by name or by number from 1. */
  readonly channels: readonly Column[];
  /** Of `csv`. Default watts. */
  readonly unit?: 'watts' | 'joules' | 'kWh';
  /** Of `csv`: what one unit of the column is. Default 1. */
  readonly multiplier?: number;
  /** Of `csv`. Default a comma. */
  readonly separator?: string;
  /** Of `csv`: column of the meter's own time. Absent: a line is of the moment in which it arrives. */
  readonly timeColumn?: Column;
  /** Readings are averaged over this time. 0: each is reported. Default 100. */
  readonly everyMs?: number;
  /** Of `url`. Default 10000. */
  readonly pollMs?: number;
  /** More is no power of a node, and is dropped. Default 20000. */
  readonly maxWatts?: number;
  /** For how long a reading stands when none follows. Default: see wattmeterHold. */
  readonly holdMs?: number;
}

const STOP_WITHIN_MS = 2000;
const FIRST_BACKOFF_MS = 1000;
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;
const FETCH_WITHIN_MS = 10_000;
const FRESH_FOR_MS = 5000;

export function wattmeterHold(options: WattmeterOptions): Hold {
  const { from, format, timeColumn, everyMs = 100, pollMs = 10_000, holdMs } = options;
  const hasRows = 'url' in from && (format !== 'csv' || timeColumn !== undefined);
  const usual = hasRows ? ROWS_HOLD_MS : LIVE_HOLD_MS;
  const watts = holdMs ?? Math.max(usual, 'url' in from ? 3 * pollMs : 10 * everyMs);
  return { watts, joules: holdMs ?? Math.max(COUNTER_HOLD_MS, watts) };
}

export interface WattmeterSource extends Source {
  /** Lines and values that could not be used. */
  readonly dropped: number;
}

export function wattmeterSource(options: WattmeterOptions): WattmeterSource {
  return new Wattmeter(options);
}

class Wattmeter implements WattmeterSource {
  readonly #options: WattmeterOptions;
  readonly #condition: Condition;
  #values: Values | undefined;
  #running: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;

  constructor(options: WattmeterOptions) {
    this.#options = options;
    const freshForMs = Math.max(FRESH_FOR_MS, 3 * this.#pollMs, 3 * this.#everyMs);
    this.#condition = new Condition(freshForMs, wattmeterHold(options));
  }

  get problem(): string | null {
    // A document shows its old lines again and again.
    const complaint = 'url' in this.#options.from ? null : (this.#values?.complaint ?? null);
    return this.#condition.problem ?? complaint;
  }

  get dropped(): number {
    return this.#values?.dropped ?? 0;
  }

  start(report: (reading: SourceReading) => void): void {
    if (this.#running !== undefined) return;
    const abort = new AbortController();
    const format = formatOf(this.#options);
    const limits = { unit: format.unit, everyMs: this.#everyMs, maxWatts: this.#options.maxWatts ?? 20_000 };
    const values = new Values(limits, this.#condition, (reading) => {
      if (!abort.signal.aborted) report(reading);
    });
    this.#values = values;
    this.#running = { abort, done: this.#run(format, values, abort.signal) };
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.abort.abort();
    await atMost(STOP_WITHIN_MS, running.done);
    this.#running = undefined;
  }

  get #pollMs(): number {
    return 'url' in this.#options.from ? (this.#options.pollMs ?? 10_000) : 0;
  }

  /** Rows of a document are few and far between: they are not averaged. */
  get #everyMs(): number {
    return 'url' in this.#options.from ? 0 : (this.#options.everyMs ?? 100);
  }

  async #run(format: LineFormat, values: Values, signal: AbortSignal): Promise<void> {
    const { from } = this.#options;
    const read =
      'url' in from ? this.#poll(from.url, format, values) : this.#follow(this.#origin(from), format, values);
    for (let failures = 0; !signal.aborted;) {
      const before = values.reported;
      try {
        await read(signal);
        failures = 0;
      } catch (error) {
        failures = values.reported > before ? 1 : failures + 1;
        values.gap(error instanceof SourceProblem ? error.message : `it cannot be read: ${shown(messageOf(error))}`);
        await pause(backoffMs(failures, FIRST_BACKOFF_MS), signal);
      }
    }
  }

  #follow(origin: LineOrigin, format: LineFormat, values: Values): (signal: AbortSignal) => Promise<void> {
    const lines = new LiveLines(format, values);
    const fromBeginning = 'command' in this.#options.from;
    return async (signal) => {
      lines.restart(fromBeginning);
      await origin(lines, signal);
    };
  }

  #origin(from: Exclude<WattmeterFrom, { readonly url: string }>): LineOrigin {
    if ('command' in from) return commandOrigin(from.command);
    if ('file' in from) return fileOrigin(from.file);
    const { unit = 'watts' } = this.#options;
    const hold = wattmeterHold(this.#options);
    return tcpOrigin(from.tcp, unit === 'watts' ? hold.watts : hold.joules);
  }

  #poll(url: string, format: LineFormat, values: Values): (signal: AbortSignal) => Promise<void> {
    const rows = new DocumentRows(format, values, monotonicNs());
    return async (signal) => {
      const askedNs = monotonicNs();
      const body = await fetchDocument(new URL(url), signal);
      rows.take(body, { realMs: Date.now(), monoNs: monotonicNs() });
      await pause(Math.max(0, this.#pollMs - (monotonicNs() - askedNs) / 1e6), signal);
    };
  }
}

async function fetchDocument(url: URL, signal: AbortSignal): Promise<Buffer> {
  const agent = url.protocol === 'https:' ? https.globalAgent : http.globalAgent;
  const limits = { timeoutMs: FETCH_WITHIN_MS, maxBytes: MAX_DOCUMENT_BYTES };
  const { status, body } = await exchange(url, { agent, headers: {}, ...limits, signal });
  if (status !== 200) throw new SourceProblem(`${url.host} answers ${shown(url.pathname)} with status ${status}`);
  return body;
}

function formatOf(options: WattmeterOptions): LineFormat {
  const { format, channels, unit = 'watts', multiplier = 1, separator = ',', timeColumn } = options;
  switch (format) {
    case 'omegawatt':
      return new OmegawattFrames(channels);
    case 'omegawatt-tsv':
      return new OmegawattTable(channels);
    case 'csv':
      return new SeparatedValues({ channels, unit, multiplier, separator, timeColumn });
  }
}
