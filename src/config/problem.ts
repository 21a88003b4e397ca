/** What is wrong with a configuration file, told so that it can be mended at once. */
import { WattleError } from '../contract/errors.js';
import type { KeyPath, Position } from './positions.js';

export interface ConfigProblem {
  /** Stable word for programs: `config.unknown-key`, `config.missing-key`, `config.value`, `config.syntax`. */
  readonly code: string;
  readonly keyPath: KeyPath;
  readonly position?: Position | undefined;
  /** One sentence without the file, the line and the key: what was expected and what was found. */
  readonly message: string;
  /** What to do, one sentence. */
  readonly remedy: string;
}

/** All problems of one file at once. `code` is that of the only problem, or `config.invalid` where there are several. */
export class ConfigError extends WattleError {
  override readonly name = 'ConfigError';
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly [ConfigProblem, ...ConfigProblem[]]) {
    const [first, ...others] = problems;
    if (others.length === 0) {
      super(first.code, describe(file, first), first.remedy);
    } else {
      const lines = problems.map((problem) => `${describe(file, problem)}. ${problem.remedy}`);
      const remedy = `Mend these ${problems.length} problems; docs/configuration.md lists every key.`;
      super('config.invalid', lines.join('\n'), remedy);
    }
    this.file = file;
    this.problems = problems;
  }
}

function describe(file: string, { keyPath, position, message }: ConfigProblem): string {
  const place = position === undefined ? file : `${file}:${position.line}:${position.column}`;
  return keyPath.length === 0 ? `${place}: ${message}` : `${place}: ${formatKeyPath(keyPath)}: ${message}`;
}

/** `carbon.nodes."n[1-2]".zone`: as it would be written in the file. */
export function formatKeyPath(keyPath: KeyPath): string {
  return keyPath.map((key) => (/^[\w-]+$/.test(key) ? key : JSON.stringify(key))).join('.');
}
