/** The shipped table: last year's average of every country, so that there are grams from the first day. */
import type { CarbonSeries } from '../ledger/index.js';
import type { CarbonProvider } from './provider.js';
import table from './data/yearly-average.json' with { type: 'json' };

/** Behind every source that knows the hour. */
const YEARLY_RANK = 100;

export interface ZoneFactor {
  /** ISO 3166-1 alpha-2 code of a country, or a bidding zone such as `SE3`. */
  readonly zone: string;
  readonly iso3?: string;
  readonly name: string;
  /** The year that the average is of. */
  readonly year: number;
  /** gCO2e per kWh, life-cycle. */
  readonly gramsPerKwh: number;
  /** e.g. `owid-2022` */
  readonly source: string;
}

export const YEARLY_AVERAGES: readonly ZoneFactor[] = table.zones;

/** A yearly average holds from its year on, until a later one is shipped: the one issued last wins. */
export function yearlySeries(factor: ZoneFactor): CarbonSeries {
  return {
    zone: factor.zone,
    source: factor.source,
    kind: 'average',
    basis: 'lifecycle',
    rank: YEARLY_RANK,
    points: [
      {
        validFromMs: Date.UTC(factor.year, 0, 1),
        validToMs: Infinity,
        // A year is known when it is over.
        issuedAtMs: Date.UTC(factor.year + 1, 0, 1),
        gramsPerKwh: factor.gramsPerKwh,
        estimated: false,
        forecast: false,
      },
    ],
  };
}

export const yearlyAverages: CarbonProvider = {
  name: 'yearly-average',
  series: (zone) => Promise.resolve(YEARLY_AVERAGES.filter((factor) => factor.zone === zone).map(yearlySeries)),
};
