/** One reading of the ring, reduced to what booking needs: cumulative joules per group, coverage, CPU time. */
import type { DomainKind, Quality } from '../contract/index.js';
import { worstQuality } from '../contract/index.js';
import type { Domain, TickView } from '../sampler/index.js';

export interface Snapshot {
  /** CLOCK_MONOTONIC in ns and the wall clock in ms at the same instant. */
  readonly monoNs: number;
  readonly realMs: number;
  /** Cumulative microjoules; `node` is what a node meter saw, 0 without one. */
  readonly package: number;
  readonly dram: number;
  readonly gpu: number;
  readonly node: number;
  /** Cumulative time in which every domain in use was sampled, ns: the least of the domains. */
  readonly coveredNs: number;
  /** Cumulative CPU time by sampler slot, ns; NaN where it could not be read. */
  readonly cpuNs: readonly number[];
}

/**
 * Which domains count. psys contains package, package contains core and uncore: only `package`, `dram`, `gpu`
 * and `node` are added up, so no joule is counted twice (law 4).
 */
export const COUNTED_KINDS = ['package', 'dram', 'gpu', 'node'] as const satisfies readonly DomainKind[];

export class SnapshotReader {
  readonly quality: Quality;
  readonly method: string;
  readonly hasNodeMeter: boolean;
  readonly gpus: number;
  readonly #byKind: Readonly<Record<(typeof COUNTED_KINDS)[number], readonly number[]>>;
  readonly #counted: readonly number[];
  /** Coverage of each counted domain at the last snapshot. */
  #coveredNs: readonly number[] = [];

  constructor(domains: readonly Domain[]) {
    const of = (kind: DomainKind): number[] => domains.filter((d) => d.kind === kind).map((d) => d.index);
    this.#byKind = { package: of('package'), dram: of('dram'), gpu: of('gpu'), node: of('node') };
    this.#counted = COUNTED_KINDS.flatMap((kind) => this.#byKind[kind]);
    const counted = domains.filter((domain) => this.#counted.includes(domain.index));
    this.quality = counted.map((domain) => domain.quality).reduce(worstQuality, 'measured');
    this.method = [...new Set(counted.map((domain) => domain.meter))].sort().join('+') || 'none';
    this.hasNodeMeter = this.#byKind.node.length > 0;
    this.gpus = this.#byKind.gpu.length;
  }

  /**
   * Whether every domain has been sampled since the last snapshot. Where one has not (a failed read, a counter that
   * did not move yet), its next good reading covers the time in between too: a window that ends here would show a
   * gap, and the next one a peak.
   */
  progressed(tick: TickView): boolean {
    return this.#counted.every((domain, index) => tick.coveredNs(domain) > (this.#coveredNs[index] ?? -1));
  }

  /** @param slots how many CPU slots are in use, counted from slot 0 */
  take(tick: TickView, slots: number): Snapshot {
    const sum = (domains: readonly number[]): number => domains.reduce((total, d) => total + tick.energyUj(d), 0);
    this.#coveredNs = this.#counted.map((domain) => tick.coveredNs(domain));
    const cpuNs: number[] = [];
    for (let slot = 0; slot < slots; slot++) cpuNs.push(tick.cpuNs(slot));
    return {
      monoNs: tick.monoNs,
      realMs: tick.realMs,
      package: sum(this.#byKind.package),
      dram: sum(this.#byKind.dram),
      gpu: sum(this.#byKind.gpu),
      node: sum(this.#byKind.node),
      coveredNs: this.#coveredNs.length === 0 ? 0 : Math.min(...this.#coveredNs),
      cpuNs,
    };
  }
}
