/** One error base for what a person can mend: what was expected, what was found, what to do. */

/** Exit codes of every program of Wattle. */
export const EXIT = { done: 0, failed: 1, usage: 2, unreachable: 3 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export class WattleError extends Error {
  override readonly name: string = 'WattleError';
  /** Stable word for programs, e.g. `config.unknown-key`. */
  readonly code: string;
  /** What the reader can do about it, one sentence. */
  readonly remedy: string;
  readonly exitCode: ExitCode;

  constructor(code: string, message: string, remedy: string, options: { cause?: unknown; exitCode?: ExitCode } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = remedy;
    this.exitCode = options.exitCode ?? EXIT.failed;
  }
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
