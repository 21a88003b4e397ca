/** What Slurm's accounting says of jobs and steps, and of the partitions of nodes. */
import type { PlacedFacts } from '../controller/ports.js';
import { columns, timestamp, timestampOrNull } from './columns.js';
import type { Database, Queryable } from './database.js';

/** Rows per statement: keeps the longest statement, and with it the longest lock, short. */
const CHUNK = 2_000;

/**
 * Slurm counts job ids around (MaxJobId, 67 million by default). A job submitted this long after the end of the
 * last one of its number is another job, and its energy is not looked for before its own time.
 */
const NUMBER_REUSED_AFTER = '7 days';

/** PostgreSQL's text cannot hold NUL; a job name can. */
const clean = (text: string): string => text.replaceAll('\0', '');

/** The latest run of each job, by job id: a requeued job has a row per run, and answers show the last one. */
function latestRuns(facts: readonly PlacedFacts[]): PlacedFacts[] {
  const latest = new Map<number, PlacedFacts>();
  for (const run of facts) {
    const seen = latest.get(run.jobIdRaw);
    if (!seen || (run.submitMs ?? 0) >= (seen.submitMs ?? 0)) latest.set(run.jobIdRaw, run);
  }
  return [...latest.values()].sort((a, b) => a.jobIdRaw - b.jobIdRaw);
}

export async function recordFacts(
  database: Database,
  clusterId: number,
  facts: readonly PlacedFacts[],
  nowMs: number,
): Promise<void> {
  const runs = latestRuns(facts);
  for (let i = 0; i < runs.length; i += CHUNK) {
    const chunk = runs.slice(i, i + CHUNK);
    await database.transaction(async (tx) => {
      await upsertJobs(tx, clusterId, chunk, nowMs);
      await upsertSteps(tx, clusterId, chunk);
    });
  }
}

async function upsertJobs(
  tx: Queryable,
  clusterId: number,
  runs: readonly PlacedFacts[],
  nowMs: number,
): Promise<void> {
  const now = timestamp(nowMs);
  await tx.query(
    `insert into job as l (cluster_id, facts_at, job_id, display_id, group_id, name, user_name, uid, account, partition,
       qos, state, submitted_at, started_at, ended_at, elapsed_ms, ncpus, nnodes, nodelist, nodes, exit_code, first_at)
     select $1::smallint, $2::timestamptz, u.job_id, u.display_id, u.group_id, u.name, u.user_name, u.uid, u.account,
       u.partition, u.qos, u.state, u.submitted_at, u.started_at, u.ended_at, u.elapsed_ms, u.ncpus, u.nnodes,
       u.nodelist, string_to_array(u.nodes, ','), u.exit_code,
       coalesce(least(u.submitted_at, u.started_at), $2::timestamptz)
     from unnest($3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[],
       $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::bigint[],
       $17::integer[], $18::integer[], $19::text[], $20::text[], $21::text[])
       as u(job_id, display_id, group_id, name, user_name, uid, account, partition, qos, state, submitted_at,
         started_at, ended_at, elapsed_ms, ncpus, nnodes, nodelist, nodes, exit_code)
     on conflict (cluster_id, job_id) do update set
       facts_at = excluded.facts_at, display_id = excluded.display_id, group_id = excluded.group_id,
       name = excluded.name, user_name = excluded.user_name, uid = coalesce(excluded.uid, l.uid),
       account = excluded.account, partition = excluded.partition, qos = excluded.qos, state = excluded.state,
       submitted_at = excluded.submitted_at, started_at = excluded.started_at, ended_at = excluded.ended_at,
       elapsed_ms = excluded.elapsed_ms, ncpus = excluded.ncpus, nnodes = excluded.nnodes,
       nodelist = excluded.nodelist, nodes = excluded.nodes, exit_code = excluded.exit_code,
       first_at = case when excluded.submitted_at > l.ended_at + interval '${NUMBER_REUSED_AFTER}'
         then excluded.first_at else least(l.first_at, excluded.first_at) end
     where l.facts_at is null
       or (excluded.submitted_at >= l.submitted_at or excluded.submitted_at is null or l.submitted_at is null)
       and (l.display_id, l.name, l.account, l.partition, l.qos, l.state, l.submitted_at, l.started_at, l.ended_at,
           l.ncpus, l.nnodes, l.nodelist, l.exit_code)
         is distinct from (excluded.display_id, excluded.name, excluded.account, excluded.partition, excluded.qos,
           excluded.state, excluded.submitted_at, excluded.started_at, excluded.ended_at, excluded.ncpus,
           excluded.nnodes, excluded.nodelist, excluded.exit_code)`,
    [
      clusterId,
      now,
      ...columns(
        runs,
        (f) => f.jobIdRaw,
        (f) => clean(f.jobId),
        (f) => Number.parseInt(f.jobId, 10) || f.jobIdRaw,
        (f) => clean(f.name),
        (f) => clean(f.user),
        (f) => f.uid,
        (f) => clean(f.account),
        (f) => clean(f.partition),
        (f) => clean(f.qos),
        (f) => clean(f.state),
        (f) => timestampOrNull(f.submitMs),
        (f) => timestampOrNull(f.startMs),
        (f) => timestampOrNull(f.endMs),
        (f) => f.elapsedMs,
        (f) => f.ncpus,
        (f) => f.nnodes,
        (f) => clean(f.nodelist),
        (f) => clean(f.nodes.join(',')),
        (f) => clean(f.exitCode),
      ),
    ],
  );
}

