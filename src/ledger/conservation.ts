/** Law 1 over the stored ledger: in every interval the owners' joules are the node's joules, exactly. */
import { type ConservationAnswer, type Microjoules, epochMs, microjoules } from '../contract/index.js';
import { timestamp } from './columns.js';
import type { Queryable } from './database.js';

interface NodeRow {
  node: string;
  total: bigint;
  intervals: number;
  intervals_off: number;
  coverage: number;
}

interface OwnerRow {
  node: string;
  owner: string;
  total: bigint;
}

/** Both times are taken to whole intervals: those that begin in [sinceMs, untilMs). */
export async function checkConservation(
  database: Queryable,
  clusterId: number,
  sinceMs: number,
  untilMs: number,
): Promise<ConservationAnswer> {
  const span = [clusterId, timestamp(sinceMs), timestamp(untilMs)];
  const [nodes, owners] = await Promise.all([
    database.query<NodeRow>(PER_NODE, span),
    database.query<OwnerRow>(PER_OWNER, span),
  ]);
  const ownersOf = new Map<string, Record<string, Microjoules>>(nodes.map((row) => [row.node, {}]));
  for (const row of owners) {
    const totals = ownersOf.get(row.node);
    if (totals) totals[row.owner] = microjoules(Number(row.total));
  }
  return {
    since: epochMs(sinceMs),
    until: epochMs(untilMs),
    nodes: nodes.map((row) => ({
      node: row.node,
      total: microjoules(Number(row.total)),
      owners: ownersOf.get(row.node) ?? {},
      intervalsOff: row.intervals_off,
      intervals: row.intervals,
      coverage: row.coverage,
    })),
  };
}

/**
 * The full join also finds an interval that only one of the two tables knows. Coverage is over the time from the
 * node's first report to its last in the span, so an interval that is missing altogether lowers it.
 */
const PER_NODE = `
with used as (
  select node_id, interval_start, max(interval_ms) as interval_ms, sum(uj_package) as package, sum(uj_dram) as dram,
    sum(uj_gpu) as gpu, sum(uj_other) as other, sum(covered_ms) as covered_ms, sum(observed_ms) as observed_ms
  from ledger_node join node using (node_id)
  where cluster_id = $1::smallint and interval_start >= $2::timestamptz and interval_start < $3::timestamptz
  group by node_id, interval_start),
booked as (
  select node_id, interval_start, sum(uj_package) as package, sum(uj_dram) as dram, sum(uj_gpu) as gpu,
    sum(uj_other) as other
  from ledger_row
  where cluster_id = $1::smallint and interval_start >= $2::timestamptz and interval_start < $3::timestamptz
  group by node_id, interval_start),
compared as (
  select node_id, interval_start, used.interval_ms, used.covered_ms, used.observed_ms,
    coalesce(used.package + used.dram + used.gpu + used.other, 0) as total,
    (used.package, used.dram, used.gpu, used.other)
      is distinct from (booked.package, booked.dram, booked.gpu, booked.other) as off,
    row_number() over (partition by node_id order by interval_start) = 1 as is_first,
    row_number() over (partition by node_id order by interval_start desc) = 1 as is_last
  from used full join booked using (node_id, interval_start)),
per_node as (
  select node_id, sum(total)::bigint as total, count(*)::integer as intervals,
    (count(*) filter (where off))::integer as intervals_off,
    coalesce(sum(covered_ms), 0)::double precision as covered_ms,
    (extract(epoch from max(interval_start) - min(interval_start)) * 1000)::double precision as between_ms,
    coalesce(sum(observed_ms) filter (where is_last), 0)::double precision as last_ms,
    coalesce(sum(interval_ms - observed_ms) filter (where is_first and not is_last), 0)::double precision as before_ms
  from compared group by node_id)
select name as node, total, intervals, intervals_off,
  least(1, coalesce(covered_ms / nullif(between_ms + last_ms - before_ms, 0), 0)) as coverage
from per_node join node using (node_id) order by name`;

const PER_OWNER = `
select n.name as node, r.owner::text as owner, sum(r.uj_package + r.uj_dram + r.uj_gpu + r.uj_other)::bigint as total
from ledger_row r join node n using (node_id)
where r.cluster_id = $1::smallint and r.interval_start >= $2::timestamptz and r.interval_start < $3::timestamptz
group by n.name, r.owner order by n.name, r.owner`;
