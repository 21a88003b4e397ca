-- Carbon intensity and PUE as facts, and the footprint derived from them at query time.

-- One series: who says it, of which zone, in which sense. The lowest rank that knows a time wins there.
create table carbon_source (
  source_id integer generated always as identity primary key,
  zone_id integer not null references zone,
  name text not null,
  kind text not null check (kind in ('average', 'marginal')),
  basis text not null check (basis in ('lifecycle', 'direct')),
  rank integer not null,
  unique (zone_id, name, kind, basis)
);

-- gCO2e per kWh in [valid_from, valid_to). A revision is a new row with a later issued_at.
create table carbon_intensity (
  source_id integer not null references carbon_source,
  valid_from timestamptz not null,
  valid_to timestamptz not null,
  issued_at timestamptz not null,
  g_per_kwh double precision not null check (g_per_kwh >= 0),
  estimated boolean not null,
  forecast boolean not null,
  check (valid_to > valid_from),
  primary key (source_id, valid_from, issued_at)
);

-- Power usage effectiveness of the place a node stands in, for [valid_from, valid_to).
create table pue_assignment (
  node_id integer not null references node,
  valid_from timestamptz not null,
  valid_to timestamptz not null default 'infinity',
  pue double precision not null check (pue >= 1),
  primary key (node_id, valid_from)
);

-- The intensity that counts for a zone at a time: average, life-cycle, not a forecast; the lowest rank, then the latest issue.
-- Each source is asked for its newest row at that time, so the cost does not grow with the length of the series.
create function carbon_intensity_at(wanted_zone integer, wanted_at timestamptz)
returns table (g_per_kwh double precision, source text, estimated boolean)
language sql stable rows 1
as $$
  select i.g_per_kwh, s.name, i.estimated
  from carbon_source s
  cross join lateral (
    select c.g_per_kwh, c.estimated, c.valid_to, c.issued_at
    from carbon_intensity c
    where c.source_id = s.source_id and c.valid_from <= wanted_at and not c.forecast
    order by c.valid_from desc, c.issued_at desc
    limit 1
  ) i
  -- No zone is asked for often (rows that share an interval), and must cost nothing.
  where wanted_zone is not null
    and s.zone_id = wanted_zone and s.kind = 'average' and s.basis = 'lifecycle' and i.valid_to > wanted_at
  order by s.rank, i.issued_at desc, s.name
  limit 1
$$;

-- Every ledger row with its grams, for dashboards: kWh x PUE x intensity; null where no intensity is known.
create view ledger_footprint as
select
  c.name as cluster,
  n.name as node,
  r.interval_start,
  r.interval_ms,
  r.owner,
  nullif(r.job_id, 0) as job_id,
  r.restart_count,
  z.name as zone,
  m.rule,
  m.meters,
  r.quality,
  r.uj_package,
  r.uj_dram,
  r.uj_gpu,
  r.uj_other,
  r.active_ms,
  r.covered_ms,
  r.cpu_ms,
  r.cores,
  p.pue,
  i.g_per_kwh,
  i.source as ci_source,
  (r.uj_package + r.uj_dram + r.uj_gpu + r.uj_other) / 3.6e12::double precision * p.pue * i.g_per_kwh as g_co2e
from ledger_row r
join cluster c using (cluster_id)
join node n using (node_id)
join zone z using (zone_id)
join method m using (method_id)
left join pue_assignment p
  on p.node_id = r.node_id and r.interval_start >= p.valid_from and r.interval_start < p.valid_to
left join lateral carbon_intensity_at(r.zone_id, r.interval_start) i on true;
