/** The words of the field as types: see docs/vocabulary.md. One list each; everything else derives from it. */

/** One thing whose energy a counter reports. */
export const DOMAIN_KINDS = ['package', 'core', 'uncore', 'dram', 'psys', 'gpu', 'node'] as const;
export type DomainKind = (typeof DOMAIN_KINDS)[number];

/** What a ledger row splits joules into. `other` is the node remainder: fans, power supply, network card. */
export const DOMAIN_GROUPS = ['package', 'dram', 'gpu', 'other'] as const;
export type DomainGroup = (typeof DOMAIN_GROUPS)[number];

/** How a joule is known, best first. A sum has the worst quality of its parts. */
export const QUALITIES = ['measured', 'calibrated', 'estimated'] as const;
export type Quality = (typeof QUALITIES)[number];

/** Who a joule is booked to. */
export const OWNER_KINDS = ['job', 'idle', 'system', 'boot', 'unattributed'] as const;
export type OwnerKind = (typeof OWNER_KINDS)[number];

/** The worse of two qualities. */
export function worstQuality(a: Quality, b: Quality): Quality {
  return QUALITIES.indexOf(a) >= QUALITIES.indexOf(b) ? a : b;
}
