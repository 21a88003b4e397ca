/**
 * The configuration file as text and as TOML, before any schema: commands that need one address of it stop here,
 * so that they start at once and a key that concerns a daemon cannot keep a user from their figures.
 */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { messageOf, WattleError } from '../contract/errors.js';
import { ConfigError, type ConfigProblem } from './problem.js';

export const DEFAULT_CONFIG_PATH = '/etc/wattle/wattle.toml';

/** A configuration is a page or two; what is larger is some other file. */
const MAX_CONFIG_BYTES = 1024 * 1024;

export interface LoadOptions {
  /** From `--config`; goes before WATTLE_CONFIG, which goes before the default path. */
  readonly path?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The file that `loadConfig` with the same options would read. */
export function configPath({ path, env = process.env }: LoadOptions = {}): string {
  return path ?? (env['WATTLE_CONFIG'] === '' ? undefined : env['WATTLE_CONFIG']) ?? DEFAULT_CONFIG_PATH;
}

/** The document as the TOML parser gives it, with no check of its keys. */
export function parseToml(text: string, path: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new ConfigError(path, [syntaxProblem(error)]);
  }
}

/** Only the parser's first line is told: what follows is an excerpt of the file, which may hold a password. */
function syntaxProblem(error: TomlError): ConfigProblem {
  const reason = error.message.split('\n', 1)[0]?.replace(/^Invalid TOML document: /, '') ?? '';
  return {
    code: 'config.syntax',
    keyPath: [],
    position: { line: error.line, column: error.column },
    message: `expected TOML, found a syntax error: ${reason}`,
    remedy: 'See https://toml.io for the syntax: text stands in quotes, tables in brackets.',
  };
}

/**
 * The text of a configuration file.
 * @throws {WattleError} where it is missing, no plain file, too large, or writable by everyone.
 */
export function readConfigFile(path: string): string {
  const unreadable = (message: string, remedy: string, cause?: unknown): WattleError =>
    new WattleError('config.unreadable', `${path}: ${message}`, remedy, { cause });
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw unreadable(
      `expected a readable configuration file, found: ${messageOf(error)}`,
      'Name the file with --config or WATTLE_CONFIG; docs/configuration.md tells what to write into it.',
      error,
    );
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw unreadable('expected a plain file', 'Name a TOML file with --config or WATTLE_CONFIG.');
    if (status.size > MAX_CONFIG_BYTES) {
      throw unreadable(
        `expected at most ${MAX_CONFIG_BYTES} bytes, found ${status.size}`,
        'Name a configuration file.',
      );
    }
    // Daemons with privileges act on this file: whoever may write it would act with theirs.
    if ((status.mode & 0o002) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
      const message = `${path}: expected a file that not everyone can write, found mode ${mode}`;
      throw new WattleError('config.unsafe', message, `Run: chmod o-w ${path}`);
    }
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}
