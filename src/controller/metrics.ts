/** What the controller tells Prometheus about itself. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { type Batch, MICROJOULES_PER_JOULE } from '../contract/index.js';

export class Metrics {
  /** A registry of our own: two controllers in one process (tests) do not share their counts. */
  readonly registry = new Registry();
  readonly #registers = [this.registry];
  #factsAtMs: number | undefined;

  readonly batches = new Counter({
    name: 'wattle_ingest_batches_total',
    help: 'Batches taken from agents, by result',
    labelNames: ['result'] as const,
    registers: this.#registers,
  });
  readonly refused = new Counter({
    name: 'wattle_ingest_refused_total',
    help: 'Batches refused, by error code',
    labelNames: ['code'] as const,
    registers: this.#registers,
  });
  readonly rows = new Counter({
    name: 'wattle_ingest_rows_total',
    help: 'Rows of the batches booked',
    registers: this.#registers,
  });
  readonly joules = new Counter({
    name: 'wattle_booked_joules_total',
    help: 'Energy booked, by kind of owner',
    labelNames: ['owner'] as const,
    registers: this.#registers,
  });
  readonly ledgerSeconds = new Histogram({
    name: 'wattle_ledger_seconds',
    help: 'Time the ledger took, by operation',
    labelNames: ['operation'] as const,
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers: this.#registers,
  });
  readonly factsFailures = new Counter({
    name: 'wattle_facts_failures_total',
    help: 'Times Slurm could not be asked for job facts',
    registers: this.#registers,
  });
  readonly requests = new Counter({
    name: 'wattle_http_requests_total',
    help: 'Requests answered, by route and status',
    labelNames: ['route', 'status'] as const,
    registers: this.#registers,
  });

  constructor() {
    const age = (): number => (this.#factsAtMs === undefined ? NaN : (Date.now() - this.#factsAtMs) / 1000);
    new Gauge({
      name: 'wattle_facts_age_seconds',
      help: 'Time since job facts were last taken over from Slurm; NaN before the first time',
      registers: this.#registers,
      collect() {
        this.set(age());
      },
    });
    collectDefaultMetrics({ register: this.registry });
  }

  factsTaken(): void {
    this.#factsAtMs = Date.now();
  }

  booked(batch: Batch): void {
    for (const row of batch.segments.flatMap((segment) => segment.rows)) {
      const { package: pkg, dram, gpu, other } = row.microjoules;
      this.rows.inc();
      this.joules.inc({ owner: row.owner }, (pkg + dram + gpu + other) / MICROJOULES_PER_JOULE);
    }
  }
}
