/** The node's domains in the order of a tree, as `wattle doctor` and `wattle sample` print them. Pure. */
import type { Domain } from '../../sampler/index.js';

export interface Branch {
  readonly domain: Domain;
  /** 0 for a root. */
  readonly depth: number;
  /** The name without its parent's, where it begins with that. */
  readonly label: string;
  /** Second opinions on it. */
  readonly witnesses: readonly Domain[];
}

/** Each domain is followed by those that it contains. */
export function branches(domains: readonly Domain[]): Branch[] {
  const under = (parent: Domain | null, depth: number): Branch[] =>
    domains
      .filter((domain) => domain.witnessOf === null && domain.parent === (parent?.index ?? null))
      .flatMap((domain) => {
        const beside = `${parent?.name ?? ''}/`;
        const label = domain.name.startsWith(beside) ? domain.name.slice(beside.length) : domain.name;
        const witnesses = domains.filter(({ witnessOf }) => witnessOf === domain.index);
        return [{ domain, depth, label, witnesses }, ...under(domain, depth + 1)];
      });
  return under(null, 0);
}
