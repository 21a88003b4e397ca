/** Carbon intensities as facts: who said it, when, and for which time. */
import { columns, timestamp } from './columns.js';
import type { Database } from './database.js';

interface CarbonPoint {
  readonly validFromMs: number;
  /** Infinity where it holds until something better is known. */
  readonly validToMs: number;
  readonly issuedAtMs: number;
  readonly gramsPerKwh: number;
  readonly estimated: boolean;
  readonly forecast: boolean;
}

/** What one source says of one zone. Average and marginal, direct and life-cycle are series of their own. */
export interface CarbonSeries {
  readonly zone: string;
  /** e.g. `owid-2022` */
  readonly source: string;
  readonly kind: 'average' | 'marginal';
  readonly basis: 'lifecycle' | 'direct';
  /** The lowest rank that knows a time wins there. */
  readonly rank: number;
  readonly points: readonly CarbonPoint[];
}

const timestampOrInfinity = (ms: number): string => (ms === Infinity ? 'infinity' : timestamp(ms));

/** Rows already known are left as they are: a revision is a point with a later issue time. */
export async function storeCarbonSeries(database: Database, series: readonly CarbonSeries[]): Promise<void> {
  const points = series.flatMap((one) => one.points.map((point) => ({ ...one, ...point })));
  const zones = [...new Set(series.map((one) => one.zone))].sort();
  await database.transaction(async (tx) => {
    await tx.query('insert into zone (name) select unnest($1::text[]) on conflict (name) do nothing', [zones]);
    await tx.query(
      `insert into carbon_source as s (zone_id, name, kind, basis, rank)
       select z.zone_id, u.source, u.kind, u.basis, u.rank
       from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[]) as u(zone, source, kind, basis, rank)
       join zone z on z.name = u.zone
       order by 1, 2, 3, 4
       on conflict (zone_id, name, kind, basis) do update set rank = excluded.rank where s.rank <> excluded.rank`,
      columns(
        series,
        (s) => s.zone,
        (s) => s.source,
        (s) => s.kind,
        (s) => s.basis,
        (s) => s.rank,
      ),
    );
    await tx.query(
      `insert into carbon_intensity (source_id, valid_from, valid_to, issued_at, g_per_kwh, estimated, forecast)
       select s.source_id, u.valid_from, u.valid_to, u.issued_at, u.g_per_kwh, u.estimated, u.forecast
       from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
         $7::timestamptz[], $8::double precision[], $9::boolean[], $10::boolean[])
         as u(zone, source, kind, basis, valid_from, valid_to, issued_at, g_per_kwh, estimated, forecast)
       join zone z on z.name = u.zone
       join carbon_source s on (s.zone_id, s.name, s.kind, s.basis) = (z.zone_id, u.source, u.kind, u.basis)
       on conflict (source_id, valid_from, issued_at) do nothing`,
      columns(
        points,
        (p) => p.zone,
        (p) => p.source,
        (p) => p.kind,
        (p) => p.basis,
        (p) => timestamp(p.validFromMs),
        (p) => timestampOrInfinity(p.validToMs),
        (p) => timestamp(p.issuedAtMs),
        (p) => p.gramsPerKwh,
        (p) => p.estimated,
        (p) => p.forecast,
      ),
    );
  });
}