async function upsertSteps(tx: Queryable, clusterId: number, runs: readonly PlacedFacts[]): Promise<void> {
  // A step named twice would be updated twice by one statement, which PostgreSQL refuses: the last one counts.
  const steps = new Map(
    runs.flatMap((run) => run.steps.map((step) => [`${run.jobIdRaw}.${step.step}`, { jobId: run.jobIdRaw, ...step }])),
  );
  if (steps.size === 0) return;
  await tx.query(
    `insert into job_step as l (cluster_id, job_id, step, name, state, started_at, ended_at, elapsed_ms, ncpus,
       nodelist, exit_code)
     select $1::smallint, u.*
     from unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::bigint[],
       $9::integer[], $10::text[], $11::text[]) as u
     on conflict (cluster_id, job_id, step) do update set
       name = excluded.name, state = excluded.state, started_at = excluded.started_at, ended_at = excluded.ended_at,
       elapsed_ms = excluded.elapsed_ms, ncpus = excluded.ncpus, nodelist = excluded.nodelist,
       exit_code = excluded.exit_code
     where (l.name, l.state, l.started_at, l.ended_at, l.ncpus, l.nodelist, l.exit_code)
       is distinct from (excluded.name, excluded.state, excluded.started_at, excluded.ended_at, excluded.ncpus,
         excluded.nodelist, excluded.exit_code)`,
    [
      clusterId,
      ...columns(
        [...steps.values()],
        (s) => s.jobId,
        (s) => clean(s.step),
        (s) => clean(s.name),
        (s) => clean(s.state),
        (s) => timestampOrNull(s.startMs),
        (s) => timestampOrNull(s.endMs),
        (s) => s.elapsedMs,
        (s) => s.ncpus,
        (s) => clean(s.nodelist),
        (s) => clean(s.exitCode),
      ),
    ],
  );
}

/** Jobs that are not over as far as Slurm has told us, and that agents have seen; latest first. */
export async function unresolvedJobs(database: Queryable, clusterId: number, limit: number): Promise<number[]> {
  const rows = await database.query<{ job_id: bigint }>(
    `select job_id from job
     where cluster_id = $1::smallint and (facts_at is null or ended_at is null)
       and coalesce(ended_at, 'infinity') > now() - interval '1 day'
       and exists (select from job_node where job_node.cluster_id = job.cluster_id and job_node.job_id = job.job_id)
     order by job_id desc limit $2::integer`,
    [clusterId, limit],
  );
  return rows.map((row) => Number(row.job_id));
}

export async function endedJobs(
  database: Queryable,
  clusterId: number,
  jobIds: readonly number[],
  beforeMs: number,
): Promise<number[]> {
  const rows = await database.query<{ job_id: bigint }>(
    // An agent that saw the job begin after that end has seen a run which Slurm's accounting has yet to tell of.
    `select job_id from job
     where cluster_id = $1::smallint and job_id = any($2::bigint[]) and facts_at is not null and ended_at < $3::timestamptz
       and not exists (select from job_node n where n.cluster_id = job.cluster_id and n.job_id = job.job_id
         and n.started_at > job.ended_at)`,
    [clusterId, [...jobIds], timestamp(beforeMs)],
  );
  return rows.map((row) => Number(row.job_id));
}

export async function recordPartitions(
  database: Queryable,
  clusterId: number,
  nodes: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  await database.query(
    `insert into node as l (cluster_id, name, partitions)
     select $1::smallint, u.name, string_to_array(u.partitions, ',')
     from unnest($2::text[], $3::text[]) as u(name, partitions) order by u.name
     on conflict (cluster_id, name) do update set partitions = excluded.partitions
     where l.partitions is distinct from excluded.partitions`,
    [clusterId, [...nodes.keys()], [...nodes.values()].map((names) => names.join(','))],
  );
}

export async function nodePartitions(database: Queryable, clusterId: number): Promise<Map<string, readonly string[]>> {
  const rows = await database.query<{ name: string; partitions: string[] }>(
    `select name, partitions from node where cluster_id = $1::smallint and partitions <> '{}'`,
    [clusterId],
  );
  return new Map(rows.map((row) => [row.name, row.partitions]));
}
