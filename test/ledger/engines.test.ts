import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { lockDirectory } from '../../src/system/index.js';
import { Ledger, type OpenDatabase, openDatabase } from '../../src/ledger/index.js';
import { migrate, shippedMigrations } from '../../src/ledger/migrations.js';
import { T0, batch, idleRow, jobRow, segment } from './support/batches.js';
import { onBothEngines } from './support/engines.js';
import { type TestPostgres, startPostgres } from './support/postgres.js';
import { buildWorker } from './support/worker.js';

const HELD = { code: 'ledger.held', remedy: 'stop it' };

const SITE = { zone: 'FR', pue: 1 };

onBothEngines((engine) => {
  let database: OpenDatabase;
  beforeEach(async () => {
    database = await engine.fresh();
  }, 60_000);
  afterEach(() => database.close());

  test('applies the shipped migrations once, in order', async () => {
    const versions = (await shippedMigrations()).map((migration) => migration.version);
    expect(versions).toEqual(versions.map((_, i) => i + 1));
    expect(await migrate(database)).toEqual(versions);
    expect(await migrate(database)).toEqual([]);
  });

  test('two controllers may migrate at once', async () => {
    const [a, b] = await Promise.all([migrate(database), migrate(database)]);
    expect([a.length, b.length].sort()).toEqual([0, (await shippedMigrations()).length]);
  });

  test('a migration that fails leaves nothing behind', async () => {
    const broken = { version: 1, name: '0001_broken.sql', sql: 'create table half (a integer); select 1 / 0' };
    await expect(migrate(database, [broken])).rejects.toMatchObject({ code: '22012' });
    await expect(database.query('select * from half')).rejects.toMatchObject({ code: '42P01' });
    await migrate(database);
  });

  test('refuses a database that a newer program has migrated', async () => {
    await migrate(database);
    await database.query(`insert into wattle_migration (version, name) values (9001, '9001_later.sql')`);
    await expect(Ledger.open(database, 'test')).rejects.toMatchObject({
      code: 'ledger.newer-schema',
      message: expect.stringContaining('9001') as unknown,
    });
  });

  test('gives the same types for the same columns', async () => {
    const rows = await database.query(
      `select 1::bigint as i8, 1 as i4, 0.5::float8 as f8, 'x' as t, true as b, null as n,
         '2026-10-05T10:00:00.123Z'::timestamptz as at, array['a,b', 'c'] as texts`,
    );
    expect(rows).toHaveLength(1);
    const row = rows[0] as { at: Date };
    expect(row).toMatchObject({ i8: 1n, i4: 1, f8: 0.5, t: 'x', b: true, n: null, texts: ['a,b', 'c'] });
    expect(row.at.getTime()).toBe(T0 + 123);
  });

  test('sends a deadlock or serialization failure through again, and nothing else', async () => {
    let tries = 0;
    const done = await database.transaction(async (tx) => {
      if (++tries < 3) await tx.query(`do $$ begin raise exception 'x' using errcode = '40001'; end $$`);
      return 'done';
    });
    expect([done, tries]).toEqual(['done', 3]);
    tries = 0;
    const failing = database.transaction(async (tx) => {
      tries++;
      await tx.query('select 1 / 0');
    });
    await expect(failing).rejects.toMatchObject({ code: '22012' });
    expect(tries).toBe(1);
  });
});

