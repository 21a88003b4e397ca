/** Runs one suite on both engines. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { type OpenDatabase, openDatabase } from '../../../src/ledger/index.js';
import { type TestPostgres, startPostgres } from './postgres.js';
import { buildWorker } from './worker.js';

export interface Engine {
  readonly name: OpenDatabase['engine'];
  /** A database with nothing in it; closed by the test. */
  fresh(): Promise<OpenDatabase>;
  /** Only PostgreSQL: the server itself. */
  readonly server: TestPostgres | undefined;
}

/** Calls `suite` once per engine; the engine's parts live from the suite's beforeAll to its afterAll. */
export function onBothEngines(suite: (engine: Engine) => void): void {
  describe('on PGlite', () => {
    let folder: string;
    let copies = 0;
    // Making a database takes PGlite seconds: one is made, and copied.
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'wattle-test-pglite-'));
      await (await openDatabase({ path: join(folder, 'first'), workerUrl: await buildWorker() })).close();
    }, 60_000);
    afterAll(() => rm(folder, { recursive: true, force: true }));
    suite({
      name: 'pglite',
      server: undefined,
      async fresh() {
        const path = join(folder, `copy${++copies}`);
        await cp(join(folder, 'first'), path, { recursive: true });
        return openDatabase({ path, workerUrl: await buildWorker() });
      },
    });
  });

  describe('on PostgreSQL', () => {
    let server: TestPostgres | undefined;
    beforeAll(async () => {
      server = await startPostgres();
    }, 60_000);
    afterAll(() => server?.stop());
    suite({
      name: 'postgresql',
      get server() {
        return server;
      },
      async fresh() {
        if (!server) throw new Error('PostgreSQL is not running yet');
        return openDatabase({ path: '', url: await server.createDatabase() });
      },
    });
  });
}
