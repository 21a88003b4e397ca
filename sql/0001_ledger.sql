-- The ledger and what its answers are derived from. Runs unchanged on PostgreSQL 14+ and on PGlite.
-- Energy is whole microjoules in bigint columns: sums are exact, so law 1 (conservation) can be checked for equality.
-- Grams of CO2e are never stored: see 0002.

-- Ordered from best to worst, so that greatest() and max() give the quality of a sum.
create type quality as enum ('measured', 'calibrated', 'estimated');
create type owner_kind as enum ('job', 'idle', 'system', 'boot', 'unattributed');

-- Names that would otherwise be repeated in millions of rows.
create table cluster (
  cluster_id smallint generated always as identity primary key,
  name text not null unique
);

create table zone (
  zone_id integer generated always as identity primary key,
  name text not null unique
);

-- Attribution rule and version (`wattle-1`), and the meters that won (`rapl-powercap`).
create table method (
  method_id integer generated always as identity primary key,
  rule text not null,
  meters text not null,
  unique (rule, meters)
);

create table node (
  node_id integer generated always as identity primary key,
  cluster_id smallint not null references cluster,
  name text not null,
  -- Slurm partitions that the node belongs to, as last heard; they place it in a zone.
  partitions text[] not null default '{}',
  -- What the node's agent can measure: the domain tree of its last batch.
  domains jsonb not null default '[]',
  unique (cluster_id, name)
);

-- Which batches are booked. One row per run of an agent's spool; `booked` is exact whatever the order of arrival,
-- and a single range as long as nothing is missing.
create table batch_epoch (
  node_id integer not null references node,
  epoch text not null,
  booked int8multirange not null default '{}',
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  primary key (node_id, epoch)
) with (fillfactor = 50);

-- What each node used in each interval, by domain group.
create table ledger_node (
  interval_start timestamptz not null,
  uj_package bigint not null check (uj_package >= 0),
  uj_dram bigint not null check (uj_dram >= 0),
  uj_gpu bigint not null check (uj_gpu >= 0),
  uj_other bigint not null check (uj_other >= 0),
  node_id integer not null,
  zone_id integer not null,
  method_id integer not null,
  interval_ms integer not null,
  -- Time spanned by the segments reported, and how much of it was really sampled.
  observed_ms integer not null,
  covered_ms integer not null,
  quality quality not null,
  primary key (node_id, interval_start, zone_id, method_id)
) partition by range (interval_start);

-- The one source of every report: who the joules of (node, interval) are booked to. job_id is 0 unless owner = 'job'.
-- The key starts with the job, so one index serves both the booking and the question "what did this job use".
create table ledger_row (
  interval_start timestamptz not null,
  job_id bigint not null,
  uj_package bigint not null check (uj_package >= 0),
  uj_dram bigint not null check (uj_dram >= 0),
  uj_gpu bigint not null check (uj_gpu >= 0),
  uj_other bigint not null check (uj_other >= 0),
  cpu_ms bigint not null,
  node_id integer not null,
  zone_id integer not null,
  method_id integer not null,
  restart_count integer not null,
  interval_ms integer not null,
  -- How long the owner was there in the interval, and how much of that was really sampled.
  active_ms integer not null,
  covered_ms integer not null,
  cores integer not null,
  owner owner_kind not null,
  quality quality not null,
  cluster_id smallint not null,
  check ((owner = 'job') = (job_id <> 0)),
  primary key (cluster_id, job_id, interval_start, node_id, owner, restart_count, zone_id, method_id)
) partition by range (interval_start);
-- Time ranges over all owners (conservation, roll-up); rows arrive in time order, so a few pages suffice.
create index ledger_row_time on ledger_row using brin (interval_start);

-- The steps' part of a job's row; what no step used stays with the job alone.
create table ledger_step (
  interval_start timestamptz not null,
  job_id bigint not null,
  uj_package bigint not null check (uj_package >= 0),
  uj_dram bigint not null check (uj_dram >= 0),
  uj_gpu bigint not null check (uj_gpu >= 0),
  uj_other bigint not null check (uj_other >= 0),
  cpu_ms bigint not null,
  node_id integer not null,
  zone_id integer not null,
  restart_count integer not null,
  cluster_id smallint not null,
  step text not null,
  primary key (cluster_id, job_id, interval_start, node_id, restart_count, step, zone_id)
) partition by range (interval_start);

-- One line per job, as sacct has it: the facts of its latest run.
create table job (
  cluster_id smallint not null references cluster,
  job_id bigint not null,
  -- As sacct prints it: 12, 12_3, 12+1.
  display_id text not null,
  -- The number before _ or +: what a user calls the whole array or het job.
  group_id bigint not null,
  name text not null default '',
  user_name text not null default '',
  uid bigint,
  account text not null default '',
  partition text not null default '',
  qos text not null default '',
  state text not null,
  submitted_at timestamptz,
  started_at timestamptz,
  ended_at timestamptz,
  elapsed_ms bigint not null default 0,
  ncpus integer not null default 0,
  nnodes integer not null default 0,
  nodelist text not null default '',
  -- nodelist, expanded.
  nodes text[] not null default '{}',
  exit_code text not null default '',
  -- The earliest time known of the job over all its runs: its ledger rows lie after it.
  first_at timestamptz not null,
  -- When Slurm's accounting last spoke of the job; null where only agents have.
  facts_at timestamptz,
  primary key (cluster_id, job_id)
);
create index job_by_user on job (cluster_id, user_name, coalesce(ended_at, 'infinity'::timestamptz));
create index job_by_group on job (cluster_id, group_id);
create index job_by_account on job (cluster_id, account, coalesce(ended_at, 'infinity'::timestamptz));
create index job_by_end on job (cluster_id, coalesce(ended_at, 'infinity'::timestamptz));

create table job_step (
  cluster_id smallint not null,
  job_id bigint not null,
  step text not null,
  name text not null,
  state text not null,
  started_at timestamptz,
  ended_at timestamptz,
  elapsed_ms bigint not null,
  ncpus integer not null,
  nodelist text not null,
  exit_code text not null,
  primary key (cluster_id, job_id, step)
);

-- What the agents saw: when each run of a job began and ended on each node.
create table job_node (
  cluster_id smallint not null,
  job_id bigint not null,
  restart_count integer not null,
  node_id integer not null references node,
  started_at timestamptz,
  ended_at timestamptz,
  primary key (cluster_id, job_id, restart_count, node_id)
);
