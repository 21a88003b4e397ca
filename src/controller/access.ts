/** Who may do what: agents report, operators see all, users see their own jobs. */
import { EXIT, WattleError } from '../contract/index.js';
import type { UserDirectory } from './users.js';

export interface AccessRules {
  /** Users whose agents may report: names or numbers. */
  readonly agentUsers: readonly string[];
  /** Users who see everybody's jobs, beside those whom Slurm calls operators. */
  readonly operators: readonly string[];
}

export interface Caller {
  readonly user: string;
  readonly operator: boolean;
}

/** How long an answer of Slurm about its operators is believed. */
const OPERATORS_VALID_MS = 60_000;

export class Access {
  readonly #users: UserDirectory;
  readonly #askOperators: (() => Promise<ReadonlySet<string>>) | undefined;
  #agentUids: ReadonlySet<number>;
  #operators: ReadonlySet<string>;
  #slurmOperators: ReadonlySet<string> = new Set();
  #askAgainMs = 0;

  private constructor(users: UserDirectory, askOperators?: () => Promise<ReadonlySet<string>>) {
    this.#users = users;
    this.#askOperators = askOperators;
    this.#agentUids = new Set();
    this.#operators = new Set();
  }

  /** @throws WattleError `access.unknown-user` where a configured user does not exist on this host */
  static async create(
    rules: AccessRules,
    users: UserDirectory,
    askOperators?: () => Promise<ReadonlySet<string>>,
  ): Promise<Access> {
    const access = new Access(users, askOperators);
    await access.replace(rules);
    return access;
  }

  /** Takes over new rules, whole or not at all. @throws WattleError `access.unknown-user` */
  async replace(rules: AccessRules): Promise<void> {
    const agentUids = new Set(await Promise.all(rules.agentUsers.map((user) => this.#uidOf(user))));
    const operators = new Set(rules.operators);
    this.#agentUids = agentUids;
    this.#operators = operators;
  }

  async #uidOf(user: string): Promise<number> {
    const uid = await this.#users.uidOf(user);
    if (uid !== undefined) return uid;
    throw new WattleError(
      'access.unknown-user',
      `[controller] agent_users names ${JSON.stringify(user)}, whom this host does not know`,
      'correct the name, or write the uid',
      { exitCode: EXIT.usage },
    );
  }

  mayReport(uid: number): boolean {
    return this.#agentUids.has(uid);
  }

  /** @throws WattleError `api.unknown-user` */
  async caller(uid: number): Promise<Caller> {
    const user = await this.#users.nameOf(uid);
    if (user === undefined) {
      const remedy = "use an account that the controller's host knows too";
      throw new WattleError('api.unknown-user', `the controller's host knows no user with uid ${uid}`, remedy);
    }
    return { user, operator: this.#operators.has(user) || (await this.#isSlurmOperator(user)) };
  }

  async #isSlurmOperator(user: string): Promise<boolean> {
    if (this.#askOperators && Date.now() >= this.#askAgainMs) {
      this.#askAgainMs = Date.now() + OPERATORS_VALID_MS;
      // While slurmdbd is away, those who were operators stay so, and nobody becomes one.
      this.#slurmOperators = await this.#askOperators().catch(() => this.#slurmOperators);
    }
    return this.#slurmOperators.has(user);
  }
}
