import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach } from '@jest/globals';
import type { Source, SourceReading } from '../../../src/sampler/sources/index.js';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Runs after the test, the last first. */
export function afterTest(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wattle-source-'));
  afterTest(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Waits until something holds; a loaded machine gets its time. */
export async function until(what: string, holds: () => boolean, withinMs = 20_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(10);
  }
}

/** A source that runs, and what it has reported. */
export class Run {
  readonly readings: SourceReading[] = [];
  /** Every problem that was seen while waiting. */
  readonly problems = new Set<string>();
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
    source.start((reading) => this.readings.push(reading));
    afterTest(() => source.stop());
  }

  get problem(): string | null {
    return this.#source.problem;
  }

  async stop(): Promise<void> {
    await this.#source.stop();
  }

  async count(atLeast: number): Promise<void> {
    await until(`${atLeast} readings, problem: ${this.problem ?? 'none'}`, () => this.readings.length >= atLeast);
  }

  /** Waits for a problem that says so. */
  async trouble(pattern: RegExp): Promise<string> {
    await until(`a problem like ${String(pattern)}, not ${this.problem ?? 'none'}`, () =>
      pattern.test(this.problem ?? ''),
    );
    return this.problem ?? '';
  }

  /** Joules between the first and the last reading, as the native meter makes them of power: by trapezoids. */
  joules(): number {
    return this.readings.reduce((sum, { value, monoNs }, index) => {
      const before = this.readings[index - 1];
      return before === undefined ? 0 : sum + (((before.value + value) / 2) * (monoNs - before.monoNs)) / 1e9;
    }, 0);
  }

  get firstNs(): number {
    return this.readings[0]?.monoNs ?? Number.NaN;
  }

  get lastNs(): number {
    return this.readings.at(-1)?.monoNs ?? Number.NaN;
  }
}
