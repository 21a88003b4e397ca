/** The two methods that every query of Wattle goes through, whichever engine answers. */

export type SqlScalar = string | number | bigint | boolean | null;
export type SqlValue = SqlScalar | readonly SqlScalar[];

/** int8 columns arrive as bigint, timestamptz as Date, numeric as string: the same from every engine. */
type SqlRow = Readonly<Record<string, unknown>>;

export interface Queryable {
  /** Runs one statement with `$1`-style values, or several statements without values; gives the last one's rows. */
  query<Row extends object = SqlRow>(text: string, values?: readonly SqlValue[]): Promise<readonly Row[]>;
}

export interface Database extends Queryable {
  /**
   * Runs `work` in one transaction: commits when it resolves, rolls back when it rejects.
   * `work` may run again from the start after a deadlock or a serialization failure, so it must have no other effect.
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
}

export interface OpenDatabase extends Database {
  readonly engine: 'postgresql' | 'pglite';
  /** Waits for what is running, then lets go of the database. */
  close(): Promise<void>;
}

/** SQLSTATEs that mean something to us. */
const SQLSTATE = {
  deadlock: '40P01',
  serializationFailure: '40001',
} as const;

/** The SQLSTATE of a database error, undefined for anything else. */
export function sqlState(thrown: unknown): string | undefined {
  const code = thrown instanceof Error || isObject(thrown) ? (thrown as { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

const MAX_TRIES = 5;

/** Runs a transaction again where the engine gave it up only because of its neighbours. */
export async function withRetries<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const state = sqlState(error);
      const mayRetry = state === SQLSTATE.deadlock || state === SQLSTATE.serializationFailure;
      if (!mayRetry || tries === MAX_TRIES) throw error;
    }
  }
}
