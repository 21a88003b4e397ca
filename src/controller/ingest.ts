/** From a sealed body to a booked batch: every check that stands between an agent and the ledger. */
import * as v from 'valibot';
import {
  type Batch,
  type BatchAnswer,
  MAX_BATCH_BYTES,
  SEALED_CONTENT_TYPE,
  WIRE_VERSION,
  WattleError,
  batchSchema,
} from '../contract/index.js';
import type { Access } from './access.js';
import { askLedger } from './ask-ledger.js';
import { BodyReader } from './body.js';
import type { Metrics } from './metrics.js';
import type { NodeMap } from './node-map.js';
import type { CredentialOpener, LedgerPort, Site } from './ports.js';

/** A credential is the payload in base64 (4 bytes for 3) with a header and a signature. */
const MAX_BODY_BYTES = Math.ceil((MAX_BATCH_BYTES * 4) / 3) + 4096;
/** All bodies together; with the parsed batches some three times that is in memory. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** Before this the clock of a node had not been set yet. */
const EARLIEST_MS = Date.UTC(2020, 0, 1);
/** Clocks differ, and time zones are confused with UTC; more than that is a broken clock. */
const MAX_AHEAD_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/**
 * A job still booked so long after its end has lost its epilog event. A site's own epilog may take minutes, and
 * until it is through the node is the job's.
 */
const OVERDUE_MS = 900_000;

export interface IngestOptions {
  readonly cluster: string;
  readonly access: Access;
  readonly opener: CredentialOpener;
  readonly ledger: Pick<LedgerPort, 'book' | 'endedJobs'>;
  readonly nodes: NodeMap;
  readonly siteOf: (node: string) => Site;
  readonly metrics: Metrics;
  /** Told of jobs whose end an agent has just reported. */
  readonly onJobsEnded: (jobIds: readonly number[]) => void;
}

export class Ingest {
  readonly #options: IngestOptions;
  readonly #bodies = new BodyReader(MAX_BODY_BYTES, MAX_HELD_BYTES);

  constructor(options: IngestOptions) {
    this.#options = options;
  }

  /**
   * @param peerUid who sends, where the kernel knows it (unix socket)
   * @throws WattleError `ingest.*`, `munge.*`, `ledger.unbookable`
   */
  async take(request: Request, peerUid: number | undefined): Promise<BatchAnswer> {
    const { metrics } = this.#options;
    try {
      const sealed = isSealed(request, peerUid);
      const answer = await this.#bodies.read(request, async (body) => {
        const { payload, uid } = sealed ? await this.#open(body) : { payload: body, uid: peerUid ?? -1 };
        return this.#book(payload, uid);
      });
      metrics.batches.inc({ result: answer.status });
      return answer;
    } catch (error) {
      metrics.batches.inc({ result: 'refused' });
      metrics.refused.inc({ code: error instanceof WattleError ? error.code : 'internal' });
      throw error;
    }
  }

  #open(body: Buffer): Promise<{ payload: Uint8Array; uid: number }> {
    return this.#options.opener.open(body.toString('latin1').trim());
  }

  async #book(payload: Uint8Array, uid: number): Promise<BatchAnswer> {
    const { access, cluster, nodes, ledger, siteOf, metrics, onJobsEnded } = this.#options;
    if (!access.mayReport(uid)) {
      const remedy = 'run the agent as one of [controller] agent_users';
      throw new WattleError('ingest.forbidden', `uid ${uid} may not report energy`, remedy);
    }
    const batch = parseBatch(payload);
    if (batch.cluster !== cluster) {
      const found = `the batch is of cluster ${JSON.stringify(batch.cluster)}, this controller keeps ${JSON.stringify(cluster)}`;
      throw new WattleError('ingest.wrong-cluster', found, 'compare [cluster] name and controller on both hosts');
    }
    if (!(await nodes.knows(batch.node))) {
      const remedy = 'set [agent] node to the NodeName that slurm.conf has for the host';
      throw new WattleError('ingest.unknown-node', `Slurm has no node ${JSON.stringify(batch.node)}`, remedy);
    }
    refuseImplausible(batch, Date.now());
    const status = await askLedger(metrics, 'book', () => ledger.book(batch, siteOf(batch.node)));
    if (status === 'booked') {
      metrics.booked(batch);
      const ended = batch.events.filter((event) => event.kind === 'end').map((event) => event.jobId);
      if (ended.length > 0) onJobsEnded(ended);
    }
    const overdueJobs = await this.#overdue(batch);
    return { status, sequence: batch.sequence, ...(overdueJobs.length > 0 ? { overdueJobs } : {}) };
  }

  async #overdue(batch: Batch): Promise<readonly number[]> {
    const jobIds = new Set(batch.segments.flatMap((segment) => segment.rows.flatMap((row) => row.jobId ?? [])));
    if (jobIds.size === 0) return [];
    const { ledger, metrics } = this.#options;
    return askLedger(metrics, 'ended', () => ledger.endedJobs([...jobIds], batch.sentAtMs - OVERDUE_MS));
  }
}

