/**
 * The controller's HTTP API as `scarbon`, `wattle` and other clients see it.
 *
 * Callers are known by SO_PEERCRED on the unix socket, or by `Authorization: MUNGE <credential>` on TCP
 * (an empty payload is enough). A user sees their own jobs, an operator sees all.
 * Errors are `{ "error": { "code": string, "message": string, "remedy": string } }`.
 *
 *   GET /healthz            200 { status: 'ok' } once the ledger answers, 503 otherwise
 *   GET /metrics            Prometheus text
 *   POST /v1/ingest         a sealed Batch -> BatchAnswer (agents only)
 *   GET /v1/jobs?...        JobsAnswer
 *   GET /v1/conservation?since=<ms>&until=<ms>   ConservationAnswer (operators only)
 */
import type { Quality } from './vocabulary.js';
import type { EpochMs, GramsCo2e, Microjoules, DurationMs } from './units.js';

/** Query parameters of GET /v1/jobs: comma-separated lists, times in epoch ms. All optional. */
export const JOBS_QUERY_KEYS = [
  'jobs',
  'users',
  'accounts',
  'partitions',
  'nodes',
  'states',
  'since',
  'until',
  'limit',
] as const;
export type JobsQueryKey = (typeof JOBS_QUERY_KEYS)[number];

export interface EnergyAnswer {
  readonly package: Microjoules;
  readonly dram: Microjoules;
  readonly gpu: Microjoules;
  readonly other: Microjoules;
}

export interface StepAnswer {
  /** As behind the dot in sacct: `batch`, `extern`, `0`. */
  readonly step: string;
  readonly name: string;
  readonly state: string;
  readonly startMs: EpochMs | null;
  readonly endMs: EpochMs | null;
  readonly elapsedMs: DurationMs;
  readonly ncpus: number;
  readonly nodelist: string;
  readonly exitCode: string;
  readonly energy: EnergyAnswer;
  readonly co2e: GramsCo2e | null;
}

export interface JobAnswer {
  /** As sacct prints it: `12`, `12_3` (array task), `12+1` (het component). */
  readonly jobId: string;
  /** sacct's JobIDRaw. */
  readonly jobIdRaw: number;
  readonly name: string;
  readonly user: string;
  readonly account: string;
  readonly partition: string;
  readonly qos: string;
  /** sacct's State; `RUNNING` or `UNKNOWN` where only the agents have spoken of the job so far. */
  readonly state: string;
  readonly submitMs: EpochMs | null;
  readonly startMs: EpochMs | null;
  readonly endMs: EpochMs | null;
  readonly elapsedMs: DurationMs;
  readonly ncpus: number;
  readonly nnodes: number;
  readonly nodelist: string;
  readonly exitCode: string;
  readonly energy: EnergyAnswer;
  /** null where no carbon intensity is known for a zone the job ran in. */
  readonly co2e: GramsCo2e | null;
  /** Share of the job's node-time that was really sampled, 0 to 1; null where nothing ran. */
  readonly coverage: number | null;
  /** Worst quality of the rows; null where nothing was booked. */
  readonly quality: Quality | null;
  readonly cpuMs: DurationMs;
  /** Node-time that was really sampled, over all nodes and runs: energy / sampledNodeMs is the mean power of one node. */
  readonly sampledNodeMs: DurationMs;
  /** Zones, carbon intensity sources and rule names behind the figures, sorted. */
  readonly zones: readonly string[];
  readonly ciSources: readonly string[];
  readonly rules: readonly string[];
  readonly steps: readonly StepAnswer[];
}

export interface JobsAnswer {
  readonly cluster: string;
  readonly jobs: readonly JobAnswer[];
  /** True where `limit` cut the list. */
  readonly truncated: boolean;
}

/** Law 1 over the stored ledger: what the nodes used against what was booked to owners. */
export interface ConservationAnswer {
  readonly since: EpochMs;
  readonly until: EpochMs;
  readonly nodes: readonly {
    readonly node: string;
    readonly total: Microjoules;
    readonly owners: Readonly<Record<string, Microjoules>>;
    /** Intervals in which the owners' sum differs from the node's total in some domain group. */
    readonly intervalsOff: number;
    readonly intervals: number;
    readonly coverage: number;
  }[];
}

export interface ErrorAnswer {
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string };
}
