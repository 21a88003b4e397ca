/** The outcome of checks as a list for people. */
import type { Finding } from '../../agent/index.js';
import { EXIT, WattleError, messageOf, type ExitCode } from '../../contract/errors.js';
import { printable } from '../printable.js';

const WIDTH = 19;

/** Prints findings, one or two lines each. */
export function printFindings(findings: readonly Finding[]): void {
  for (const { what, state, found, remedy } of findings) {
    const lines = found.split('\n').map(printable);
    process.stdout.write(
      `${(state === 'info' ? '-' : state).padEnd(4)}  ${what.padEnd(WIDTH)}  ${lines.join(`\n${' '.repeat(WIDTH + 8)}`)}\n`,
    );
    if (remedy !== undefined) process.stdout.write(`${' '.repeat(WIDTH + 6)}  -> ${printable(remedy)}\n`);
  }
}

/** 1 where something failed, 0 where there are at most warnings. */
export function exitCodeOf(findings: readonly Finding[]): ExitCode {
  return findings.some(({ state }) => state === 'fail') ? EXIT.failed : EXIT.done;
}

/** Runs a check; what it throws becomes a finding. */
export async function tryTo(
  what: string,
  state: 'warn' | 'fail',
  check: () => Promise<string> | string,
): Promise<Finding> {
  try {
    return { what, state: 'ok', found: await check() };
  } catch (error) {
    return { what, state, found: messageOf(error), ...(error instanceof WattleError ? { remedy: error.remedy } : {}) };
  }
}
