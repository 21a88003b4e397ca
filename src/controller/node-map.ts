/** The nodes of the cluster and their partitions, as Slurm has them, without making batches wait for Slurm. */
import type { LedgerPort } from './ports.js';

export type AskNodes = () => Promise<ReadonlyMap<string, readonly string[]>>;

/** A node that is new in slurm.conf is known after this time at the latest. */
const ASK_AGAIN_AFTER_MS = 10_000;

export class NodeMap {
  readonly #ledger: Pick<LedgerPort, 'partitions' | 'recordPartitions'>;
  readonly #ask: AskNodes | undefined;
  #partitions: ReadonlyMap<string, readonly string[]> = new Map();
  /** When Slurm last answered; undefined: never in this process. */
  #answeredMs: number | undefined;
  #asking: Promise<void> | undefined;

  /** @param ask asks Slurm; absent where there is none to ask */
  constructor(ledger: Pick<LedgerPort, 'partitions' | 'recordPartitions'>, ask?: AskNodes) {
    this.#ledger = ledger;
    this.#ask = ask;
  }

  partitionsOf(node: string): readonly string[] {
    return this.#partitions.get(node) ?? [];
  }

  /**
   * Whether Slurm has such a node. A name not seen before makes it ask once more, at most every ten seconds;
   * where Slurm does not answer, every node is believed.
   */
  async knows(node: string): Promise<boolean> {
    if (!this.#ask || this.#partitions.has(node)) return true;
    if (this.#answeredMs === undefined || Date.now() - this.#answeredMs > ASK_AGAIN_AFTER_MS) {
      try {
        await this.refresh();
      } catch {
        return true;
      }
    }
    return this.#partitions.has(node);
  }

  /** What was known when the controller last ran: rows are placed right even while Slurm does not answer. */
  async recall(): Promise<void> {
    this.#partitions = await this.#ledger.partitions();
  }

  /** @throws what asking Slurm threw; what was known before stays */
  refresh(): Promise<void> {
    this.#asking ??= this.#askSlurm().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askSlurm(): Promise<void> {
    if (!this.#ask) return;
    const answer = await this.#ask();
    this.#answeredMs = Date.now();
    this.#partitions = answer;
    await this.#ledger.recordPartitions(answer);
  }
}
