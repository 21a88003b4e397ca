/** Books batches: every segment is a delta, added to the row of its node, interval and owner. */
import { type Batch, type JobEvent, type Segment, WattleError, messageOf } from '../contract/index.js';
import type { Site } from '../controller/ports.js';
import { columns, timestamp } from './columns.js';
import { type Database, type Queryable, sqlState } from './database.js';
import type { Names } from './names.js';
import type { Partitions } from './partitions.js';

/** The ids that the rows of one batch share. */
interface Place {
  readonly clusterId: number;
  readonly nodeId: number;
  readonly zoneId: number;
}

/** SQLSTATE classes of data that can never be booked: out of range, not a valid text, a violated constraint. */
const UNBOOKABLE = /^2[23]/;

export class Booking {
  readonly #database: Database;
  readonly #names: Names;
  readonly #partitions: Partitions;
  /** What is already stored of each node, so that an unchanged node costs no statement. */
  readonly #pues = new Map<number, number>();
  readonly #domains = new Map<number, string>();

  constructor(database: Database, names: Names, partitions: Partitions) {
    this.#database = database;
    this.#names = names;
    this.#partitions = partitions;
  }

  async book(batch: Batch, site: Site): Promise<'booked' | 'duplicate'> {
    try {
      return await this.#book(batch, site);
    } catch (cause) {
      if (!UNBOOKABLE.test(sqlState(cause) ?? '')) throw cause;
      throw new WattleError(
        'ledger.unbookable',
        `batch ${batch.sequence} of ${batch.node} does not fit the ledger: ${messageOf(cause)}`,
        "look at the agent's version and at its node's clock",
        { cause },
      );
    }
  }

  async #book(batch: Batch, site: Site): Promise<'booked' | 'duplicate'> {
    const clusterId = await this.#names.cluster(batch.cluster);
    const nodeId = await this.#names.node(clusterId, batch.node);
    const place = { clusterId, nodeId, zoneId: await this.#names.zone(site.zone) };
    await this.#assignPue(nodeId, site.pue);
    await this.#storeDomains(nodeId, batch);
    const starts = batch.segments.map((segment) => segment.intervalStartMs);
    for (const start of new Set(starts)) await this.#partitions.ensure(start, start);
    const methodIds = await Promise.all(batch.segments.map((s) => this.#names.method(s.rule, s.method)));
    return this.#database.transaction(async (tx) => {
      if (!(await claim(tx, nodeId, batch))) return 'duplicate';
      await bookNode(tx, place, batch.segments, methodIds);
      await bookRows(tx, place, batch.segments, methodIds);
      await bookSteps(tx, place, batch.segments);
      await recordEvents(tx, place, batch.events);
      return 'booked';
    });
  }

  /** A changed PUE holds from now on; a node's first one also for all that came before. */
  async #assignPue(nodeId: number, pue: number): Promise<void> {
    if (this.#pues.get(nodeId) === pue) return;
    await this.#database.transaction(async (tx) => {
      // Two controllers must not both end the same assignment.
      await tx.query('select 1 from node where node_id = $1::integer for update', [nodeId]);
      const [open] = await tx.query<{ pue: number }>(
        `select pue from pue_assignment where node_id = $1::integer and valid_to = 'infinity'`,
        [nodeId],
      );
      if (open?.pue === pue) return;
      await tx.query(
        `update pue_assignment set valid_to = now() where node_id = $1::integer and valid_to = 'infinity'`,
        [nodeId],
      );
      await tx.query(
        `insert into pue_assignment (node_id, valid_from, pue)
         values ($1::integer, case when $2::boolean then now() else '-infinity'::timestamptz end, $3::double precision)`,
        [nodeId, open !== undefined, pue],
      );
    });
    this.#pues.set(nodeId, pue);
  }

  async #storeDomains(nodeId: number, batch: Batch): Promise<void> {
    const domains = JSON.stringify(batch.domains);
    if (this.#domains.get(nodeId) === domains) return;
    await this.#database.query('update node set domains = $2::jsonb where node_id = $1::integer', [nodeId, domains]);
    this.#domains.set(nodeId, domains);
  }
}

