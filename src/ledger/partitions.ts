/** Partitions of the ledger tables by time: one per week, made before rows need them. */
import type { Database } from './database.js';

const TABLES = ['ledger_node', 'ledger_row', 'ledger_step'] as const;

/**
 * A week: at 10,000 nodes some 100 million rows, which an index still serves well; and a year is 52 partitions, few
 * enough for the planner. Rows older than the retention time go by dropping whole weeks.
 */
const WIDTH_MS = 7 * 86_400_000;
/** Monday 1970-01-05: partitions begin on Mondays, 00:00 UTC. */
const ORIGIN_MS = 4 * 86_400_000;

/** Other controllers on the same database wait here instead of failing on each other's tables. */
const ADVISORY_LOCK = 0x77_61_74_70;

/** Start of the week that `atMs` lies in. */
function partitionStart(atMs: number): number {
  return Math.floor((atMs - ORIGIN_MS) / WIDTH_MS) * WIDTH_MS + ORIGIN_MS;
}

/** Remembers which weeks exist, so that booking costs no question to the database. */
export class Partitions {
  readonly #database: Database;
  readonly #known = new Set<number>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Makes sure that rows of every time in [fromMs, toMs] have a place. */
  async ensure(fromMs: number, toMs: number): Promise<void> {
    const missing: number[] = [];
    for (let start = partitionStart(fromMs); start <= toMs; start += WIDTH_MS) {
      if (!this.#known.has(start)) missing.push(start);
    }
    if (missing.length === 0) return;
    await this.#database.transaction(async (tx) => {
      await tx.query('select pg_advisory_xact_lock($1::bigint)', [ADVISORY_LOCK]);
      for (const start of missing) {
        const from = new Date(start).toISOString();
        const to = new Date(start + WIDTH_MS).toISOString();
        const suffix = from.slice(0, 10).replaceAll('-', '');
        for (const table of TABLES) {
          await tx.query(
            `create table if not exists ${table}_${suffix} partition of ${table} for values from ('${from}') to ('${to}')`,
          );
        }
      }
    });
    for (const start of missing) this.#known.add(start);
  }

  /** Makes this week's and the next weeks' partitions ahead of time: creating one briefly locks its table. */
  async prepare(nowMs: number): Promise<void> {
    await this.ensure(nowMs, nowMs + 2 * WIDTH_MS);
  }
}
