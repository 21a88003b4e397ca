/**
 * One process per directory, enforced by the kernel: flock(2) ends with its holder, so a crash leaves nothing stale
 * and a reused process number cannot be mistaken for the holder. The file's text only tells people who it is.
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { WattleError } from '../contract/index.js';
import { lockDescriptor } from './flock.js';

const LOCK_FILE = 'lock';

export interface DirectoryLock {
  release(): Promise<void>;
}

/**
 * Takes the directory (made where missing, mode 0700) for this process.
 * @param refusal code and remedy of the error
 * @throws WattleError with that code, naming the process that has it
 */
export async function lockDirectory(
  directory: string,
  refusal: { readonly code: string; readonly remedy: string },
): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, LOCK_FILE);
  // Opened for appending: a second process must not empty the file before it knows whether it may.
  const handle = await open(file, 'a+', 0o600);
  if (!lockDescriptor(handle.fd)) {
    const holder = await readHolder(handle);
    await handle.close();
    throw new WattleError(refusal.code, `${directory} is held by ${holder}`, refusal.remedy);
  }
  await handle.truncate(0);
  await handle.write(`${process.pid}\n`);
  // Closing lets go of the lock. The file stays: removing it would let two processes lock two files of one name.
  return { release: () => handle.close() };
}

async function readHolder(handle: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(32);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  const text = buffer.toString('latin1', 0, bytesRead).trim();
  return /^\d+$/.test(text) ? `process ${text}` : 'another process';
}