/** Marks the batch as booked; false where it was already. The row stays locked, so a node's batches go one by one. */
async function claim(tx: Queryable, nodeId: number, batch: Batch): Promise<boolean> {
  await tx.query(
    'insert into batch_epoch (node_id, epoch) values ($1::integer, $2) on conflict (node_id, epoch) do nothing',
    [nodeId, batch.epoch],
  );
  const claimed = await tx.query(
    `update batch_epoch set booked = booked + int8multirange(int8range($3::bigint, $3::bigint, '[]')), last_at = now()
     where node_id = $1::integer and epoch = $2 and not booked @> $3::bigint
     returning node_id`,
    [nodeId, batch.epoch, batch.sequence],
  );
  return claimed.length === 1;
}

async function bookNode(
  tx: Queryable,
  place: Place,
  segments: readonly Segment[],
  methodIds: readonly number[],
): Promise<void> {
  if (segments.length === 0) return;
  await tx.query(
    `insert into ledger_node as l (node_id, zone_id, interval_start, interval_ms, method_id,
       uj_package, uj_dram, uj_gpu, uj_other, observed_ms, covered_ms, quality)
     select $1::integer, $2::integer, u.interval_start, max(u.interval_ms), u.method_id,
       sum(u.package)::bigint, sum(u.dram)::bigint, sum(u.gpu)::bigint, sum(u.other)::bigint,
       sum(u.observed_ms)::integer, sum(u.covered_ms)::integer, max(u.quality::quality)
     from unnest($3::timestamptz[], $4::integer[], $5::integer[], $6::bigint[], $7::bigint[], $8::bigint[],
       $9::bigint[], $10::integer[], $11::integer[], $12::text[])
       as u(interval_start, interval_ms, method_id, package, dram, gpu, other, observed_ms, covered_ms, quality)
     group by u.interval_start, u.method_id
     on conflict (node_id, interval_start, zone_id, method_id) do update set
       uj_package = l.uj_package + excluded.uj_package, uj_dram = l.uj_dram + excluded.uj_dram,
       uj_gpu = l.uj_gpu + excluded.uj_gpu, uj_other = l.uj_other + excluded.uj_other,
       observed_ms = l.observed_ms + excluded.observed_ms, covered_ms = l.covered_ms + excluded.covered_ms,
       quality = greatest(l.quality, excluded.quality)`,
    [
      place.nodeId,
      place.zoneId,
      ...columns(
        segments.map((segment, i) => ({ ...segment, methodId: methodIds[i] ?? 0 })),
        (s) => timestamp(s.intervalStartMs),
        (s) => s.intervalMs,
        (s) => s.methodId,
        (s) => s.microjoules.package,
        (s) => s.microjoules.dram,
        (s) => s.microjoules.gpu,
        (s) => s.microjoules.other,
        (s) => s.endMs - s.startMs,
        (s) => s.coveredMs,
        (s) => s.quality,
      ),
    ],
  );
}

