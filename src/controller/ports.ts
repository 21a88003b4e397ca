/** What the controller needs of the rooms behind it. They implement it; src/cli/ puts them together. */
import type { Batch, BatchAnswer, ConservationAnswer, JobAnswer } from '../contract/index.js';
import type { JobFacts } from '../slurm/index.js';

/** Booked where no zone is configured: there are joules then, and no grams. */
export const UNKNOWN_ZONE = 'unknown';

/** Where a node stands: its grid zone, and the power usage effectiveness of the building. */
export interface Site {
  readonly zone: string;
  readonly pue: number;
}

/** A job as a person names it: `12` is the job and all of its array tasks or het components. */
export interface JobName {
  /** `12`, `12_3` or `12+1`. */
  readonly displayId: string;
  /** Set where the name is a plain number. */
  readonly id?: number;
}

/** Conditions that must all hold; within one list any may. An absent list holds for every job. */
export interface JobsQuery {
  readonly jobs?: readonly JobName[];
  readonly users?: readonly string[];
  readonly accounts?: readonly string[];
  readonly partitions?: readonly string[];
  readonly nodes?: readonly string[];
  readonly states?: readonly string[];
  /** Jobs that were there at some time in [sinceMs, untilMs]. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
  /** The newest `limit` jobs. */
  readonly limit: number;
}

export interface JobsPage {
  readonly jobs: readonly JobAnswer[];
  readonly truncated: boolean;
}

/** Facts with their node list expanded. */
export interface PlacedFacts extends JobFacts {
  readonly nodes: readonly string[];
}

export interface LedgerPort {
  /**
   * Books a batch once, whole or not at all.
   * @throws WattleError `ledger.unbookable` where a value does not fit; any other error may pass with a later try
   */
  book(batch: Batch, site: Site): Promise<BatchAnswer['status']>;
  /** Those of `jobIds` whose latest run, as Slurm told us, ended before `beforeMs`. */
  endedJobs(jobIds: readonly number[], beforeMs: number): Promise<readonly number[]>;
  recordFacts(facts: readonly PlacedFacts[]): Promise<void>;
  /** Raw ids of jobs that agents have spoken of, and whose end Slurm has not yet told us: latest first. */
  unresolvedJobs(limit: number): Promise<readonly number[]>;
  recordPartitions(nodes: ReadonlyMap<string, readonly string[]>): Promise<void>;
  /** Partitions of each node, as last recorded. */
  partitions(): Promise<Map<string, readonly string[]>>;
  jobs(query: JobsQuery): Promise<JobsPage>;
  conservation(sinceMs: number, untilMs: number): Promise<ConservationAnswer>;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
}

/** Slurm's accounting; absent where the site has none. */
export interface FactsSource {
  jobs(query: { sinceMs?: number; jobIds?: readonly number[] }): Promise<readonly JobFacts[]>;
}

/** munged: says what was sealed, and by whom. */
export interface CredentialOpener {
  open(credential: string): Promise<{ payload: Uint8Array; uid: number; gid: number }>;
}
