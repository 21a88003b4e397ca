/** Counters that are files, driven along known waveforms by a process of its own: what file-driver.mjs takes. */
import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Waveform } from './waveform.mjs';

export type FileFault = 'none' | 'failed-read' | 'frozen' | 'garbage' | 'vanished' | 'reset' | 'torn';

export type DrivenFile =
  | {
      readonly kind: 'counter';
      readonly name: string;
      readonly path: string;
      readonly waveform: Waveform;
      readonly initialUj: number;
      /** Largest value, after which it begins again. Absent: it never does. */
      readonly rangeUj?: number;
      /** Files beside it that never change. */
      readonly constants: Readonly<Record<string, string | number>>;
    }
  | {
      readonly kind: 'pm-counters';
      readonly name: string;
      readonly path: string;
      /** The waveforms that each file adds up. */
      readonly energies: Readonly<Record<string, readonly Waveform[]>>;
    };

export interface FileDriver {
  /** Resolves when the fault has begun. */
  fault(name: string, fault: FileFault): Promise<void>;
  stop(): Promise<void>;
}

/** Resolves when every file can be read. `startNs`: CLOCK_MONOTONIC at which all waveforms begin. */
export async function driveFiles(config: {
  readonly startNs: number;
  readonly updateHz: number;
  readonly files: readonly DrivenFile[];
}): Promise<FileDriver> {
  const child = fork(driver(), [JSON.stringify(config)], { execArgv: [] });
  const ask = conversation(child);
  await ask.ready;
  return {
    fault: (name, fault) => ask.send({ name, fault }),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      await ended;
    },
  };
}

/** The driver's file: beside this one, or in the repository where this one is part of a bundle in build/. */
function driver(): string {
  const places = [import.meta.dirname, join(import.meta.dirname, '..', '..', 'test', 'hardware')];
  const path = places.map((folder) => join(folder, 'file-driver.mjs')).find((file) => existsSync(file));
  if (path === undefined) throw new Error(`file-driver.mjs is in none of ${places.join(', ')}`);
  return path;
}

/** Requests to the driver, each with its answer. An early end of the driver fails them all. */
function conversation(child: ChildProcess): { ready: Promise<void>; send(message: object): Promise<void> } {
  const waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  let lastId = 0;
  const expectAnswer = (id: number) =>
    new Promise<void>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
    });
  child.on('message', ({ id }: { id: number }) => {
    waiting.get(id)?.resolve();
    waiting.delete(id);
  });
  child.on('exit', (code) => {
    for (const { reject } of waiting.values())
      reject(new Error(`the emulator of files ended with ${code ?? 'a signal'}`));
    waiting.clear();
  });
  const ready = expectAnswer(0);
  return {
    ready,
    send(message) {
      const id = ++lastId;
      const answer = expectAnswer(id);
      child.send({ id, ...message });
      return answer;
    },
  };
}