/** Plain JSON is taken on the unix socket only, where the kernel vouches for the sender instead of MUNGE. */
function isSealed(request: Request, peerUid: number | undefined): boolean {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type === SEALED_CONTENT_TYPE) return true;
  if (type === 'application/json' && peerUid !== undefined) return false;
  throw new WattleError(
    'ingest.content-type',
    `expected ${SEALED_CONTENT_TYPE}, found ${JSON.stringify(type ?? '')}`,
    'send the batch as a MUNGE credential (plain JSON only over the unix socket)',
  );
}

function parseBatch(payload: Uint8Array): Batch {
  if (payload.byteLength > MAX_BATCH_BYTES) {
    const found = `the batch has ${payload.byteLength} bytes, at most ${MAX_BATCH_BYTES} are taken`;
    throw new WattleError('ingest.too-large', found, 'split the batch');
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    const remedy = 'compare the versions of agent and controller';
    throw new WattleError('ingest.malformed', 'the batch is not JSON', remedy, { cause });
  }
  // The version first: the other complaints about a batch of another version would mislead.
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (typeof version === 'number' && version !== WIRE_VERSION) {
    throw new WattleError(
      'ingest.unsupported-version',
      `the batch has wire version ${version}, this controller reads version ${WIRE_VERSION}`,
      version > WIRE_VERSION ? 'update the controller before the agents' : 'update the agent',
    );
  }
  const parsed = v.safeParse(batchSchema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const where = v.getDotPath(issue) ?? 'batch';
  const message = `${where}: ${issue.message}`.slice(0, 500);
  throw new WattleError('ingest.malformed', message, 'compare the versions of agent and controller');
}

/** What the form allows and a working node cannot mean. @throws WattleError `ingest.implausible` */
function refuseImplausible(batch: Batch, nowMs: number): void {
  const times = [
    ...batch.segments.flatMap((segment) => [segment.startMs, segment.endMs, segment.intervalStartMs]),
    ...batch.events.map((event) => event.atMs),
  ];
  const wrong = times.find((ms) => ms < EARLIEST_MS || ms > nowMs + MAX_AHEAD_MS);
  if (wrong !== undefined) {
    const found = `${batch.node} reports of ${new Date(Math.min(wrong, 8.64e15)).toISOString()}`;
    throw new WattleError('ingest.implausible', found, "set the node's clock");
  }
  const crooked = batch.segments.find((s) => HOUR_MS % s.intervalMs !== 0 || s.intervalStartMs % s.intervalMs !== 0);
  if (crooked !== undefined) {
    const found = `an interval of ${crooked.intervalMs} ms begins at ${crooked.intervalStartMs}`;
    throw new WattleError('ingest.implausible', found, '[ledger] interval must divide an hour');
  }
}
