/** The controller at work: its loops and its listeners, started together and drained together. */
import { getRequestListener } from '@hono/node-server';
import { messageOf } from '../contract/index.js';
import { Access, type AccessRules } from './access.js';
import { type Connection, createApp } from './app.js';
import { FactsLoop } from './facts-loop.js';
import { Ingest } from './ingest.js';
import { type ListenAddress, type Listener, listen } from './listen.js';
import type { Log } from './log.js';
import { Metrics } from './metrics.js';
import { type AskNodes, NodeMap } from './node-map.js';
import { peerUid } from '../system/index.js';
import type { CredentialOpener, FactsSource, LedgerPort } from './ports.js';
import { type SiteOptions, Sites } from './sites.js';
import { UserDirectory } from './users.js';

/** The ledger, and the upkeep that only a running controller gives it. */
interface LedgerUnderCare extends LedgerPort {
  /** Makes room for the coming weeks. */
  prepare(): Promise<void>;
}

/** What a reload may change. */
export interface ReloadableOptions {
  readonly access: AccessRules;
  readonly sites: SiteOptions;
}

export interface ControllerOptions extends ReloadableOptions {
  readonly cluster: string;
  readonly listen: readonly ListenAddress[];
  readonly ledger: LedgerUnderCare;
  readonly opener: CredentialOpener;
  readonly log: Log;
  readonly factsIntervalMs: number;
  /** Each is absent where the site has no such service. */
  readonly facts?: FactsSource;
  readonly askNodes?: AskNodes;
  readonly askOperators?: () => Promise<ReadonlySet<string>>;
  readonly users?: UserDirectory;
}

/** The first question to Slurm may hold up the start this long; then what the ledger remembers must do. */
const FIRST_NODES_TIMEOUT_MS = 10_000;
const NODES_INTERVAL_MS = 300_000;
const PREPARE_INTERVAL_MS = 6 * 3_600_000;

export class Controller {
  readonly #options: ControllerOptions;
  readonly #access: Access;
  readonly #nodes: NodeMap;
  readonly #metrics = new Metrics();
  readonly #factsLoop: FactsLoop | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #listeners: Listener[] = [];
  #sites: Sites;

  private constructor(options: ControllerOptions, access: Access) {
    const { facts, factsIntervalMs, ledger, log } = options;
    this.#options = options;
    this.#access = access;
    this.#sites = new Sites(options.sites);
    this.#nodes = new NodeMap(ledger, options.askNodes);
    if (facts) {
      const intervalMs = factsIntervalMs;
      this.#factsLoop = new FactsLoop({ source: facts, ledger, intervalMs, metrics: this.#metrics, log });
    }
  }

  /**
   * Starts to listen and to ask Slurm.
   * @throws WattleError `listen.*`, `access.unknown-user`, `slurm.hostlist`
   */
  static async start(options: ControllerOptions): Promise<Controller> {
    const users = options.users ?? new UserDirectory();
    const access = await Access.create(options.access, users, options.askOperators);
    const controller = new Controller(options, access);
    await controller.#placeNodes();
    try {
      await controller.#listen();
    } catch (error) {
      await controller.stop(0);
      throw error;
    }
    controller.#startLoops();
    return controller;
  }

  /** Where it listens, with the ports that were chosen. */
  get addresses(): readonly ListenAddress[] {
    return this.#listeners.map((listener) => listener.address);
  }

  /** Takes over zones, PUE and access rules, whole or not at all. */
  async reload(options: ReloadableOptions): Promise<void> {
    const sites = new Sites(options.sites);
    await this.#access.replace(options.access);
    this.#sites = sites;
  }

  /** Lets what is running end within the deadline. The ledger stays open: it belongs to the caller. */
  async stop(deadlineMs: number): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#factsLoop?.stop();
    await Promise.all(this.#listeners.map((listener) => listener.close(deadlineMs)));
  }

  async #placeNodes(): Promise<void> {
    await this.#nodes.recall();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FIRST_NODES_TIMEOUT_MS);
    });
    await Promise.race([this.#refreshNodes(), patience]);
    clearTimeout(timer);
  }

  async #refreshNodes(): Promise<void> {
    try {
      await this.#nodes.refresh();
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, 'Slurm does not tell the partitions of its nodes');
    }
  }

  async #listen(): Promise<void> {
    const { cluster, ledger, log, opener } = this.#options;
    const ingest = new Ingest({
      cluster,
      opener,
      ledger,
      access: this.#access,
      nodes: this.#nodes,
      metrics: this.#metrics,
      siteOf: (node) => this.#sites.of(node, this.#nodes.partitionsOf(node)),
      onJobsEnded: (jobIds) => this.#factsLoop?.nudge(jobIds),
    });
    const app = createApp({ cluster, opener, ledger, log, ingest, access: this.#access, metrics: this.#metrics });
    const handler = getRequestListener((request, { incoming }) => {
      const uid = 'socket' in incoming ? peerUid(incoming.socket) : undefined;
      const connection: Connection = uid === undefined ? {} : { peerUid: uid };
      return app.fetch(request, connection);
    });
    for (const address of this.#options.listen) {
      this.#listeners.push(await listen(address, (request, response) => void handler(request, response)));
    }
  }

  #startLoops(): void {
    const { ledger, log } = this.#options;
    void this.#factsLoop?.run();
    this.#timers.push(
      setInterval(() => void this.#refreshNodes(), NODES_INTERVAL_MS),
      setInterval(() => {
        ledger.prepare().catch((error: unknown) => {
          log.error({ error: messageOf(error) }, 'no room could be made for the coming weeks');
        });
      }, PREPARE_INTERVAL_MS),
    );
  }
}
