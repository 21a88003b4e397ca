/** Chooses the engine: PostgreSQL where a URL is given, PGlite in a directory otherwise. */
import type { OpenDatabase } from './database.js';
import { type PgliteOptions, openPglite } from './pglite.js';
import { type PostgresOptions, openPostgres } from './postgres.js';

export interface DatabaseOptions extends PgliteOptions, PostgresOptions {
  /** `postgres://…`; absent means PGlite. */
  readonly url?: string | undefined;
  /** Directory of PGlite. */
  readonly path: string;
}

export function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  return options.url === undefined ? openPglite(options.path, options) : openPostgres(options.url, options);
}
