/** What two readings of a cumulative domain say about the time between them, and two domains about each other. Pure. */
import type { Domain, DomainReading } from './types.js';

/** 1 W = 1e-3 microjoules per nanosecond. */
const WATTS = 1e3;

/**
 * Mean power between two readings of a domain, over the time that lies between their own instants rather than between
 * ticks; null where the later one knows nothing more. A gap in between makes it too low, and coverage tells.
 */
export function meanWatts(from: DomainReading, to: DomainReading): number | null {
  if (from.knownAtNs === 0 || to.knownAtNs <= from.knownAtNs) return null;
  return ((to.energyUj - from.energyUj) / (to.knownAtNs - from.knownAtNs)) * WATTS;
}

/** Sampled share of the time between two readings, 0 to 1; `untilNs` where that time ends later than what is known. */
export function coverage(from: DomainReading, to: DomainReading, untilNs = to.knownAtNs): number {
  const spanNs = untilNs - from.knownAtNs;
  // A frozen counter that moves again is covered up to when it stood still: never more than the time there was.
  return spanNs <= 0 ? 0 : Math.min(1, (to.coveredNs - from.coveredNs) / spanNs);
}

/** By how much of the domain's power its witness differs; null where the domain draws none. */
export function disagreement(domainWatts: number, witnessWatts: number): number | null {
  return domainWatts > 0 ? (witnessWatts - domainWatts) / domainWatts : null;
}

/** What tells the witness from the domain: its meter, or what the same meter calls it beside the domain. */
export function witnessName(domain: Domain, witness: Domain): string {
  if (witness.meter !== domain.meter) return witness.meter;
  const beside = `${domain.name}/`;
  return `${witness.meter} ${witness.name.startsWith(beside) ? witness.name.slice(beside.length) : witness.name}`;
}
