/** Reads, checks and freezes the configuration. Every problem of a file is reported at once. */
import * as v from 'valibot';
import { crossChecks } from './cross-checks.js';
import { configPath, parseToml, readConfigFile, type LoadOptions } from './file.js';
import { problemOf } from './issues.js';
import { KeyPositions } from './positions.js';
import { ConfigError, type ConfigProblem } from './problem.js';
import { configSchema } from './schema.js';
import { shape } from './shape.js';
import type { Config } from './types.js';

/**
 * The configuration of this machine.
 * @throws {ConfigError} where the file can be read but says something wrong.
 * @throws {WattleError} `config.unreadable` or `config.unsafe` where it cannot or must not be read.
 */
export function loadConfig(options: LoadOptions = {}): Config {
  const path = configPath(options);
  return parseConfig(readConfigFile(path), path);
}

/** The configuration in `text`; `path` names it in errors. */
export function parseConfig(text: string, path: string): Config {
  const document = parseToml(text, path);
  const positions = new KeyPositions(text);
  const result = v.safeParse(configSchema, document);
  const problems = result.success
    ? crossChecks(result.output).map((found) => ({ ...found, position: positions.of(found.keyPath) }))
    : result.issues.map((issue) => problemOf(issue, positions));
  const [first, ...others] = problems.sort(byPosition);
  if (first !== undefined) throw new ConfigError(path, [first, ...others]);
  if (!result.success) throw new TypeError('the schema failed without an issue');
  return shape(result.output, { path, positionOf: (keyPath) => positions.of(keyPath) });
}

function byPosition({ position: a }: ConfigProblem, { position: b }: ConfigProblem): number {
  return (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0);
}
