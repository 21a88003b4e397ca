import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { pause } from '../pause.js';
import { shown, SourceProblem } from '../problem.js';
import type { LineOrigin } from './origin.js';
import { feedFrom } from './stream.js';

const KILL_AFTER_MS = 1000;
const MAX_LAST_WORDS = 2048;

/** Lines that a program prints. No shell: its words are its arguments as they stand. */
export function commandOrigin(command: readonly string[]): LineOrigin {
  const [program = '', ...args] = command;
  return async (feed, signal) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that what it has started ends with it.
      detached: true,
      env: { ...process.env, LC_ALL: 'C' },
    });
    const exited = once(child, 'exit').catch((error: unknown) => {
      const code = (error as NodeJS.ErrnoException).code ?? 'error';
      throw new SourceProblem(`${shown(program)} cannot be started (${code}): name it with its whole path`);
    });
    // Handled where it is awaited; a program that cannot be started fails before that.
    exited.catch(() => undefined);
    let lastWords = '';
    child.stderr.on('data', (chunk: Buffer) => {
      lastWords = (lastWords + chunk.toString('latin1')).slice(-MAX_LAST_WORDS);
    });
    try {
      await feedFrom(child.stdout, feed, signal);
      if (!signal.aborted) await Promise.race([exited, pause(KILL_AFTER_MS, signal)]);
    } finally {
      await end(child, exited);
    }
    if (signal.aborted) return;
    const how = child.exitCode === null ? `by ${child.signalCode ?? 'a signal'}` : `with status ${child.exitCode}`;
    const words = lastWords.trim().split('\n').at(-1) ?? '';
    throw new SourceProblem(`${shown(program)} ended ${how}${words === '' ? '' : `: ${shown(words)}`}`);
  };
}

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.stderr?.destroy();
  if (child.pid === undefined) return;
  const timer = new AbortController();
  if (child.exitCode === null && child.signalCode === null) {
    signalGroup(child.pid, 'SIGTERM');
    await Promise.race([exited.catch(() => undefined), pause(KILL_AFTER_MS, timer.signal)]);
  }
  timer.abort();
  // Also after its own end: what it has started may live on.
  signalGroup(child.pid, 'SIGKILL');
}

function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    // Nothing of the group is left.
  }
}
