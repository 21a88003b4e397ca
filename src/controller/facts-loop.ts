/** Keeps the ledger's job facts fresh: a regular pass over all recent jobs, and a quick one for jobs that just ended. */
import { WattleError, messageOf } from '../contract/index.js';
import { type JobFacts, expandHostlist } from '../slurm/index.js';
import type { Log } from './log.js';
import type { Metrics } from './metrics.js';
import type { FactsSource, LedgerPort, PlacedFacts } from './ports.js';

/** slurmctld needs a moment to tell slurmdbd of an end; asked sooner, sacct would still say RUNNING. */
const SETTLE_MS = 500;
/** A job that still runs for Slurm is asked for again, each time twice as much later; then the regular pass has it. */
const MAX_QUICK_TRIES = 6;
/** How far back the first pass looks. Older jobs that agents speak of are asked for by number. */
const FIRST_LOOK_BACK_MS = 86_400_000;
/** Passes overlap: what slurmdbd took in late, behind a slow slurmctld, is not missed. */
const OVERLAP_MS = 300_000;
/** Jobs asked for by number in one command: keeps the command line short. */
const MAX_BY_NUMBER = 500;
const MAX_BACKOFF_MS = 300_000;

export interface FactsLoopOptions {
  readonly source: FactsSource;
  readonly ledger: Pick<LedgerPort, 'recordFacts' | 'unresolvedJobs'>;
  readonly intervalMs: number;
  readonly metrics: Metrics;
  readonly log: Log;
}

interface Awaited {
  readonly dueMs: number;
  readonly tries: number;
}

export class FactsLoop {
  readonly #options: FactsLoopOptions;
  /** Ended jobs of which Slurm has not yet said so. */
  readonly #awaited = new Map<number, Awaited>();
  #regularDueMs = 0;
  #lastSuccessMs: number | undefined;
  #failures = 0;
  #stopped = false;
  #wake: () => void = () => undefined;

  constructor(options: FactsLoopOptions) {
    this.#options = options;
  }

  /** Runs passes, one at a time, until stopped. Never rejects: a failed pass is logged and tried again later. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const waitMs = this.#nextDueMs() - Date.now();
      if (waitMs > 0) await this.#sleep(waitMs);
      else await this.#pass();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Agents say that these jobs have ended: asks Slurm for them soon. */
  nudge(jobIds: readonly number[]): void {
    for (const jobId of jobIds) this.#awaited.set(jobId, { dueMs: Date.now() + SETTLE_MS, tries: 0 });
    this.#wake();
  }

  #nextDueMs(): number {
    // After a failure nothing is quick: Slurm is busy or away, and what is awaited is asked for with the next pass.
    if (this.#failures > 0) return this.#regularDueMs;
    return Math.min(this.#regularDueMs, ...[...this.#awaited.values()].map((job) => job.dueMs));
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #pass(): Promise<void> {
    const { intervalMs, log, metrics } = this.#options;
    const startMs = Date.now();
    const regular = startMs >= this.#regularDueMs;
    try {
      if (regular) await this.#regularPass(startMs);
      await this.#quickPass(startMs);
      this.#failures = 0;
      metrics.factsTaken();
      if (regular) this.#regularDueMs = startMs + intervalMs;
    } catch (error) {
      this.#failures++;
      metrics.factsFailures.inc();
      const backoffMs = Math.min(MAX_BACKOFF_MS, intervalMs * 2 ** (this.#failures - 1));
      this.#regularDueMs = Date.now() + backoffMs;
      const remedy = error instanceof WattleError ? { remedy: error.remedy } : {};
      log.warn({ error: messageOf(error), ...remedy, nextTryMs: backoffMs }, 'no job facts');
    }
  }

  async #regularPass(startMs: number): Promise<void> {
    const { source, ledger } = this.#options;
    const sinceMs = (this.#lastSuccessMs ?? startMs - FIRST_LOOK_BACK_MS) - OVERLAP_MS;
    const facts = await source.jobs({ sinceMs });
    await ledger.recordFacts(facts.map((job) => this.#place(job)));
    const seen = new Set(facts.map((job) => job.jobIdRaw));
    const older = (await ledger.unresolvedJobs(MAX_BY_NUMBER)).filter((jobId) => !seen.has(jobId));
    await this.#askByNumber(older);
    this.#lastSuccessMs = startMs;
  }

  async #quickPass(startMs: number): Promise<void> {
    const due = [...this.#awaited].filter(([, job]) => job.dueMs <= startMs).map(([jobId]) => jobId);
    const asked = due.slice(0, MAX_BY_NUMBER);
    if (asked.length === 0) return;
    const facts = await this.#askByNumber(asked);
    const over = new Set(facts.filter((job) => job.endMs !== null).map((job) => job.jobIdRaw));
    for (const jobId of asked) {
      const tries = (this.#awaited.get(jobId)?.tries ?? 0) + 1;
      if (over.has(jobId) || tries >= MAX_QUICK_TRIES) this.#awaited.delete(jobId);
      else this.#awaited.set(jobId, { dueMs: Date.now() + SETTLE_MS * 2 ** tries, tries });
    }
  }

  async #askByNumber(jobIds: readonly number[]): Promise<readonly JobFacts[]> {
    if (jobIds.length === 0) return [];
    const facts = await this.#options.source.jobs({ jobIds, sinceMs: 0 });
    await this.#options.ledger.recordFacts(facts.map((job) => this.#place(job)));
    return facts;
  }

  #place(job: JobFacts): PlacedFacts {
    try {
      return { ...job, nodes: expandHostlist(job.nodelist) };
    } catch (error) {
      this.#options.log.warn({ jobId: job.jobIdRaw, error: messageOf(error) }, 'unreadable node list');
      return { ...job, nodes: [] };
    }
  }
}
