/** Batches that wait for the controller: one file each, oldest first, bounded in size. */
import { mkdir, readFile, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing, removeIfPresent, writeWhole } from './files.js';

const BATCH_NAME = /^\d{20}-\d{10}\.json$/;

/** Batches that the disk did not take are held in memory up to this number: some hours at the default rate. */
const MAX_HELD = 2000;

export interface BatchSpoolCounts {
  /** Batches and bytes that wait. */
  files: number;
  bytes: number;
  /** Batches that are in memory alone, because the disk takes none. */
  held: number;
  /** Batches given up because neither disk nor memory had room. */
  dropped: number;
}

export class BatchSpool {
  readonly #directory: string;
  readonly #maxBytes: number;
  /** Sizes by name, oldest first. */
  readonly #sizes = new Map<string, number>();
  /** Batches in memory alone, by the name that their file will have. */
  readonly #held = new Map<string, string>();
  #bytes = 0;
  #dropped = 0;
  #next = 0;

  constructor(directory: string, maxBytes: number) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
  }

  /** Makes the folder and takes stock of what an earlier agent left. */
  async open(): Promise<void> {
    await mkdir(join(this.#directory, 'refused'), { recursive: true, mode: 0o700 });
    for (const name of (await readdir(this.#directory)).sort()) {
      const path = join(this.#directory, name);
      // A crash between write and rename leaves a `.new`: its batch was never acknowledged to the booker.
      if (name.endsWith('.new')) await unlink(path);
      else if (BATCH_NAME.test(name)) this.#remember(name, (await stat(path)).size);
    }
  }

  get counts(): BatchSpoolCounts {
    return { files: this.#sizes.size, bytes: this.#bytes, held: this.#held.size, dropped: this.#dropped };
  }

  /**
   * Keeps serialised batches, with those that the disk did not take before.
   * @throws the file system's error; what could not be written is held in memory, and is sent from there.
   */
  async add(batches: readonly string[], nowMs: number): Promise<void> {
    for (const json of batches) this.#held.set(this.#newName(nowMs), json);
    try {
      for (const [name, json] of this.#held) {
        await writeWhole(join(this.#directory, name), json);
        // Sent from memory and acknowledged meanwhile.
        const acknowledged = !this.#held.delete(name);
        this.#remember(name, Buffer.byteLength(json));
        if (acknowledged) await this.#remove(name);
      }
    } finally {
      await this.#makeRoom();
    }
  }

  async #makeRoom(): Promise<void> {
    const newest = [...this.#sizes.keys()].at(-1);
    for (const oldest of this.#sizes.keys()) {
      if (this.#bytes <= this.#maxBytes || oldest === newest) break;
      await this.#remove(oldest);
      this.#dropped++;
    }
    for (const oldest of this.#held.keys()) {
      if (this.#held.size <= MAX_HELD) break;
      this.#held.delete(oldest);
      this.#dropped++;
    }
  }

  /** The oldest batch, null where none waits. */
  async oldest(): Promise<{ name: string; json: string } | null> {
    for (const name of this.#sizes.keys()) {
      try {
        return { name, json: await readFile(join(this.#directory, name), 'utf8') };
      } catch (error) {
        // Taken away by hand: it must not hold up the others.
        if (!isMissing(error)) throw error;
        this.#forget(name);
      }
    }
    for (const [name, json] of this.#held) return { name, json };
    return null;
  }

  /** The controller has it. */
  async acknowledge(name: string): Promise<void> {
    if (this.#held.delete(name)) return;
    await this.#remove(name);
  }

  /** The controller will never take it: kept apart for a person to look at. */
  async refuse(name: string): Promise<string> {
    const path = join(this.#directory, 'refused', name);
    const json = this.#held.get(name);
    if (json !== undefined) {
      this.#held.delete(name);
      await writeWhole(path, json);
      return path;
    }
    await rename(join(this.#directory, name), path);
    this.#forget(name);
    return path;
  }

  /** Never a name that is taken: after a step of the clock the time alone could be. */
  #newName(nowMs: number): string {
    const time = String(Math.floor(nowMs)).padStart(20, '0');
    for (;;) {
      const name = `${time}-${String(this.#next++).padStart(10, '0')}.json`;
      if (!this.#sizes.has(name) && !this.#held.has(name)) return name;
    }
  }

  #remember(name: string, bytes: number): void {
    this.#sizes.set(name, bytes);
    this.#bytes += bytes;
  }

  #forget(name: string): void {
    this.#bytes -= this.#sizes.get(name) ?? 0;
    this.#sizes.delete(name);
  }

  async #remove(name: string): Promise<void> {
    await removeIfPresent(join(this.#directory, name));
    this.#forget(name);
  }
}
