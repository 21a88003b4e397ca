import type { Config } from './types.js';

/** The configuration as plain data to be shown to a person: no functions, and no password of the database. */
export function redact(config: Config): Record<string, unknown> {
  const { source, database, ...others } = config;
  const shownUrl = database.url === undefined ? {} : { url: redactUrl(database.url) };
  return { file: source.path, ...others, database: { ...database, ...shownUrl } };
}

/** A PostgreSQL URL without its password, wherever in the URL it stands. */
export function redactUrl(url: string): string {
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  for (const name of shown.searchParams.keys()) {
    if (/pass/i.test(name)) shown.searchParams.set(name, '***');
  }
  return shown.href;
}
