/** The C++ tests, once per sanitizer and under valgrind, and what only a program of its own can prove. */
import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { buildNative } from './build.js';

const MINUTES = 60_000;
const PASSED = /^[1-9]\d* tests, 0 failures$/m;
const run = promisify(execFile);

test(
  'core and meters, with AddressSanitizer and UndefinedBehaviorSanitizer',
  async () => {
    const { stdout } = await run(await buildNative('test', 'address-undefined'));
    expect(stdout).toMatch(PASSED);
  },
  10 * MINUTES,
);

test(
  'what threads share, with ThreadSanitizer',
  async () => {
    const program = await buildNative('test', 'thread');
    const { stdout } = await run(program, ['thread']).catch(retryWithoutRandomAddresses(program));
    expect(stdout).toMatch(PASSED);
  },
  10 * MINUTES,
);

test(
  'core and meters, under valgrind',
  async () => {
    const program = await buildNative('test', 'none');
    // ThreadSanitizer has what threads share; valgrind runs one thread at a time, and those tests for minutes. Dropping
    // privileges takes signals that valgrind keeps for itself.
    const { stdout } = await run('valgrind', [
      '--quiet',
      '--error-exitcode=9',
      '--leak-check=full',
      '--errors-for-leak-kinds=definite,indirect,possible',
      program,
      '-thread',
      '-privileges',
    ]);
    expect(stdout).toMatch(PASSED);
  },
  10 * MINUTES,
);

test(
  'the sampling thread neither allocates nor locks',
  async () => {
    const { stdout } = await run(await buildNative('quiet', 'none'));
    expect(stdout).toMatch(PASSED);
  },
  10 * MINUTES,
);

test(
  'every parser of outside text stands mutations of its corpus',
  async () => {
    const { stdout } = await run(await buildNative('fuzz', 'address-undefined'), ['test/native/fuzz/corpus']);
    expect(stdout).toMatch(/^[1-9]\d* targets stood \d+ inputs each$/m);
  },
  10 * MINUTES,
);

/** Some kernels place memory where ThreadSanitizer does not expect it, unless told not to. */
function retryWithoutRandomAddresses(program: string) {
  return (error: unknown) => {
    if (!String(error).includes('unexpected memory mapping')) throw error;
    return run('setarch', ['--addr-no-randomize', program, 'thread']);
  };
}
