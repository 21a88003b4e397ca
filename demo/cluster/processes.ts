/** Starting and ending processes, each of them known by a mark in its environment. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { WattleError } from '../../src/contract/index.js';
import { sleep } from './waiting.js';

/**
 * Environment variable that holds the cluster's folder. All that a cluster starts inherits it, job steps too, so what
 * a killed run left behind can be told from everyone else's processes without a list of process ids.
 */
const MARK = 'WATTLE_DEMO_FOLDER';

export const mark = (folder: string): Readonly<Record<string, string>> => ({ [MARK]: folder });

export interface Daemon {
  readonly name: string;
  readonly pid: number;
  readonly log: string;
  /** What it ended with, undefined while it runs. */
  readonly ended: () => string | undefined;
}

/** Starts a program in a session of its own (Ctrl-C at the terminal is ours to handle), its output into `log`. */
export function startDaemon(spec: {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly log: string;
}): Daemon {
  const output = openSync(spec.log, 'a', 0o600);
  const child = spawn(spec.command, spec.args, {
    cwd: spec.cwd,
    env: { ...spec.env },
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  let ended: string | undefined;
  child.on('error', (error) => (ended = error.message));
  child.on('exit', (code, signal) => (ended = signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}`));
  child.unref();
  if (child.pid === undefined) {
    throw new WattleError('demo.start', `cannot start ${spec.command}`, 'Check that the program runs by hand.');
  }
  return { name: spec.name, pid: child.pid, log: spec.log, ended: () => ended };
}

/** The last lines of a log, indented, for an error message. */
export function tailOf(log: string, lines = 12): string {
  try {
    const text = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines);
    return text.map((line) => `    ${line}`).join('\n');
  } catch {
    return '    (no log)';
  }
}

/** The process lives and is more than an entry that its parent has not yet taken away. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !['Z', 'X'].includes(stat.charAt(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** When the process began, in clock ticks after boot: with the pid it names a process for good. */
export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Every process whose environment carries the folder's mark. */
export function markedProcesses(folder: string): number[] {
  const entry = `${MARK}=${folder}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      if (pid === process.pid) return false;
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(entry) && isAlive(pid);
      } catch {
        return false;
      }
    });
}

/** Sends a signal; a process that has gone meanwhile is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

/** Asks the processes to end, waits up to `graceMs`, then kills those that are left. */
export async function endProcesses(pids: readonly number[], graceMs: number): Promise<void> {
  for (const pid of pids) signal(pid, 'SIGTERM');
  const deadline = performance.now() + graceMs;
  while (pids.some(isAlive) && performance.now() < deadline) await sleep(50);
  for (const pid of pids.filter(isAlive)) signal(pid, 'SIGKILL');
}
