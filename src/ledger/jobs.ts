/** Answers about jobs: facts, energy from the ledger rows, and grams derived here and now. */
import {
  type EnergyAnswer,
  type JobAnswer,
  type Quality,
  type StepAnswer,
  durationMs,
  epochMs,
  gramsCo2e,
  microjoules,
} from '../contract/index.js';
import type { JobsPage, JobsQuery } from '../controller/ports.js';
import { timestamp } from './columns.js';
import type { Queryable, SqlValue } from './database.js';

/** Ledger intervals are at most one hour long: a row may begin so long before its job does. */
const LONGEST_INTERVAL = '1 hour';

interface JobRow {
  job_id: bigint;
  display_id: string;
  name: string;
  user_name: string;
  account: string;
  partition: string;
  qos: string;
  state: string;
  submitted_at: Date | null;
  started_at: Date | null;
  ended_at: Date | null;
  elapsed_ms: bigint;
  ncpus: number;
  nnodes: number;
  nodelist: string;
  exit_code: string;
}

interface EnergySums {
  uj_package: bigint;
  uj_dram: bigint;
  uj_gpu: bigint;
  uj_other: bigint;
  grams: number | null;
}

interface EnergyRow extends EnergySums {
  job_id: bigint;
  cpu_ms: bigint;
  quality: Quality;
  /** Of all runs, and of the latest. */
  sampled_ms: bigint;
  covered_ms: bigint;
  /** The longest that any node has reported of the latest run. */
  active_ms: bigint;
  nodes: number;
  zones: string[];
  sources: string[];
  rules: string[];
}

/** What the hooks said of a job's latest run: on how many nodes it began and ended, and how long it was there. */
interface SpanRow {
  job_id: bigint;
  nodes: number;
  span_ms: number;
}

interface StepRow {
  job_id: bigint;
  step: string;
  name: string;
  state: string;
  started_at: Date | null;
  ended_at: Date | null;
  elapsed_ms: bigint;
  ncpus: number;
  nodelist: string;
  exit_code: string;
}

interface StepEnergyRow extends EnergySums {
  job_id: bigint;
  step: string;
}

export async function findJobs(
  database: Queryable,
  clusterId: number,
  query: JobsQuery,
  nowMs: number,
): Promise<JobsPage> {
  const found = await selectJobs(database, clusterId, query);
  const truncated = found.length > query.limit;
  const jobs = found.slice(0, query.limit).reverse();
  const ids = jobs.map((job) => job.job_id);
  if (ids.length === 0) return { jobs: [], truncated };
  const [energy, spans, steps, stepEnergy] = await Promise.all([
    selectEnergy(database, clusterId, ids),
    selectSpans(database, clusterId, ids),
    selectSteps(database, clusterId, ids),
    selectStepEnergy(database, clusterId, ids),
  ]);
  const energyOf = new Map(energy.map((row) => [row.job_id, row]));
  const spanOf = new Map(spans.map((row) => [row.job_id, row]));
  const stepEnergyOf = new Map(stepEnergy.map((row) => [`${row.job_id}.${row.step}`, row]));
  const stepsOf = new Map(ids.map((id) => [id, [] as StepRow[]]));
  for (const step of steps) stepsOf.get(step.job_id)?.push(step);
  return {
    truncated,
    jobs: jobs.map((job) =>
      jobAnswer(
        job,
        energyOf.get(job.job_id),
        spanOf.get(job.job_id),
        (stepsOf.get(job.job_id) ?? []).map((step) =>
          stepAnswer(step, stepEnergyOf.get(`${step.job_id}.${step.step}`), nowMs),
        ),
        nowMs,
      ),
    ),
  };
}

/**
 * The newest `limit` + 1 jobs that fit, newest first: one more than asked for tells that there are more. Array tasks
 * stand together and by their number: Slurm gives the last of them the array's own job id, and the others later ones.
 */
