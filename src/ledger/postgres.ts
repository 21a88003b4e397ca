/** PostgreSQL 14+ behind the database interface, by a pool of connections. */
import pg from 'pg';
import { EXIT, WattleError, messageOf } from '../contract/index.js';
import { type OpenDatabase, type Queryable, type SqlValue, sqlState, withRetries } from './database.js';

const INT8_OID = 20;
/** Booking is short transactions: more connections than this only queue up inside PostgreSQL. */
const DEFAULT_POOL_SIZE = 8;
const CONNECT_TIMEOUT_MS = 5_000;
/** The longest any statement may take; a question over years of a large ledger stays below. */
const STATEMENT_TIMEOUT_MS = 60_000;

/** int8 as bigint: microjoules must not pass through a double. */
const types = new pg.TypeOverrides();
types.setTypeParser(INT8_OID, BigInt);

function queryable(client: Pick<pg.ClientBase, 'query'>): Queryable {
  return {
    async query<Row extends object>(text: string, values?: readonly SqlValue[]): Promise<readonly Row[]> {
      // Several statements without values give an array of results; what counts is the last.
      const result = (await client.query(text, values as unknown[] | undefined)) as pg.QueryResult | pg.QueryResult[];
      const last = Array.isArray(result) ? result.at(-1) : result;
      return (last?.rows ?? []) as Row[];
    },
  };
}

/** Where a URL points, without its password. */
function withoutPassword(url: string): string {
  try {
    const parsed = new URL(url);
    parsed.password = '';
    parsed.searchParams.delete('password');
    return parsed.toString();
  } catch {
    return '(not a URL)';
  }
}

export interface PostgresOptions {
  readonly poolSize?: number;
  /** Told of connections that broke while idle; the pool replaces them by itself. */
  readonly onConnectionLost?: (error: Error) => void;
}

/**
 * Connects to PostgreSQL.
 * @throws WattleError `ledger.unreachable` (nothing answers there), `ledger.refused` (it answers, and will not have us)
 */
export async function openPostgres(url: string, options: PostgresOptions = {}): Promise<OpenDatabase> {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.poolSize ?? DEFAULT_POOL_SIZE,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    application_name: 'wattle',
    types,
  });
  // Without a listener a connection that breaks while idle would end the process.
  pool.on('error', (error) => options.onConnectionLost?.(error));
  const database: OpenDatabase = {
    engine: 'postgresql',
    ...queryable(pool),
    transaction: (work) => withRetries(() => inTransaction(pool, work)),
    close: () => pool.end(),
  };
  try {
    await database.query('select 1');
  } catch (cause) {
    await pool.end();
    const refused = sqlState(cause) !== undefined;
    throw new WattleError(
      refused ? 'ledger.refused' : 'ledger.unreachable',
      `PostgreSQL at ${withoutPassword(url)}: ${messageOf(cause)}`,
      refused ? 'check user, password and database name in [database] url' : 'start PostgreSQL, or mend [database] url',
      { cause, exitCode: EXIT.unreachable },
    );
  }
  return database;
}

async function inTransaction<T>(pool: pg.Pool, work: (tx: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // A server that goes away between two statements of ours is reported here, and must not end the process.
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  try {
    await client.query('begin');
    const result = await work(queryable(client));
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((failure: unknown) => {
      broken = failure instanceof Error ? failure : new Error(messageOf(failure));
    });
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}
