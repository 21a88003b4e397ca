/** Where every tick is written to. */
import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { messageOf, WattleError } from '../../../contract/errors.js';
import type { Recording } from './options.js';

export interface Sink {
  /**
   * Resolves when there is room for more: ticks wait in the ring meanwhile. Returns what was not written because the
   * signal came first.
   */
  write(text: string, signal: AbortSignal): Promise<string>;
  /** Writes the rest. @throws {WattleError} `sample.output`, `sample.unread` where nobody reads it any more */
  end(text: string): Promise<void>;
}

/** @throws {WattleError} `sample.output` where the file cannot be made */
export async function openSink({ path }: Recording): Promise<Sink> {
  if (path === '-') return STDOUT;
  const refused = (cause: unknown): WattleError =>
    new WattleError('sample.output', `${path}: ${messageOf(cause)}`, 'Name a file that can be written, or - .', {
      cause,
    });
  let file: FileHandle;
  try {
    file = await open(path, 'w');
  } catch (error) {
    throw refused(error);
  }
  const write = async (text: string): Promise<string> => {
    try {
      await file.writeFile(text);
      return '';
    } catch (error) {
      throw refused(error);
    }
  };
  return {
    write,
    async end(text) {
      await write(text);
      await file.close();
    },
  };
}

/** A reader that takes not one piece in this time, when all is sampled, has stopped reading. */
const PATIENCE_MS = 3000;
const LOOK_MS = 10;
/** As much as a pipe holds, so that a piece that is taken shows that somebody reads. */
const PIECE = 64 * 1024;

const STDOUT: Sink = {
  write: (text, signal) => writePieces(text, () => signal),
  async end(text) {
    const patience = (): AbortSignal => AbortSignal.timeout(PATIENCE_MS);
    if ((await writePieces(text, patience)) !== '' || !(await emptyBefore(patience()))) throw unread();
  },
};

/** Returns what there was no room for before the signal. */
async function writePieces(text: string, signal: () => AbortSignal): Promise<string> {
  for (let at = 0; at < text.length; at += PIECE) {
    if (!(await roomBefore(signal()))) return text.slice(at);
    process.stdout.write(text.slice(at, at + PIECE));
  }
  return '';
}

/** Whether standard output takes more before the signal. */
async function roomBefore(signal: AbortSignal): Promise<boolean> {
  if (!process.stdout.writableNeedDrain) return true;
  try {
    await once(process.stdout, 'drain', { signal });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

/** Whether the last byte is out before the signal: less than what makes it ask for a pause would linger as well. */
async function emptyBefore(signal: AbortSignal): Promise<boolean> {
  while (process.stdout.writableLength > 0 && !signal.aborted) await setTimeout(LOOK_MS);
  return process.stdout.writableLength === 0;
}

function unread(): WattleError {
  return new WattleError(
    'sample.unread',
    `standard output: nobody has read it for ${PATIENCE_MS / 1000} s; the last ticks are not written`,
    'Let the reader take them as they come, or write them to a file.',
  );
}
