/**
 * One domain tree per node: which meter's reading of which domain counts, what contains what, and why. Pure.
 *
 * For each kind of domain the first meter that gives it wins the whole kind. Mixing two meters within a kind would add
 * up two zeros of time and two ways to fail; of the rest, what reads the same domain is a witness.
 */
import type { DomainKind, Quality } from '../contract/index.js';
import { DOMAIN_KINDS } from '../contract/index.js';
import type { MeterKind } from './types.js';

/** A domain as its meter describes it. */
export interface OfferedDomain {
  readonly name: string;
  readonly kind: DomainKind;
  readonly quality: Quality;
  /** Name of the domain of the same meter that it is a second opinion of; empty: none. */
  readonly witnessOf: string;
}

/** What an available meter gives. */
export interface Offer {
  readonly meter: MeterKind;
  readonly domains: readonly OfferedDomain[];
}

export interface TreeDomain {
  readonly name: string;
  readonly kind: DomainKind;
  readonly meter: MeterKind;
  readonly quality: Quality;
  readonly parent: number | null;
  readonly witnessOf: number | null;
}

export interface Tree {
  /** Meters in order of preference, the domains of each in its own order. */
  readonly domains: readonly TreeDomain[];
  /** One sentence per choice, and per thing that an administrator should know. */
  readonly reasons: readonly string[];
}

/** A domain to read; `of`: null where it counts, else what it is a second opinion of. */
interface Chosen {
  readonly meter: MeterKind;
  readonly domain: OfferedDomain;
  readonly of: string | null | undefined;
}

export interface TreeOptions {
  readonly kinds?: readonly DomainKind[];
  readonly witnesses?: 'own' | 'all';
}

/** @param offers available meters in order of preference */
export function buildTree(offers: readonly Offer[], options: TreeOptions = {}): Tree {
  const { kinds = DOMAIN_KINDS, witnesses = 'own' } = options;
  const winners = new Map<DomainKind, MeterKind>();
  for (const { meter, domains } of offers) {
    for (const { kind, witnessOf } of domains) {
      if (witnessOf === '' && kinds.includes(kind) && !winners.has(kind)) winners.set(kind, meter);
    }
  }
  const counts = (meter: MeterKind, { kind, witnessOf }: OfferedDomain): boolean =>
    witnessOf === '' && winners.get(kind) === meter;
  const winning = offers.flatMap(({ meter, domains }) =>
    domains.filter((domain) => counts(meter, domain)).map(({ name }) => name),
  );
  /** Name of the counted domain that this one is a second opinion of; undefined where it is of none that is read. */
  const witnessed = (meter: MeterKind, { name, kind, witnessOf }: OfferedDomain): string | undefined => {
    if (winners.get(kind) === meter) return witnessOf;
    return witnesses === 'all' && witnessOf === '' && winning.includes(name) ? name : undefined;
  };

  const chosen = offers.flatMap(({ meter, domains }) =>
    domains
      .map((domain): Chosen => ({ meter, domain, of: counts(meter, domain) ? null : witnessed(meter, domain) }))
      .filter(({ of }) => of !== undefined),
  );
  const indexOf = (name: string): number => chosen.findIndex(({ domain, of }) => of === null && domain.name === name);
  const roots = chosen.map(({ domain, of }) => (of === null ? domain : undefined));
  return {
    domains: chosen.map(({ meter, domain: { name, kind, quality }, of }) => ({
      name,
      kind,
      meter,
      quality,
      parent: typeof of === 'string' ? null : parentOf({ name, kind }, roots),
      witnessOf: typeof of === 'string' ? indexOf(of) : null,
    })),
    reasons: [...choices(offers, winners), ...onlyElsewhere(offers, winners, winning)],
  };
}

/**
 * psys contains packages and memory, a package contains its cores and uncore, the node contains all. Server memory
 * lies outside the package; a GPU lies outside psys. With several domains of the containing kind none is known to
 * contain another.
 */
function parentOf(
  { name, kind }: Pick<OfferedDomain, 'name' | 'kind'>,
  roots: readonly (OfferedDomain | undefined)[],
): number | null {
  const only = (wanted: DomainKind): number | null => {
    const index = roots.findIndex((domain) => domain?.kind === wanted);
    const last = roots.findLastIndex((domain) => domain?.kind === wanted);
    return index >= 0 && index === last ? index : null;
  };
  switch (kind) {
    case 'core':
    case 'uncore': {
      const index = roots.findIndex((domain) => domain?.kind === 'package' && name.startsWith(`${domain.name}/`));
      return index >= 0 ? index : only('package');
    }
    case 'package':
    case 'dram':
      return only('psys') ?? only('node');
    case 'psys':
    case 'gpu':
      return only('node');
    case 'node':
      return null;
  }
}

function choices(offers: readonly Offer[], winners: ReadonlyMap<DomainKind, MeterKind>): string[] {
  return [...winners].map(([kind, winner]) => {
    const others = offers
      .filter(({ meter, domains }) => meter !== winner && domains.some((domain) => domain.kind === kind))
      .map(({ meter }) => meter);
    return others.length === 0
      ? `${kind}: ${winner}, the only meter here that gives it`
      : `${kind}: ${winner}, preferred to ${others.join(', ')} by the order of [sampler] meters`;
  });
}

/** A loser that shows more than the winner: a socket or a memory whose joules would be missing without a word. */
function onlyElsewhere(
  offers: readonly Offer[],
  winners: ReadonlyMap<DomainKind, MeterKind>,
  winning: readonly string[],
): string[] {
  const numbered = (name: string): boolean => /\d/.test(name);
  return offers.flatMap(({ meter, domains }) =>
    domains.flatMap(({ name, kind, witnessOf }) => {
      const winner = winners.get(kind);
      const comparable = offers
        .find((offer) => offer.meter === winner)
        ?.domains.some((domain) => domain.kind === kind && numbered(domain.name) === numbered(name));
      if (winner === undefined || winner === meter || witnessOf !== '' || winning.includes(name)) return [];
      if (comparable !== true || kind === 'gpu') return [];
      return [`${meter} shows ${name}, which ${winner} does not: its energy is not counted`];
    }),
  );
}
