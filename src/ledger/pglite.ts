/** PGlite behind the database interface: an embedded PostgreSQL in a thread of its own, on a directory that only we hold. */
import { access, rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { WattleError } from '../contract/index.js';
import { type OpenDatabase, type Queryable, type SqlValue, withRetries } from './database.js';
import { lockDirectory } from '../system/index.js';
import type { WorkerError, WorkerReply, WorkerRequest, WorkerSettings } from './pglite-protocol.js';

/** What to do about a directory that another process has open. */
const HELD = {
  code: 'ledger.held',
  remedy: 'stop that process, give this one another [database] path, or let both use PostgreSQL by [database] url',
};

/** An error that the engine reported, with its SQLSTATE in `code`. */
class PgliteError extends Error {
  override readonly name = 'PgliteError';
  readonly code: string | undefined;
  readonly detail: string | undefined;

  constructor(error: WorkerError) {
    super(error.message);
    this.code = error.code;
    this.detail = error.detail;
  }
}

/** The worker lies beside this module, or, where this module was bundled into dist/bin, in dist/ledger. */
function findWorker(): URL {
  const places = ['./pglite-worker.js', '../ledger/pglite-worker.js'].map((path) => new URL(path, import.meta.url));
  const found = places.find((place) => existsSync(fileURLToPath(place)));
  if (found) return found;
  throw new WattleError('ledger.incomplete', 'pglite-worker.js is missing from the installation', 'run npm run build');
}

interface Waiting {
  readonly resolve: (rows: readonly object[]) => void;
  readonly reject: (error: Error) => void;
}

/** The worker thread as a function from statement to rows. */
class Session {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #ended: Error | undefined;
  readonly ready: Promise<void>;

  constructor(workerUrl: URL, settings: WorkerSettings) {
    this.#worker = new Worker(workerUrl, { workerData: settings });
    this.ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (reply: WorkerReply) => {
        if (reply.kind === 'ready') resolve();
        else if (reply.kind === 'unusable') this.#end(new PgliteError(reply.error), reject);
        else this.#settle(reply);
      });
      this.#worker.on('error', (error) => {
        this.#end(error, reject);
      });
      this.#worker.on('exit', () => {
        this.#end(new Error('the database thread has ended'), reject);
      });
    });
  }

  send(text?: string, values?: readonly SqlValue[]): Promise<readonly object[]> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended);
        return;
      }
      this.#waiting.set(id, { resolve, reject });
      const request: WorkerRequest = {
        id,
        ...(text === undefined ? {} : { text }),
        ...(values === undefined ? {} : { values }),
      };
      this.#worker.postMessage(request);
    });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(reply: Extract<WorkerReply, { id: number }>): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.kind === 'rows') waiting?.resolve(reply.rows);
    else waiting?.reject(new PgliteError(reply.error));
  }

  #end(error: Error, rejectReady: (error: Error) => void): void {
    this.#ended ??= error;
    rejectReady(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

export interface PgliteOptions {
  /** The built pglite-worker.js, where it is not in its usual place. */
  readonly workerUrl?: URL;
}

/**
 * Opens the embedded database in `directory`, making it on first use.
 * @throws WattleError `ledger.held` (another process has the directory), `ledger.damaged` (PGlite cannot open it)
 */
export async function openPglite(directory: string, options: PgliteOptions = {}): Promise<OpenDatabase> {
  const workerUrl = options.workerUrl ?? findWorker();
  const lock = await lockDirectory(directory, HELD);
  let session: Session | undefined;
  try {
    const dataDir = join(directory, 'pglite');
    await createIfMissing(dataDir, workerUrl);
    session = new Session(workerUrl, { dataDir });
    await session.ready;
    return pgliteDatabase(session, () => lock.release());
  } catch (cause) {
    await session?.terminate();
    await lock.release();
    if (cause instanceof WattleError) throw cause;
    throw new WattleError(
      'ledger.damaged',
      `PGlite cannot open ${directory}: ${cause instanceof Error ? cause.message : String(cause)}`,
      'restore the directory from a backup, or move it aside to begin with an empty ledger',
      { cause },
    );
  }
}

/**
 * Makes the database in a thread that ends afterwards, because initdb leaves half a gigabyte in the thread it ran in;
 * and under another name, so that a directory cut short by a crash is never taken for a database.
 */
async function createIfMissing(dataDir: string, workerUrl: URL): Promise<void> {
  const exists = await access(join(dataDir, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (exists) return;
  const draft = `${dataDir}.new`;
  await rm(draft, { recursive: true, force: true });
  const session = new Session(workerUrl, { dataDir: draft });
  try {
    await session.ready;
    await session.send();
  } finally {
    await session.terminate();
  }
  await rename(draft, dataDir);
}

function pgliteDatabase(session: Session, release: () => Promise<void>): OpenDatabase {
  // PGlite is one session: whoever holds the turn has it alone, for a statement or for a transaction.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  };
  const direct: Queryable = {
    query: async <Row extends object>(text: string, values?: readonly SqlValue[]) =>
      (await session.send(text, values)) as readonly Row[],
  };
  const transact = async <T>(work: (tx: Queryable) => Promise<T>): Promise<T> => {
    await session.send('begin');
    try {
      const result = await work(direct);
      await session.send('commit');
      return result;
    } catch (error) {
      await session.send('rollback');
      throw error;
    }
  };
  return {
    engine: 'pglite',
    query: <Row extends object>(text: string, values?: readonly SqlValue[]) =>
      inTurn(() => direct.query<Row>(text, values)),
    transaction: (work) => withRetries(() => inTurn(() => transact(work))),
    close: () =>
      inTurn(async () => {
        try {
          await session.send();
        } finally {
          await session.terminate();
          await release();
        }
      }),
  };
}