describe('PGlite directory', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wattle-test-lock-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** A process that takes the directory and says so. */
  async function holder() {
    const koffi = import.meta.resolve('koffi');
    const script = `
      import { openSync, writeFileSync } from 'node:fs';
      const koffi = (await import(${JSON.stringify(koffi)})).default;
      const fd = openSync(process.argv[1] + '/lock', 'a+');
      const flock = koffi.load(null).func('int flock(int fd, int operation)');
      console.log(flock(fd, 6));
      writeFileSync(fd, process.pid + '\\n');
      console.log('held');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const line of createInterface(child.stdout)) if (line === 'held') break;
    return child;
  }

  test('held by another process is refused, naming it, and is free when that process is killed', async () => {
    const child = await holder();
    await expect(openDatabase({ path: folder, workerUrl: await buildWorker() })).rejects.toMatchObject({
      code: 'ledger.held',
      message: expect.stringContaining(`process ${child.pid ?? 0}`) as unknown,
    });
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    const lock = await lockDirectory(folder, HELD);
    expect(await readFile(join(folder, 'lock'), 'utf8')).toBe(`${process.pid}\n`);
    await lock.release();
  });

  test('is refused to this process too while it has it', async () => {
    const lock = await lockDirectory(folder, HELD);
    await expect(lockDirectory(folder, HELD)).rejects.toMatchObject({ code: 'ledger.held' });
    await lock.release();
    await (await lockDirectory(folder, HELD)).release();
  });

  test('a lock file left by a crash is taken over, whatever it says', async () => {
    await writeFile(join(folder, 'lock'), `${process.ppid}\n`);
    await (await lockDirectory(folder, HELD)).release();
  });

  test('keeps what is booked from one opening to the next', async () => {
    const workerUrl = await buildWorker();
    for (const expected of ['booked', 'duplicate']) {
      const ledger = await Ledger.open(await openDatabase({ path: folder, workerUrl }), 'test');
      expect(await ledger.book(batch(0, [segment([idleRow(5)])]), SITE)).toBe(expected);
      await ledger.close();
    }
  }, 60_000);

  test('that holds no usable database is named, and let go', async () => {
    const workerUrl = await buildWorker();
    await (await openDatabase({ path: folder, workerUrl })).close();
    await rm(join(folder, 'pglite', 'global'), { recursive: true });
    await expect(openDatabase({ path: folder, workerUrl })).rejects.toMatchObject({ code: 'ledger.damaged' });
    await (await lockDirectory(folder, HELD)).release();
  }, 60_000);
});

describe('PostgreSQL', () => {
  let server: TestPostgres;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.stop());

  test('that is not there, or refuses us, is named without its password', async () => {
    const absent = openDatabase({ path: '', url: 'postgres://u:hush@127.0.0.1:1/x' });
    await expect(absent).rejects.toMatchObject({ code: 'ledger.unreachable', exitCode: 3 });
    await expect(absent).rejects.not.toMatchObject({ message: expect.stringContaining('hush') as unknown });
    const url = (await server.createDatabase()).replace(/wattle_\d+/, 'nowhere');
    await expect(openDatabase({ path: '', url })).rejects.toMatchObject({ code: 'ledger.refused' });
  });

  test('restarted in the middle of booking loses nothing and books nothing twice', async () => {
    const database = await openDatabase({ path: '', url: await server.createDatabase() });
    const ledger = await Ledger.open(database, 'test');
    const nodes = ['n1', 'n2', 'n3'];
    const perNode = 200;
    let failures = 0;
    let reachHalfway!: () => void;
    const halfway = new Promise<void>((resolve) => (reachHalfway = resolve));
    /** What an agent does: the same batch again until it has an answer. */
    const send = async (node: string, sequence: number): Promise<void> => {
      for (;;) {
        try {
          await ledger.book(batch(sequence, [segment([jobRow(1, 3), idleRow(4)])], { node }), SITE);
          return;
        } catch {
          failures++;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    };
    const agents = Promise.all(
      nodes.map(async (node) => {
        for (let sequence = 0; sequence < perNode; sequence++) {
          await send(node, sequence);
          if (sequence === perNode / 2) reachHalfway();
        }
      }),
    );
    await halfway;
    await server.crashAndRestart();
    await agents;
    expect(failures).toBeGreaterThan(0);
    const answer = await ledger.conservation(T0, T0 + 1);
    expect(answer.nodes).toEqual(
      nodes.map((node) => ({
        node,
        total: 7 * perNode,
        owners: { job: 3 * perNode, idle: 4 * perNode },
        intervals: 1,
        intervalsOff: 0,
        coverage: 1,
      })),
    );
    await ledger.close();
  }, 60_000);

  test('two controllers on one database book a batch once', async () => {
    const url = await server.createDatabase();
    const [a, b] = await Promise.all([
      openDatabase({ path: '', url }).then((database) => Ledger.open(database, 'test')),
      openDatabase({ path: '', url }).then((database) => Ledger.open(database, 'test')),
    ]);
    for (let sequence = 0; sequence < 20; sequence++) {
      const one = batch(sequence, [segment([jobRow(1, 1)])]);
      const answers = await Promise.all([a.book(one, SITE), b.book(one, SITE)]);
      expect(answers.sort()).toEqual(['booked', 'duplicate']);
    }
    expect((await a.conservation(T0, T0 + 1)).nodes[0]?.total).toBe(20);
    await Promise.all([a.close(), b.close()]);
  });
});
