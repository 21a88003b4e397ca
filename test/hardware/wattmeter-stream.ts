/**
 * An emulated OmegaWatt box: a program that prints its 10 ms frames along a known waveform, so that the truth is known at
 * any instant. Give `command` to the source, or pipe the output of `spawn()` into a FIFO,
 * a file or a server.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { energyUj, type Waveform } from './waveform.mjs';

export interface WattmeterEmulation {
  readonly waveform: Waveform;
  /** CLOCK_MONOTONIC at which the waveform begins, ns. Default: a while ago. */
  readonly startNs?: number;
  /** Sockets of the box. Default 6. */
  readonly nb?: number;
  /** The socket that the waveform is in; the others draw 40 W. Default 2. */
  readonly channel?: number;
  /** Default 10. */
  readonly periodMs?: number;
  /** Lines are handed over this often. Default 50. */
  readonly bundleMs?: number;
  /** How far the box's clock is ahead of this host's. Default 0. */
  readonly skewS?: number;
  /** From and to when, in ms after its start, its frames are not good. */
  readonly bad?: readonly [number, number];
  /** When it ends by itself. Default: never. */
  readonly exitAfterMs?: number;
}

export interface EmulatedWattmeter {
  /** Prints its lines. */
  readonly command: readonly string[];
  /** Starts such a program; its lines are its standard output. */
  spawn(): ChildProcess;
  /** Joules really used between two instants of CLOCK_MONOTONIC (ns). */
  truthJ(fromMonoNs: number, toMonoNs: number): number;
}

export function emulateWattmeter(options: WattmeterEmulation): EmulatedWattmeter {
  const { startNs = Number(process.hrtime.bigint()) - 10e9 } = options;
  const { waveform, nb = 6, channel = 2, periodMs = 10, bundleMs = 50, skewS = 0, bad = [0, 0] } = options;
  const [badFrom, badTo] = bad;
  const { exitAfterMs = 0 } = options;
  const config = { waveform, nb, channel, periodMs, bundleMs, skewS, badFrom, badTo, exitAfterMs, startNs };
  const program = process.execPath;
  const args = [driver(), JSON.stringify(config)];
  return {
    command: [program, ...args],
    spawn: () => spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] }),
    truthJ: (fromMonoNs, toMonoNs) =>
      (energyUj(waveform, toMonoNs - startNs) - energyUj(waveform, fromMonoNs - startNs)) / 1e6,
  };
}

/** The driver's path, also for programs that run compiled, from dist/. */
function driver(): string {
  const places = [import.meta.dirname, join(import.meta.dirname, '..', '..', 'test', 'hardware')];
  const path = places.map((folder) => join(folder, 'wattmeter-driver.mjs')).find((file) => existsSync(file));
  if (path === undefined) throw new Error(`wattmeter-driver.mjs is in none of ${places.join(', ')}`);
  return path;
}
