import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { isatty, ReadStream } from 'node:tty';
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
  let fd: number;
  try {
    // Not blocking: a FIFO without a writer would hold up a thread of the pool. Read only: nothing is sent to a meter.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw unreadable(path, error);
  }
  const terminal = isatty(fd);
  if (!terminal && !fstatSync(fd).isFIFO()) {
    closeSync(fd);
    throw new SourceProblem(`${path} is no file, no FIFO and no serial line`);
  }
  const stream = terminal ? new ReadStream(fd) : new Socket({ fd, readable: true, writable: false });
  try {
    await feedFrom(stream, feed, signal);
  } catch (error) {
    throw unreadable(path, error);
  }
  if (!signal.aborted) throw new SourceProblem(`${path}: its writer has gone`);
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
