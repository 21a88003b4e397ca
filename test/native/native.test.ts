/** The C++ tests, once per sanitizer. */
import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { buildNativeTests } from './build.js';

const MINUTES = 60_000;
const run = promisify(execFile);

test(
  'core and meters, with AddressSanitizer and UndefinedBehaviorSanitizer',
  async () => {
    const program = await buildNativeTests('address-undefined');
    const { stdout } = await run(program);
    expect(stdout).toMatch(/^[1-9]\d* tests, 0 failures$/m);
  },
  10 * MINUTES,
);

test(
  'what threads share, with ThreadSanitizer',
  async () => {
    const program = await buildNativeTests('thread');
    const { stdout } = await run(program, ['thread']).catch(retryWithoutRandomAddresses(program));
    expect(stdout).toMatch(/^[1-9]\d* tests, 0 failures$/m);
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
