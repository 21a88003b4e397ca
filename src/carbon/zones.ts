/** Names of zones as people write them. */
import { distance } from 'fastest-levenshtein';
import { EXIT, WattleError } from '../contract/index.js';
import { YEARLY_AVERAGES, type ZoneFactor } from './yearly-average.js';

const SUGGESTIONS = 3;

const byName = new Map<string, string>();
for (const { zone, iso3 } of YEARLY_AVERAGES) {
  byName.set(zone, zone);
  if (iso3 !== undefined) byName.set(iso3, zone);
}

/**
 * The one name under which a zone is booked: `FRA` and `fr` are `FR`.
 * @throws WattleError `carbon.unknown-zone` naming the nearest known ones
 */
export function canonicalZone(written: string): string {
  const zone = byName.get(written.trim().toUpperCase());
  if (zone !== undefined) return zone;
  const near = nearestZones(written).map((factor) => `${factor.zone} (${factor.name})`);
  throw new WattleError(
    'carbon.unknown-zone',
    `unknown zone ${JSON.stringify(written.slice(0, 64))}; nearest: ${near.join(', ')}`,
    'write a country code of two or three letters, or a bidding zone such as SE3',
    { exitCode: EXIT.usage },
  );
}

function nearestZones(written: string): ZoneFactor[] {
  const wanted = written.trim().slice(0, 64).toLowerCase();
  const away = ({ zone, iso3 = zone, name }: ZoneFactor): number =>
    Math.min(...[zone, iso3, name].map((known) => distance(wanted, known.toLowerCase())));
  return YEARLY_AVERAGES.map((factor) => ({ factor, away: away(factor) }))
    .sort((a, b) => a.away - b.away)
    .slice(0, SUGGESTIONS)
    .map(({ factor }) => factor);
}
