/** One who knows carbon intensities: a table, a grid operator, a commercial service. */
import type { CarbonSeries } from '../ledger/index.js';

export interface CarbonProvider {
  readonly name: string;
  /** What the provider knows of `zone` for times in [fromMs, toMs); nothing where it does not know the zone. */
  series(zone: string, fromMs: number, toMs: number): Promise<readonly CarbonSeries[]>;
}
