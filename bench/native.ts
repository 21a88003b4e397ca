/** What the benchmarks of the sampler share: C programs to compare with, and a two-socket node to read. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { startPowercapEmulator, type ZoneOptions } from '../test/hardware/powercap.js';

const run = promisify(execFile);
const FOLDER = 'build/bench-native';

/** A short run that shows that a benchmark works, not what it measures. */
export const QUICK = process.env['WATTLE_BENCH_QUICK'] === '1';
export const longOrQuick = (long: number, quick: number): number => (QUICK ? quick : long);

/** Compiles `bench/NAME` where it has changed; returns the program. C++ is linked with the sampler's core. */
export async function compiled(source: string): Promise<string> {
  const program = join(FOLDER, basename(source).replace(/\.cc?$/, ''));
  const cxx = source.endsWith('.cc');
  const sources = [join('bench', source), ...(cxx ? coreSources() : [])];
  const newest = Math.max(...sources.map((path) => statSync(path).mtimeMs));
  if (existsSync(program) && statSync(program).mtimeMs > newest) return program;
  mkdirSync(FOLDER, { recursive: true });
  const cxxFlags = ['-std=c++20', '-O3', '-g', '-fno-exceptions', '-Inative', '-pthread'];
  const flags = cxx ? cxxFlags : ['-std=gnu11', '-O2'];
  await run(cxx ? 'g++' : 'gcc', [...flags, ...sources, '-ldl', '-o', program]);
  return program;
}

function coreSources(): string[] {
  const lines = readFileSync('native/sources.txt', 'utf8').split('\n');
  return lines.flatMap((line) => /^(?:core|machine) (\S+)$/.exec(line)?.[1] ?? []);
}

export interface PlainRun {
  readonly ticks: number;
  readonly cpuNs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Ticks that began a whole period late or later. */
  readonly overdue: number;
}

/** bench/plain_loop.c over counters named as it names them. */
export async function plainLoop(
  rateHz: number,
  seconds: number,
  sources: readonly string[],
  mode: 'cost' | 'lateness' | 'realtime' = 'cost',
): Promise<PlainRun> {
  const args = [String(rateHz), String(seconds), mode, ...sources];
  const { stdout } = await run(await compiled('plain_loop.c'), args);
  return JSON.parse(stdout) as PlainRun;
}

export interface EmulatedNode {
  readonly sysfs: string;
  /** The counters' files, in the order of the zones. */
  readonly counters: readonly string[];
  stop(): Promise<void>;
}

/**
 * Sockets with a package, cores, uncore and memory each: powercap counters in memory that move at 1 kHz as real ones do,
 * or as often as told. 0: they stand still, for whoever moves them.
 */
export async function emulatedNode({ sockets = 2, updateHz = 1000 } = {}): Promise<EmulatedNode> {
  const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'wattle-bench-'));
  const zones = Array.from({ length: sockets }, (_, socket) => {
    const zone = (kind: ZoneOptions['kind'], part: string, watts: number): ZoneOptions => ({
      name: `package-${socket}${part}`,
      kind,
      waveform: { shape: 'constant', watts },
    });
    return [
      zone('package', '', 150),
      zone('core', '/core', 100),
      zone('uncore', '/uncore', 20),
      zone('dram', '/dram', 30),
    ];
  }).flat();
  const emulator = await startPowercapEmulator({ root, zones, updateHz: Math.max(1, updateHz) });
  if (updateHz === 0) await emulator.stop();
  const tree = join(root, 'class', 'powercap');
  return {
    sysfs: root,
    counters: Array.from({ length: sockets }, (_, socket) =>
      ['', ':0', ':1', ':2'].map((part) => join(tree, `intel-rapl:${socket}${part}`, 'energy_uj')),
    ).flat(),
    async stop() {
      await emulator.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
