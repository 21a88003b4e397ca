/** However a process or a worker ends, a running sampling thread neither holds it up nor brings it down. */
import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { join } from 'node:path';

interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

function end(way: string): Promise<Ending> {
  const script = join(import.meta.dirname, 'exit-path.mjs');
  // A child that hangs is killed, and its SIGKILL fails the test.
  const child = spawn(process.execPath, ['--expose-gc', script, way], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      resolve({ code, signal, stderr });
    });
  });
}

test.each([
  ['end', 0],
  ['exit', 3],
  ['sigterm-handled', 4],
  ['worker-end', 0],
  ['worker-exit', 0],
  ['worker-throw', 0],
  ['worker-terminate', 0],
  ['worker-terminate-many', 0],
  ['exit-beside-worker', 5],
  ['collected', 0],
])('%s: exits with %i and without a word', async (way, code) => {
  expect(await end(way)).toEqual({ code, signal: null, stderr: '' });
});

test.each(['throw', 'reject'])('%s: Node reports the error and exits with 1', async (way) => {
  const { code, signal, stderr } = await end(way);
  expect({ code, signal }).toEqual({ code: 1, signal: null });
  expect(stderr).toContain('on purpose');
  expect(stderr).not.toMatch(/abort|terminate called|core dumped/i);
});

test('sigterm: ends by the signal', async () => {
  expect(await end('sigterm')).toEqual({ code: null, signal: 'SIGTERM', stderr: '' });
});
