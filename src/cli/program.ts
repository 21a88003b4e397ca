/**
 * cli/: the commands `scarbon` and `wattle`, and the place where the daemons are put together.
 * Reads arguments, asks the other rooms, prints for people or for programs, and sets the exit code.
 * Must never: compute a figure of its own, or print a byte from outside to a terminal as it came.
 */
import { EXIT, messageOf, WattleError, type ExitCode } from '../contract/errors.js';
import { printable } from './printable.js';

/** Runs a command to its end: prints what it throws and sets the process's exit code. */
export async function runProgram(name: string, main: () => Promise<ExitCode>): Promise<void> {
  // A reader that goes away (`scarbon | head -1`) has what it wanted.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    process.stderr.write(`${name}: standard output: ${printable(messageOf(error))}\n`);
    process.exit(EXIT.failed);
  });
  try {
    process.exitCode = await main();
  } catch (error) {
    process.stderr.write(describeError(name, error));
    process.exitCode = error instanceof WattleError ? error.exitCode : EXIT.failed;
    // What nobody reads would keep the process alive for as long as the reader stands still.
    if (error instanceof WattleError && error.code === 'sample.unread') process.exit();
  }
}

/** What is wrong and what to do about it, one line each. */
export function describeError(name: string, error: unknown): string {
  const lines = messageOf(error).split('\n').map(printable);
  if (error instanceof WattleError) lines.push(printable(error.remedy));
  return lines.map((line) => `${name}: ${line}\n`).join('');
}

/** Wrong usage: exit code 2. */
export function usageError(message: string, remedy: string): WattleError {
  return new WattleError('usage', message, remedy, { exitCode: EXIT.usage });
}