function selectJobs(database: Queryable, clusterId: number, query: JobsQuery): Promise<readonly JobRow[]> {
  const values: SqlValue[] = [clusterId];
  const conditions = ['cluster_id = $1::smallint'];
  const where = (condition: (place: string) => string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  if (query.jobs) {
    // Every branch has an index of its own: the number alone, or the group that the written name belongs to.
    const ids = query.jobs.flatMap((name) => (name.id === undefined ? [] : [name.id]));
    const tasks = query.jobs.filter((name) => name.id === undefined).map((name) => name.displayId);
    values.push(
      ids,
      tasks.map((task) => Number.parseInt(task, 10)),
      tasks,
    );
    const [id, group, task] = [`$${values.length - 2}`, `$${values.length - 1}`, `$${values.length}`];
    conditions.push(`(job_id = any(${id}::bigint[]) or group_id = any(${id}::bigint[])
      or (group_id = any(${group}::bigint[]) and display_id = any(${task}::text[])))`);
  }
  where((p) => `user_name = any(${p}::text[])`, query.users);
  where((p) => `account = any(${p}::text[])`, query.accounts);
  where((p) => `partition = any(${p}::text[])`, query.partitions);
  where((p) => `state = any(${p}::text[])`, query.states);
  where(
    (p) => `(nodes && ${p}::text[] or exists (
      select from job_node jn join node n using (node_id)
      where jn.cluster_id = job.cluster_id and jn.job_id = job.job_id and n.name = any(${p}::text[])))`,
    query.nodes,
  );
  where(
    (p) => `coalesce(ended_at, 'infinity'::timestamptz) >= ${p}::timestamptz`,
    query.sinceMs === undefined ? undefined : timestamp(query.sinceMs),
  );
  where((p) => `first_at <= ${p}::timestamptz`, query.untilMs === undefined ? undefined : timestamp(query.untilMs));
  values.push(query.limit + 1);
  return database.query<JobRow>(
    `select job_id, display_id, name, user_name, account, partition, qos, state, submitted_at, started_at, ended_at,
       elapsed_ms, ncpus, nnodes, nodelist, exit_code
     from job where ${conditions.join(' and ')}
     order by coalesce(submitted_at, first_at) desc, group_id desc, length(display_id) desc, display_id desc, job_id desc
     limit $${values.length}::integer`,
    values,
  );
}

/** Jobs with the span of time in which their ledger rows lie, so that only the partitions of that time are read. */
const WANTED = `wanted as materialized (
  select job_id, first_at - interval '${LONGEST_INTERVAL}' as from_at,
    coalesce(ended_at, now()) + interval '${LONGEST_INTERVAL}' as to_at
  from job where cluster_id = $1::smallint and job_id = any($2::bigint[]))`;

/**
 * Adds `grams` to the rows of `r`. The intensity of each (zone, interval) is looked up once, by the first row that has
 * it, and handed to the others by a window: a join back would be a loop over all pairs whenever the planner expects
 * few rows.
 */
const PRICED = `numbered as (
  select r.*, row_number() over (partition by zone_id, interval_start) as place from r),
looked_up as (
  select n.*, max(i.g_per_kwh) over slot as g_per_kwh, max(i.source) over slot as source
  from numbered n
  left join lateral carbon_intensity_at(case when n.place = 1 then n.zone_id end, n.interval_start) i on true
  window slot as (partition by n.zone_id, n.interval_start)),
priced as (
  select l.*, l.uj_package + l.uj_dram + l.uj_gpu + l.uj_other as uj,
    (l.uj_package + l.uj_dram + l.uj_gpu + l.uj_other) / 3.6e12::double precision * p.pue * l.g_per_kwh as grams
  from looked_up l
  left join pue_assignment p
    on p.node_id = l.node_id and l.interval_start >= p.valid_from and l.interval_start < p.valid_to)`;

/** `unpriced` counts rows with energy and without grams: part of a footprint is not a footprint. */
const SUMS = `sum(uj_package) as uj_package, sum(uj_dram) as uj_dram, sum(uj_gpu) as uj_gpu, sum(uj_other) as uj_other,
  sum(grams) as grams, count(*) filter (where uj > 0 and grams is null) as unpriced`;

function selectEnergy(
  database: Queryable,
  clusterId: number,
  jobIds: readonly bigint[],
): Promise<readonly EnergyRow[]> {
  return database.query<EnergyRow>(
    `with ${WANTED},
     r as materialized (
       select l.* from wanted w join ledger_row l
         on l.cluster_id = $1::smallint and l.job_id = w.job_id and l.owner = 'job'
         and l.interval_start >= w.from_at and l.interval_start < w.to_at),
     ${PRICED},
     -- Coverage is of the latest run only; energy is of all.
     run as (select p.*, restart_count = max(restart_count) over (partition by job_id) as is_latest from priced p),
     part as (
       select job_id, node_id, zone_id, method_id, source, ${SUMS}, sum(cpu_ms) as cpu_ms, max(quality) as quality,
         sum(covered_ms) as sampled_ms,
         sum(covered_ms) filter (where is_latest) as covered_ms, sum(active_ms) filter (where is_latest) as active_ms
       from run group by job_id, node_id, zone_id, method_id, source),
     on_node as (select part.*, sum(active_ms) over (partition by job_id, node_id) as node_active_ms from part)
     select job_id, sum(uj_package)::bigint as uj_package, sum(uj_dram)::bigint as uj_dram, sum(uj_gpu)::bigint as uj_gpu,
       sum(uj_other)::bigint as uj_other, case when sum(unpriced) = 0 then coalesce(sum(grams), 0) end as grams,
       sum(cpu_ms)::bigint as cpu_ms, max(quality)::text as quality, sum(sampled_ms)::bigint as sampled_ms,
       coalesce(sum(covered_ms), 0)::bigint as covered_ms,
       coalesce(max(node_active_ms), 0)::bigint as active_ms,
       (count(distinct node_id) filter (where active_ms is not null))::integer as nodes,
       array_agg(distinct zone.name order by zone.name) as zones,
       coalesce(array_agg(distinct source order by source) filter (where source is not null), '{}') as sources,
       array_agg(distinct method.rule order by method.rule) as rules
     from on_node join zone using (zone_id) join method using (method_id) group by job_id`,
    [clusterId, jobIds],
  );
}

function selectSpans(database: Queryable, clusterId: number, jobIds: readonly bigint[]): Promise<readonly SpanRow[]> {
  return database.query<SpanRow>(
    `select job_id, count(*)::integer as nodes,
       sum(extract(epoch from ended_at - started_at) * 1000)::double precision as span_ms
     from (
       select *, max(restart_count) over (partition by job_id) as latest
       from job_node where cluster_id = $1::smallint and job_id = any($2::bigint[])) run
     where restart_count = latest and ended_at >= started_at group by job_id`,
    [clusterId, jobIds],
  );
}

function selectStepEnergy(
  database: Queryable,
  clusterId: number,
  jobIds: readonly bigint[],
): Promise<readonly StepEnergyRow[]> {
  return database.query<StepEnergyRow>(
    `with ${WANTED},
     r as materialized (
       select l.* from wanted w join ledger_step l
         on l.cluster_id = $1::smallint and l.job_id = w.job_id
         and l.interval_start >= w.from_at and l.interval_start < w.to_at),
     ${PRICED}
     select job_id, step, uj_package::bigint, uj_dram::bigint, uj_gpu::bigint, uj_other::bigint,
       case when unpriced = 0 then coalesce(grams, 0) end as grams
     from (select job_id, step, ${SUMS} from priced group by job_id, step) sums`,
    [clusterId, jobIds],
  );
}

/** In sacct's order: batch and extern before the numbered ones. */
function selectSteps(database: Queryable, clusterId: number, jobIds: readonly bigint[]): Promise<readonly StepRow[]> {
  return database.query<StepRow>(
    `select job_id, step, name, state, started_at, ended_at, elapsed_ms, ncpus, nodelist, exit_code
     from job_step where cluster_id = $1::smallint and job_id = any($2::bigint[])
     order by job_id, step ~ '^[0-9]', lpad(step, 12, '0'), step`,
    [clusterId, jobIds],
  );
}

const ZERO: EnergySums = { uj_package: 0n, uj_dram: 0n, uj_gpu: 0n, uj_other: 0n, grams: 0 };

/** Beyond 2^53 uJ (9 GJ) the number is rounded to a double, which is an error of 1e-16. */
const energyAnswer = (sums: EnergySums): EnergyAnswer => ({
  package: microjoules(Number(sums.uj_package)),
  dram: microjoules(Number(sums.uj_dram)),
  gpu: microjoules(Number(sums.uj_gpu)),
  other: microjoules(Number(sums.uj_other)),
});

const time = (date: Date | null) => (date === null ? null : epochMs(date.getTime()));
const grams = (value: number | null) => (value === null ? null : gramsCo2e(value));

/** What runs has been running until now; of all else Slurm knows how long it took (suspension does not count). */
function elapsed(row: Pick<JobRow, 'state' | 'started_at' | 'ended_at' | 'elapsed_ms'>, nowMs: number): number {
  const { state, started_at: startedAt, ended_at: endedAt } = row;
  if (state !== 'RUNNING' || startedAt === null || endedAt !== null) return Number(row.elapsed_ms);
  return Math.max(0, nowMs - startedAt.getTime());
}

/** Times of events and rows are whole milliseconds: what lies below this per node is rounding, not a gap. */
const ROUNDING_MS = 5;

/**
 * Sampled node-time over all node-time. On nodes whose hooks told both ends of the run the time is theirs; elsewhere
 * it is Slurm's, in whole seconds. While a job runs its nodes report a few seconds late, so the time is that of the
 * node heard of longest. A node that never reports still counts.
 */
function coverage(job: JobRow, energy: EnergyRow | undefined, span: SpanRow | undefined): number | null {
  const elapsedMs = Number(job.elapsed_ms);
  const ended = job.ended_at !== null;
  if (!energy) return ended && elapsedMs > 0 && job.started_at !== null ? 0 : null;
  const nodes = Math.max(job.nnodes, energy.nodes);
  const coveredMs = Number(energy.covered_ms);
  const perNodeMs = ended && elapsedMs > 0 ? elapsedMs : Number(energy.active_ms);
  const told = ended && span !== undefined ? span : { nodes: 0, span_ms: 0 };
  const nodeMs = told.span_ms + Math.max(0, nodes - told.nodes) * perNodeMs;
  if (nodeMs <= 0) return null;
  return nodeMs - coveredMs <= ROUNDING_MS * nodes ? 1 : coveredMs / nodeMs;
}

function jobAnswer(
  job: JobRow,
  energy: EnergyRow | undefined,
  span: SpanRow | undefined,
  steps: readonly StepAnswer[],
  nowMs: number,
): JobAnswer {
  return {
    jobId: job.display_id,
    jobIdRaw: Number(job.job_id),
    name: job.name,
    user: job.user_name,
    account: job.account,
    partition: job.partition,
    qos: job.qos,
    state: job.state,
    submitMs: time(job.submitted_at),
    startMs: time(job.started_at),
    endMs: time(job.ended_at),
    elapsedMs: durationMs(elapsed(job, nowMs)),
    ncpus: job.ncpus,
    nnodes: job.nnodes,
    nodelist: job.nodelist,
    exitCode: job.exit_code,
    energy: energyAnswer(energy ?? ZERO),
    co2e: grams((energy ?? ZERO).grams),
    coverage: coverage(job, energy, span),
    quality: energy?.quality ?? null,
    cpuMs: durationMs(Number(energy?.cpu_ms ?? 0n)),
    sampledNodeMs: durationMs(Number(energy?.sampled_ms ?? 0n)),
    zones: energy?.zones ?? [],
    ciSources: energy?.sources ?? [],
    rules: energy?.rules ?? [],
    steps,
  };
}

function stepAnswer(step: StepRow, energy: StepEnergyRow | undefined, nowMs: number): StepAnswer {
  return {
    step: step.step,
    name: step.name,
    state: step.state,
    startMs: time(step.started_at),
    endMs: time(step.ended_at),
    elapsedMs: durationMs(elapsed(step, nowMs)),
    ncpus: step.ncpus,
    nodelist: step.nodelist,
    exitCode: step.exit_code,
    energy: energyAnswer(energy ?? ZERO),
    co2e: grams((energy ?? ZERO).grams),
  };
}
