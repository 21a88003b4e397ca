/**
 * What an agent sends to the controller: one batch per request, sealed by MUNGE.
 *
 * Every segment is a delta: the controller adds it to the ledger row of (node, interval, owner), so the
 * ledger stays one row per owner and interval however often an agent reports. A batch is applied once,
 * known by (cluster, node, epoch, sequence).
 */
import * as v from 'valibot';
import { DOMAIN_KINDS, OWNER_KINDS, QUALITIES } from './vocabulary.js';

/** Bumped when a field changes its meaning; the controller refuses a version it does not know, by number. */
export const WIRE_VERSION = 1;

/** Content type of a sealed batch: the body is one MUNGE credential whose payload is the JSON of a Batch. */
export const SEALED_CONTENT_TYPE = 'application/x-munge';

/**
 * Payload limit of one sealed batch in bytes, checked on both sides; agents split before it. munged takes
 * messages up to 1 MiB (MUNGE_MAXIMUM_REQ_LEN), and the credential is the payload in base64: 4/3 of 704 KiB
 * and its header stay below that even where nothing can be compressed.
 */
export const MAX_BATCH_BYTES = 704 * 1024;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = (max: number) => v.pipe(v.string(), v.maxLength(max));
const name = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(255),
  v.regex(/^[\w.@+-]+$/, 'letters, digits and . _ @ + - only'),
);

const domainGroupsSchema = v.strictObject({ package: count, dram: count, gpu: count, other: count });
/** Whole microjoules per domain group. */
export type GroupMicrojoules = v.InferOutput<typeof domainGroupsSchema>;

const stepSchema = v.strictObject({
  /** Step name as sacct prints it behind the dot: `batch`, `extern`, `interactive`, `0`, `1`. */
  step: v.pipe(v.string(), v.regex(/^(batch|extern|interactive|\d{1,10})$/)),
  microjoules: domainGroupsSchema,
  cpuMs: count,
});

const rowSchema = v.pipe(
  v.strictObject({
    owner: v.picklist(OWNER_KINDS),
    /** Only for owner `job`: Slurm's raw job id (JobIDRaw) and how often it was requeued before this run. */
    jobId: v.optional(count),
    restartCount: v.optional(count),
    /** The owner's own part of the segment: inside [segment.startMs, segment.endMs]. */
    startMs: count,
    endMs: count,
    microjoules: domainGroupsSchema,
    /** How much of [startMs, endMs] was really sampled. */
    coveredMs: count,
    /** CPU time burnt by the owner in the segment. */
    cpuMs: count,
    /** Cores allocated to the owner on this node, 0 where that has no meaning. */
    cores: count,
    quality: v.picklist(QUALITIES),
    steps: v.optional(v.pipe(v.array(stepSchema), v.maxLength(4096))),
  }),
  v.check((row) => (row.owner === 'job') === (row.jobId !== undefined), 'jobId belongs to owner "job", and only there'),
  v.check((row) => row.endMs >= row.startMs, 'endMs is before startMs'),
);
export type LedgerDelta = v.InferOutput<typeof rowSchema>;

const segmentSchema = v.pipe(
  v.strictObject({
    /** Wall-clock span of the segment; never crosses a ledger interval's edge. */
    startMs: count,
    endMs: count,
    /** Start of the ledger interval that the segment lies in, and the interval's length. */
    intervalStartMs: count,
    intervalMs: v.pipe(count, v.minValue(1000), v.maxValue(3_600_000)),
    /** The node's own total. The rows' microjoules add up to it, exactly, in each domain group. */
    microjoules: domainGroupsSchema,
    coveredMs: count,
    quality: v.picklist(QUALITIES),
    /** Attribution rule and version, e.g. `wattle-1`, and the meters that won, e.g. `rapl-powercap`. */
    rule: name,
    method: text(255),
    rows: v.pipe(v.array(rowSchema), v.maxLength(16384)),
  }),
  v.check((s) => s.endMs >= s.startMs, 'endMs is before startMs'),
  v.check(
    (s) => s.startMs >= s.intervalStartMs && s.endMs <= s.intervalStartMs + s.intervalMs,
    'the segment leaves its ledger interval',
  ),
  v.check(
    (s) =>
      (['package', 'dram', 'gpu', 'other'] as const).every(
        (group) => s.rows.reduce((sum, row) => sum + row.microjoules[group], 0) === s.microjoules[group],
      ),
    "the rows' microjoules do not add up to the segment's (law 1: conservation)",
  ),
);
export type Segment = v.InferOutput<typeof segmentSchema>;

const jobEventSchema = v.strictObject({
  kind: v.picklist(['start', 'end']),
  jobId: count,
  restartCount: count,
  atMs: count,
  uid: v.optional(count),
  user: v.optional(text(255)),
  account: v.optional(text(255)),
  partition: v.optional(text(255)),
  /** How the agent learned of it: the hook, or a control group that appeared or vanished. */
  source: v.picklist(['hook', 'cgroup', 'process']),
});
export type JobEvent = v.InferOutput<typeof jobEventSchema>;

const domainSchema = v.strictObject({
  name: text(255),
  kind: v.picklist(DOMAIN_KINDS),
  meter: text(64),
  quality: v.picklist(QUALITIES),
});

export const batchSchema = v.strictObject({
  version: v.literal(WIRE_VERSION),
  cluster: name,
  node: name,
  /** New whenever the sequence starts again: `<boot id>/<random>` of the agent's spool. */
  epoch: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  sequence: count,
  sentAtMs: count,
  domains: v.pipe(v.array(domainSchema), v.maxLength(1024)),
  segments: v.pipe(v.array(segmentSchema), v.maxLength(4096)),
  events: v.pipe(v.array(jobEventSchema), v.maxLength(65536)),
});
export type Batch = v.InferOutput<typeof batchSchema>;

/** Answer to a batch. `duplicate` is a success: the batch was booked before. */
export interface BatchAnswer {
  readonly status: 'booked' | 'duplicate';
  readonly sequence: number;
  /** Jobs of the batch that Slurm says ended long ago: their epilog event was lost. */
  readonly overdueJobs?: readonly number[];
}