async function bookRows(
  tx: Queryable,
  place: Place,
  segments: readonly Segment[],
  methodIds: readonly number[],
): Promise<void> {
  const rows = segments.flatMap((segment, i) =>
    segment.rows.map((row) => ({ row, segment, methodId: methodIds[i] ?? 0 })),
  );
  if (rows.length === 0) return;
  await tx.query(
    `insert into ledger_row as l (cluster_id, node_id, zone_id, interval_start, interval_ms, method_id, owner, job_id,
       restart_count, uj_package, uj_dram, uj_gpu, uj_other, active_ms, covered_ms, cpu_ms, cores, quality)
     select $1::smallint, $2::integer, $3::integer, u.interval_start, max(u.interval_ms), u.method_id,
       u.owner::owner_kind, u.job_id, u.restart_count,
       sum(u.package)::bigint, sum(u.dram)::bigint, sum(u.gpu)::bigint, sum(u.other)::bigint,
       sum(u.active_ms)::integer, sum(u.covered_ms)::integer, sum(u.cpu_ms)::bigint, max(u.cores),
       max(u.quality::quality)
     from unnest($4::timestamptz[], $5::integer[], $6::integer[], $7::text[], $8::bigint[], $9::integer[],
       $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::integer[], $15::integer[], $16::bigint[],
       $17::integer[], $18::text[])
       as u(interval_start, interval_ms, method_id, owner, job_id, restart_count, package, dram, gpu, other,
         active_ms, covered_ms, cpu_ms, cores, quality)
     group by u.interval_start, u.method_id, u.owner, u.job_id, u.restart_count
     on conflict (cluster_id, job_id, interval_start, node_id, owner, restart_count, zone_id, method_id) do update set
       uj_package = l.uj_package + excluded.uj_package, uj_dram = l.uj_dram + excluded.uj_dram,
       uj_gpu = l.uj_gpu + excluded.uj_gpu, uj_other = l.uj_other + excluded.uj_other,
       active_ms = l.active_ms + excluded.active_ms, covered_ms = l.covered_ms + excluded.covered_ms,
       cpu_ms = l.cpu_ms + excluded.cpu_ms, cores = greatest(l.cores, excluded.cores),
       quality = greatest(l.quality, excluded.quality)`,
    [
      place.clusterId,
      place.nodeId,
      place.zoneId,
      ...columns(
        rows,
        ({ segment }) => timestamp(segment.intervalStartMs),
        ({ segment }) => segment.intervalMs,
        ({ methodId }) => methodId,
        ({ row }) => row.owner,
        ({ row }) => row.jobId ?? 0,
        ({ row }) => row.restartCount ?? 0,
        ({ row }) => row.microjoules.package,
        ({ row }) => row.microjoules.dram,
        ({ row }) => row.microjoules.gpu,
        ({ row }) => row.microjoules.other,
        ({ row }) => row.endMs - row.startMs,
        ({ row }) => row.coveredMs,
        ({ row }) => row.cpuMs,
        ({ row }) => row.cores,
        ({ row }) => row.quality,
      ),
    ],
  );
}

async function bookSteps(tx: Queryable, place: Place, segments: readonly Segment[]): Promise<void> {
  const steps = segments
    .flatMap((segment) => segment.rows.map((row) => ({ row, segment })))
    .flatMap(({ row, segment }) => (row.steps ?? []).map((step) => ({ step, row, segment })))
    // Most steps named `extern` do nothing at all: a row of zeros says no more than no row.
    .filter(({ step }) => step.cpuMs > 0 || Object.values(step.microjoules).some((value) => value > 0));
  if (steps.length === 0) return;
  await tx.query(
    `insert into ledger_step as l (cluster_id, node_id, zone_id, interval_start, job_id, restart_count, step,
       uj_package, uj_dram, uj_gpu, uj_other, cpu_ms)
     select $1::smallint, $2::integer, $3::integer, u.interval_start, u.job_id, u.restart_count, u.step,
       sum(u.package)::bigint, sum(u.dram)::bigint, sum(u.gpu)::bigint, sum(u.other)::bigint, sum(u.cpu_ms)::bigint
     from unnest($4::timestamptz[], $5::bigint[], $6::integer[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[],
       $11::bigint[], $12::bigint[])
       as u(interval_start, job_id, restart_count, step, package, dram, gpu, other, cpu_ms)
     group by u.interval_start, u.job_id, u.restart_count, u.step
     on conflict (cluster_id, job_id, interval_start, node_id, restart_count, step, zone_id) do update set
       uj_package = l.uj_package + excluded.uj_package, uj_dram = l.uj_dram + excluded.uj_dram,
       uj_gpu = l.uj_gpu + excluded.uj_gpu, uj_other = l.uj_other + excluded.uj_other,
       cpu_ms = l.cpu_ms + excluded.cpu_ms`,
    [
      place.clusterId,
      place.nodeId,
      place.zoneId,
      ...columns(
        steps,
        ({ segment }) => timestamp(segment.intervalStartMs),
        ({ row }) => row.jobId ?? 0,
        ({ row }) => row.restartCount ?? 0,
        ({ step }) => step.step,
        ({ step }) => step.microjoules.package,
        ({ step }) => step.microjoules.dram,
        ({ step }) => step.microjoules.gpu,
        ({ step }) => step.microjoules.other,
        ({ step }) => step.cpuMs,
      ),
    ],
  );
}

