/** Runs a command in this process and returns what it would have left behind. */
import { jest } from '@jest/globals';
import { describeError } from '../../src/cli/program.js';
import { WattleError, type ExitCode } from '../../src/contract/index.js';

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export async function run(
  command: (args: readonly string[]) => Promise<ExitCode>,
  ...args: readonly string[]
): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    jest.spyOn(process[stream], 'write').mockImplementation((chunk) => {
      written[stream] += String(chunk);
      return true;
    }),
  );
  try {
    return { ...written, exitCode: await command(args), ...written };
  } catch (error) {
    if (!(error instanceof WattleError)) throw error;
    return {
      stdout: written.stdout,
      stderr: written.stderr + describeError('command', error),
      exitCode: error.exitCode,
    };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
