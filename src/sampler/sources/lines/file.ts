import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { isatty, ReadStream } from 'node:tty';
import { lockDescriptor } from '../../../system/index.js';
import { pause } from '../pause.js';
import { SourceProblem } from '../problem.js';
import type { LineFeed, LineOrigin } from './origin.js';
import { feedFrom } from './stream.js';

const LOOK_EVERY_MS = 100;
const CHUNK_BYTES = 64 * 1024;

/** Lines that are written to a FIFO, a serial line or a growing file. */
export function fileOrigin(path: string): LineOrigin {
  return async (feed, signal) => {
    const status = await stat(path).catch((error: unknown) => {
      throw unreadable(path, error);
    });
    if (status.isFile()) await follow(path, feed, signal);
    else await listen(path, feed, signal);
  };
}

/** A FIFO or a serial line: the descriptor wakes us. */
async function listen(path: string, feed: LineFeed, signal: AbortSignal): Promise<void> {
  // Held all the while: lines that come between two writers wait in the FIFO, and it stays locked.
  const held = openQuietly(path);
  try {
    const terminal = isatty(held);
    if (!terminal && !fstatSync(held).isFIFO())
      throw new SourceProblem(`${path} is no file, no FIFO and no serial line`);
    // Each line goes to one reader only: two of them would take it from each other.
    if (!lockDescriptor(held)) throw new SourceProblem(`${path} is in use by another process (the agent?)`);
    if (terminal) {
      await feedFrom(new ReadStream(openQuietly(path)), feed, signal);
      if (!signal.aborted) throw new SourceProblem(`${path}: its other end has gone`);
    } else {
      await listenToFifo(path, held, feed, signal);
    }
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    closeSync(held);
  }
}

/** Writers may come and go, `echo` once per line: each that opens the FIFO while we have it begins with a whole line. */
async function listenToFifo(path: string, held: number, feed: LineFeed, signal: AbortSignal): Promise<void> {
  if (hasNoWriter(held, feed)) feed.begins(`nobody writes to ${path}`);
  while (!signal.aborted) {
    // Ends when the last writer has closed it. One that is opened anew does not end before a writer has come.
    await feedFrom(new Socket({ fd: openQuietly(path), readable: true, writable: false }), feed, signal);
    feed.begins(`${path}: its writer has gone`);
  }
}

/** Whether it is empty and nobody has it open to write; what there is to read is handed on. */
function hasNoWriter(fd: number, feed: LineFeed): boolean {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  try {
    const count = readSync(fd, chunk);
    feed.data(chunk.subarray(0, count));
    return count === 0;
  } catch {
    // EAGAIN: a writer is there, and who knows for how long.
    return false;
  }
}

/** Not blocking: a FIFO without a writer would hold up a thread of the pool. Read only: nothing is sent to a meter. */
function openQuietly(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/**
 * A growing file: what was there before is old, but for its head, which names the columns. Ends where the file was cut
 * short or replaced by another.
 */
async function follow(path: string, feed: LineFeed, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const opened = await file.stat();
    const head = await file.read(chunk, 0, chunk.length, 0);
    feed.head(chunk.subarray(0, head.bytesRead));
    let position = opened.size;
    while (!signal.aborted) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      if (bytesRead > 0) {
        position += bytesRead;
        await pause(feed.data(chunk.subarray(0, bytesRead)), signal);
        continue;
      }
      await pause(LOOK_EVERY_MS, signal);
      if (!isSame(opened, await stat(path).catch(() => undefined), position)) {
        throw new SourceProblem(`${path} was cut short or replaced`);
      }
    }
  } finally {
    await file.close();
  }
}

function isSame(opened: Stats, now: Stats | undefined, position: number): boolean {
  return now?.ino === opened.ino && now.dev === opened.dev && now.size >= position;
}

function unreadable(path: string, error: unknown): SourceProblem {
  if (error instanceof SourceProblem) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'error';
  return new SourceProblem(`${path} cannot be read (${code}): let the agent's user read it`);
}
