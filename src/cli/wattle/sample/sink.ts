/** Where every tick is written to. */
import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { messageOf, WattleError } from '../../../contract/errors.js';
import type { Recording } from './options.js';

export interface Sink {
  /** Resolves when there is room for more: ticks wait in the ring meanwhile. */
  write(text: string): Promise<void>;
  close(): Promise<void>;
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
  return {
    async write(text) {
      try {
        await file.writeFile(text);
      } catch (error) {
        throw refused(error);
      }
    },
    close: () => file.close(),
  };
}

const STDOUT: Sink = {
  async write(text) {
    if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain');
  },
  close: () => Promise.resolve(),
};