async function recordEvents(tx: Queryable, place: Place, events: readonly JobEvent[]): Promise<void> {
  if (events.length === 0) return;
  const at = (kind: JobEvent['kind']) => (event: JobEvent) => (event.kind === kind ? timestamp(event.atMs) : null);
  await tx.query(
    `insert into job_node as l (cluster_id, node_id, job_id, restart_count, started_at, ended_at)
     select $1::smallint, $2::integer, u.job_id, u.restart_count, min(u.started_at), max(u.ended_at)
     from unnest($3::bigint[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
       as u(job_id, restart_count, started_at, ended_at)
     group by u.job_id, u.restart_count
     on conflict (cluster_id, job_id, restart_count, node_id) do update set
       started_at = least(l.started_at, excluded.started_at), ended_at = greatest(l.ended_at, excluded.ended_at)`,
    [
      place.clusterId,
      place.nodeId,
      ...columns(
        events,
        (e) => e.jobId,
        (e) => e.restartCount,
        at('start'),
        at('end'),
      ),
    ],
  );
  // Ordered by job, so that two nodes of one job lock the jobs in the same order.
  await tx.query(
    `insert into job as l (cluster_id, job_id, display_id, group_id, uid, user_name, account, partition, state, first_at)
     select $1::smallint, u.job_id, u.job_id::text, u.job_id, max(u.uid), coalesce(max(u.user_name), ''),
       coalesce(max(u.account), ''), coalesce(max(u.partition), ''), 'RUNNING', min(u.at)
     from unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
       as u(job_id, uid, user_name, account, partition, at)
     group by u.job_id order by u.job_id
     on conflict (cluster_id, job_id) do update set
       first_at = least(l.first_at, excluded.first_at),
       uid = coalesce(l.uid, excluded.uid),
       user_name = coalesce(nullif(l.user_name, ''), excluded.user_name),
       account = coalesce(nullif(l.account, ''), excluded.account),
       partition = coalesce(nullif(l.partition, ''), excluded.partition)`,
    [
      place.clusterId,
      ...columns(
        events,
        (e) => e.jobId,
        (e) => e.uid ?? null,
        (e) => e.user ?? null,
        (e) => e.account ?? null,
        (e) => e.partition ?? null,
        (e) => timestamp(e.atMs),
      ),
    ],
  );
  // Until Slurm has spoken, a job is what its latest run on its nodes shows.
  await tx.query(
    `update job set started_at = run.started_at, nnodes = run.nnodes,
       state = case when run.running then 'RUNNING' else 'UNKNOWN' end,
       ended_at = case when run.running then null else run.ended_at end,
       elapsed_ms = case when run.running then 0
         else coalesce(extract(epoch from run.ended_at - run.started_at) * 1000, 0)::bigint end
     from (
       select distinct on (job_id) job_id, restart_count, min(started_at) as started_at, max(ended_at) as ended_at,
         bool_or(ended_at is null) as running, count(*)::integer as nnodes
       from job_node where cluster_id = $1::smallint and job_id = any($2::bigint[])
       group by job_id, restart_count order by job_id, restart_count desc
     ) run
     where job.cluster_id = $1::smallint and job.job_id = run.job_id and job.facts_at is null`,
    [place.clusterId, [...new Set(events.map((event) => event.jobId))]],
  );
}
