/** Ticks as text for programs, one line each: CSV or JSON. Pure. */
import { type Domain, type DomainReading, meanWatts } from '../../../sampler/index.js';
import { printable } from '../../printable.js';
import type { Recording } from './options.js';
import type { SampleState } from './view.js';

export interface RecordedTick {
  readonly monoNs: number;
  readonly realMs: number;
  readonly readings: readonly DomainReading[];
  /** Of the job, cumulative; NaN where it was not read at this tick. */
  readonly cpuNs: number;
}

export interface TickLinesOptions {
  readonly format: Recording['format'];
  readonly node: string;
  readonly domains: readonly Domain[];
  readonly jobId: number | undefined;
}

/** Energy is counted from the first reading of each domain, the job's CPU time from its first. */
export class TickLines {
  readonly #options: TickLinesOptions;
  #startNs: number | null = null;
  readonly #first: (DomainReading | undefined)[] = [];
  readonly #previous: (DomainReading | undefined)[] = [];
  #firstCpuNs = Number.NaN;

  constructor(options: TickLinesOptions) {
    this.#options = options;
  }

  /** What stands before the first tick: names of columns, or what the numbers of a line belong to. */
  heading(): string {
    const { format, node, domains, jobId } = this.#options;
    if (format === 'json') {
      return line({ version: 1, node, ...(jobId === undefined ? {} : { jobId }), domains });
    }
    const columns = domains.flatMap(({ name, meter, witnessOf }) => {
      const unique = printable(witnessOf === null ? name : `${name}@${meter}`);
      return [`${unique}(J)`, `${unique}(W)`];
    });
    const job = jobId === undefined ? [] : [`job-${jobId}(CPU s)`];
    return `${['unix(s)', 'elapsed(s)', ...columns, ...job].map(quoted).join(',')}\n`;
  }

  /** Watts are those since the domain's former reading; none where this tick has no newer one. */
  tick({ monoNs, realMs, readings, cpuNs }: RecordedTick): string {
    this.#startNs ??= monoNs;
    const elapsedSeconds = (monoNs - this.#startNs) / 1e9;
    const values = readings.map((reading, index) => this.#domain(reading, index));
    if (Number.isNaN(this.#firstCpuNs)) this.#firstCpuNs = cpuNs;
    const cpuSeconds = Number.isNaN(cpuNs) ? null : (cpuNs - this.#firstCpuNs) / 1e9;
    const { format, jobId } = this.#options;
    if (format === 'json') {
      return line({
        elapsedSeconds,
        unixMs: realMs,
        joules: values.map(({ joules }) => joules),
        watts: values.map(({ watts }) => watts),
        ...(jobId === undefined ? {} : { jobCpuSeconds: cpuSeconds }),
      });
    }
    const cells = [
      (realMs / 1000).toFixed(6),
      elapsedSeconds.toFixed(6),
      ...values.flatMap(({ joules, watts }) => [joules?.toFixed(6) ?? '', watts?.toFixed(3) ?? '']),
      ...(jobId === undefined ? [] : [cpuSeconds?.toFixed(6) ?? '']),
    ];
    return `${cells.join(',')}\n`;
  }

  #domain(reading: DomainReading, index: number): { joules: number | null; watts: number | null } {
    if (reading.knownAtNs === 0) return { joules: null, watts: null };
    const first = (this.#first[index] ??= reading);
    const previous = (this.#previous[index] ??= reading);
    const watts = meanWatts(previous, reading);
    if (watts !== null) this.#previous[index] = reading;
    return { joules: (reading.energyUj - first.energyUj) / 1e6, watts };
  }
}

/** The last line of JSON: all that the summary tells. */
export function summaryLine({
  elapsedSeconds,
  domains,
  figures,
  stats,
  own,
  job,
  gpus,
  rateChanges,
}: SampleState): string {
  const totals = domains.map(({ index, name, meter }) => {
    const { energyUj = 0, mean = null, min = null, max = null, coverage = 0 } = figures[index] ?? {};
    return { name, meter, joules: energyUj / 1e6, meanWatts: mean, minWatts: min, maxWatts: max, coverage };
  });
  return line({ summary: { elapsedSeconds, domains: totals, job, gpus, sampler: stats, own, rateChanges } });
}

const line = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** RFC 4180. */
const quoted = (cell: string): string => (/[",]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
