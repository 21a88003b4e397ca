import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { SourceProblem } from './problem.js';

const MAX_BYTES = 4096;

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Reads `user:password`, or the user on the first line and the password on the second, from a file that is no one else's. */
export function readCredentials(path: string): Credentials {
  const text = readPrivate(path);
  const [first = '', second, ...others] = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const parts = second === undefined ? /^([^:]+):(.+)$/.exec(first)?.slice(1) : [first, second];
  const [user = '', password = ''] = parts ?? [];
  if (others.length > 0 || user === '' || password === '' || user.includes(':')) {
    throw new SourceProblem(
      `${path}: expected user:password on one line, or user and password on two; found something else`,
    );
  }
  return { user, password };
}

function readPrivate(path: string): string {
  let file: number;
  try {
    // Not blocking: a FIFO would hold up the process until someone writes to it.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    throw new SourceProblem(`${path} cannot be read (${code}): write the BMC's user:password into it, mode 0600`);
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile() || status.size > MAX_BYTES) {
      throw new SourceProblem(`${path}: expected a plain file of at most ${MAX_BYTES} bytes with user:password`);
    }
    if ((status.mode & 0o077) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
      throw new SourceProblem(`${path} holds a password but is open to others (mode ${mode}): run chmod 600 ${path}`);
    }
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}
