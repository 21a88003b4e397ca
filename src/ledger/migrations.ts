/** Brings a database to the schema of this program: numbered files in sql/, forward only. */
import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { WattleError } from '../contract/index.js';
import type { Database } from './database.js';

/** sql/ at the top of the package, two folders above this module in src/ledger, dist/ledger and dist/bin alike. */
const SQL_FOLDER = new URL('../../sql/', import.meta.url);
const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;

/** Any number that other programs on the server do not use for the same purpose: "wattle" in ASCII, folded. */
const ADVISORY_LOCK = 0x77_61_74_74;

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** The migrations shipped with this program, in order. */
export async function shippedMigrations(folder: URL = SQL_FOLDER): Promise<Migration[]> {
  const names = (await readdir(fileURLToPath(folder))).filter((name) => FILE_NAME.test(name)).sort();
  return Promise.all(
    names.map(async (name) => ({
      version: Number(name.slice(0, 4)),
      name,
      sql: await readFile(new URL(name, folder), 'utf8'),
    })),
  );
}

/**
 * Applies what is missing, in one transaction; two controllers may do it at once.
 * @returns the versions applied now
 * @throws WattleError `ledger.newer-schema` where a newer program has been here
 */
export async function migrate(database: Database, migrations?: readonly Migration[]): Promise<number[]> {
  const known = migrations ?? (await shippedMigrations());
  return database.transaction(async (tx) => {
    // Held until the end of the transaction: the second controller waits here, then finds nothing to do.
    await tx.query('select pg_advisory_xact_lock($1::bigint)', [ADVISORY_LOCK]);
    await tx.query(
      `create table if not exists wattle_migration (
         version integer primary key, name text not null, applied_at timestamptz not null default now())`,
    );
    const rows = await tx.query<{ version: number }>('select version from wattle_migration');
    const applied = new Set(rows.map((row) => row.version));
    refuseNewer(Math.max(0, ...applied), Math.max(0, ...known.map((migration) => migration.version)));
    const missing = known.filter((migration) => !applied.has(migration.version));
    for (const { version, name, sql } of missing) {
      await tx.query(sql);
      await tx.query('insert into wattle_migration (version, name) values ($1::integer, $2)', [version, name]);
    }
    return missing.map((migration) => migration.version);
  });
}

function refuseNewer(found: number, newest: number): void {
  if (found <= newest) return;
  throw new WattleError(
    'ledger.newer-schema',
    `the database has schema ${found}, this program knows schemas up to ${newest}`,
    'install the version of Wattle that made it, or a newer one; going back is not possible',
  );
}
