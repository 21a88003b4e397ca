/**
 * The thread that holds PGlite, so that a long query never stops the controller's event loop.
 * Started by pglite.ts with WorkerSettings; answers WorkerRequests in order.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { WorkerError, WorkerReply, WorkerRequest, WorkerSettings } from './pglite-protocol.js';

const INT8_OID = 20;

/**
 * Appended to PGlite's own: the defaults (128 MB of buffers inside the WebAssembly heap, 1 GB of log) are meant for
 * a server; and PGlite switches fsync off, which a ledger cannot have.
 */
const SERVER_SETTINGS = ['shared_buffers=32MB', 'max_wal_size=64MB', 'work_mem=8MB', 'fsync=on'];

function describe(thrown: unknown): WorkerError {
  const { message, code, detail } = thrown as { message?: unknown; code?: unknown; detail?: unknown };
  return {
    message: typeof message === 'string' ? message : String(thrown),
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof detail === 'string' ? { detail } : {}),
  };
}

async function serve(settings: WorkerSettings, post: (reply: WorkerReply) => void): Promise<void> {
  const database = await PGlite.create({
    dataDir: settings.dataDir,
    startParams: [...PGlite.defaultStartParams, ...SERVER_SETTINGS.flatMap((setting) => ['-c', setting])],
    parsers: { [INT8_OID]: (text: string) => BigInt(text) },
  });
  post({ kind: 'ready' });

  async function answer({ id, text, values }: WorkerRequest): Promise<void> {
    try {
      if (text === undefined) {
        await database.close();
        post({ kind: 'rows', id, rows: [] });
        parentPort?.close();
        return;
      }
      // Without values the simple protocol, which takes several statements.
      const rows = values
        ? (await database.query(text, [...values])).rows
        : ((await database.exec(text)).at(-1)?.rows ?? []);
      post({ kind: 'rows', id, rows: rows as object[] });
    } catch (error) {
      post({ kind: 'failed', id, error: describe(error) });
    }
  }
  // One after the other: PGlite is one session, and a transaction is a run of requests.
  let last = Promise.resolve();
  parentPort?.on('message', (request: WorkerRequest) => {
    last = last.then(() => answer(request));
  });
}

const post = (reply: WorkerReply): void => parentPort?.postMessage(reply);
serve(workerData as WorkerSettings, post).catch((error: unknown) => {
  post({ kind: 'unusable', error: describe(error) });
  parentPort?.close();
});
