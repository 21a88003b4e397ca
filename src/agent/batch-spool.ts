/** Batches that wait for the controller: one file each, oldest first, bounded in size. */
import { mkdir, readFile, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from './files.js';

const BATCH_NAME = /^\d{20}-\d{10}\.json$/;

export interface BatchSpoolCounts {
  /** Batches and bytes that wait. */
  files: number;
  bytes: number;
  /** Batches given up because the spool was full. */
  dropped: number;
}

export class BatchSpool {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #sizes = new Map<string, number>();
  #dropped = 0;
  #next = 0;

  constructor(directory: string, maxBytes: number) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
  }

  /** Makes the folder and takes stock of what an earlier agent left. */
  async open(): Promise<void> {
    await mkdir(join(this.#directory, 'refused'), { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      // A crash between write and rename leaves a `.new`: its batch was never acknowledged to the booker.
      if (name.endsWith('.new')) await unlink(path);
      else if (BATCH_NAME.test(name)) this.#sizes.set(name, (await stat(path)).size);
    }
  }

  get counts(): BatchSpoolCounts {
    const bytes = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
    return { files: this.#sizes.size, bytes, dropped: this.#dropped };
  }

  /** Keeps a serialised batch. @throws the file system's error; the caller still holds the batch then. */
  async add(json: string, nowMs: number): Promise<void> {
    const name = this.#newName(nowMs);
    await writeWhole(join(this.#directory, name), json);
    this.#sizes.set(name, Buffer.byteLength(json));
    while (this.counts.bytes > this.#maxBytes && this.#sizes.size > 1) {
      const oldest = this.#names()[0];
      if (oldest === undefined) break;
      await this.#forget(oldest);
      this.#dropped++;
    }
  }

  /** The oldest batch, null where none waits. */
  async oldest(): Promise<{ name: string; json: string } | null> {
    const name = this.#names()[0];
    return name === undefined ? null : { name, json: await readFile(join(this.#directory, name), 'utf8') };
  }

  /** The controller has it. */
  async acknowledge(name: string): Promise<void> {
    await this.#forget(name);
  }

  /** The controller will never take it: kept apart for a person to look at. */
  async refuse(name: string): Promise<string> {
    const path = join(this.#directory, 'refused', name);
    await rename(join(this.#directory, name), path);
    this.#sizes.delete(name);
    return path;
  }

  /** Never a name that is taken: after a step of the clock the time alone could be. */
  #newName(nowMs: number): string {
    const time = String(Math.floor(nowMs)).padStart(20, '0');
    for (;;) {
      const name = `${time}-${String(this.#next++).padStart(10, '0')}.json`;
      if (!this.#sizes.has(name)) return name;
    }
  }

  #names(): string[] {
    return [...this.#sizes.keys()].sort();
  }

  async #forget(name: string): Promise<void> {
    await unlink(join(this.#directory, name)).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
    this.#sizes.delete(name);
  }
}
