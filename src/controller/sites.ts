/** Where each node stands: what is configured for the node, else for its partition, else for the cluster. */
import { expandHostlist } from '../slurm/index.js';
import { type Site, UNKNOWN_ZONE } from './ports.js';

export interface SiteOptions {
  readonly zone?: string;
  readonly pue: number;
  readonly partitions: Readonly<Record<string, Partial<Site>>>;
  /** By host list expression, such as `n[1-2]`. */
  readonly nodes: Readonly<Record<string, Partial<Site>>>;
}

export class Sites {
  readonly #default: Site;
  readonly #partitions: ReadonlyMap<string, Partial<Site>>;
  readonly #nodes = new Map<string, Partial<Site>>();

  /** @throws WattleError `slurm.hostlist` */
  constructor(options: SiteOptions) {
    this.#default = { zone: options.zone ?? UNKNOWN_ZONE, pue: options.pue };
    this.#partitions = new Map(Object.entries(options.partitions));
    for (const [hosts, site] of Object.entries(options.nodes)) {
      for (const node of expandHostlist(hosts)) this.#nodes.set(node, { ...this.#nodes.get(node), ...site });
    }
  }

  /** Whether partitions matter at all: if not, nobody needs to ask Slurm for them. */
  get byPartition(): boolean {
    return this.#partitions.size > 0;
  }

  /** The first of a node's partitions that is configured counts: a node cannot stand in two places. */
  of(node: string, partitions: readonly string[]): Site {
    const partition = partitions.map((name) => this.#partitions.get(name)).find((site) => site !== undefined);
    return { ...this.#default, ...partition, ...this.#nodes.get(node) };
  }
}
