/**
 * Emulated NVIDIA GPUs: a `libnvidia-ml.so.1` of our own whose energy counter and powers follow a known waveform. Give
 * `library` to the meter `nvml`. Answers are functions of CLOCK_MONOTONIC, so nothing has to drive them.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { energyUj, type Waveform } from './waveform.mjs';

export interface MigInstance {
  /** `MIG-...` */
  readonly uuid: string;
  readonly gpuInstance: number;
  readonly computeInstance: number;
  readonly slices: number;
  readonly memoryMib: number;
  readonly usedMib: number;
}

export interface NvmlGpu {
  /** `GPU-...` */
  readonly uuid: string;
  readonly waveform: Waveform;
  readonly name?: string;
  readonly busId?: string;
  /** How often the energy counter moves. Default 100 ms; 0: the GPU has no counter. */
  readonly counterMs?: number;
  readonly initialMj?: number;
  /** Whether the power fields are there. Default true. */
  readonly instant?: boolean;
  readonly average?: boolean;
  readonly busyPercent?: number;
  readonly memoryMib?: number;
  readonly usedMib?: number;
  readonly limitWatts?: number;
  readonly processes?: readonly number[];
  /** Given: MIG is on. */
  readonly instances?: readonly MigInstance[];
}

/**
 * `lost`: every call says so; `stalled`: the counter stands still; `backwards`: it falls by 4 kJ, once; `reset`: it
 * begins again from 0, once; `garbage`: powers of 2^32 - 1 mW; `slow`: every call takes 2 s; `none`: heals the others.
 */
export type NvmlFault = 'none' | 'lost' | 'stalled' | 'backwards' | 'reset' | 'garbage' | 'slow';

export interface NvmlEmulator {
  /** Path of the library. */
  readonly library: string;
  /** Microjoules that the GPU really used between two instants of CLOCK_MONOTONIC (ns), whatever it shows. */
  truthUj(uuid: string, fromMonoNs: number, toMonoNs: number): number;
  fault(uuid: string, fault: NvmlFault): void;
  /** The driver is unloaded: every call fails until loadDriver(), and NVML has to be opened anew. */
  unloadDriver(): void;
  /** The driver is back, and every counter begins again from 0. */
  loadDriver(): void;
}

const DRIVER_NOT_LOADED = 9;
const GPU_IS_LOST = 15;
/** Before the emulator's start, so that the means over a second have one to look back to. */
const HEAD_START_NS = 2e9;

const root = join(import.meta.dirname, '..', '..');
const modified = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const monotonicNs = (): number => Number(process.hrtime.bigint());

/** Builds the library if its sources are newer; needs g++. Returns its path. */
export async function buildNvmlLibrary(): Promise<string> {
  const folder = join(root, 'build', 'nvml-emulator');
  const built = join(folder, 'libnvidia-ml.so.1');
  const sources = join(root, 'test', 'hardware', 'nvml');
  const inputs = [join(root, 'native', 'meters', 'nvml_api.h')].concat(
    readdirSync(sources).map((file) => join(sources, file)),
  );
  if (inputs.every((input) => modified(input) < modified(built))) return built;
  mkdirSync(folder, { recursive: true });
  const fresh = `${built}.${process.pid}`;
  const units = inputs.filter((input) => input.endsWith('.cc'));
  const flags = ['-std=c++20', '-O1', '-fPIC', '-shared', '-fvisibility=hidden', '-Wall', '-Wextra', '-Wshadow'];
  await promisify(execFile)('g++', [...flags, `-I${join(root, 'native')}`, ...units, '-o', fresh]);
  // Whole at once: another test's process may be about to copy it.
  renameSync(fresh, built);
  return built;
}

/**
 * @param options.folder an empty folder, for the library and what it shows
 * @param options.startNs CLOCK_MONOTONIC at which every waveform begins; default: a while ago
 */
export async function startNvmlEmulator(options: {
  readonly folder: string;
  readonly gpus: readonly NvmlGpu[];
  readonly startNs?: number;
}): Promise<NvmlEmulator> {
  const { folder, gpus, startNs = monotonicNs() - HEAD_START_NS } = options;
  const library = join(folder, 'libnvidia-ml.so.1');
  copyFileSync(await buildNvmlLibrary(), library);
  const faults = new Map(gpus.map(({ uuid }) => [uuid, new Map<string, number>()]));
  let epoch = 0;
  let initCode = 0;

  const write = (): void => {
    const lines = [
      `start_ns ${startNs}`,
      `epoch ${epoch}`,
      `init ${initCode}`,
      ...gpus.flatMap((gpu, index) => [
        ...linesOf(gpu, index),
        ...[...(faults.get(gpu.uuid) ?? [])].map(([key, value]) => `${key} ${value}`),
      ]),
    ];
    writeFileSync(join(folder, 'scenario.new'), `${lines.join('\n')}\n`);
    renameSync(join(folder, 'scenario.new'), join(folder, 'scenario'));
  };
  write();

  const faultsOf = (uuid: string): Map<string, number> => {
    const found = faults.get(uuid);
    if (found === undefined) throw new Error(`no GPU ${uuid}`);
    return found;
  };
  return {
    library,
    truthUj(uuid, fromMonoNs, toMonoNs) {
      const gpu = gpus.find((one) => one.uuid === uuid);
      if (gpu === undefined) throw new Error(`no GPU ${uuid}`);
      return energyUj(gpu.waveform, toMonoNs - startNs) - energyUj(gpu.waveform, fromMonoNs - startNs);
    },
    fault(uuid, fault) {
      const lasting = faultsOf(uuid);
      for (const key of ['lost', 'stalled_at_ns', 'garbage', 'hang_ns']) lasting.delete(key);
      if (fault === 'lost') lasting.set('lost', GPU_IS_LOST);
      if (fault === 'stalled') lasting.set('stalled_at_ns', monotonicNs());
      if (fault === 'backwards') lasting.set('backwards_at_ns', monotonicNs());
      if (fault === 'reset') lasting.set('reset_at_ns', monotonicNs());
      if (fault === 'garbage') lasting.set('garbage', 1);
      if (fault === 'slow') lasting.set('hang_ns', 2e9);
      write();
    },
    unloadDriver() {
      epoch++;
      initCode = DRIVER_NOT_LOADED;
      write();
    },
    loadDriver() {
      for (const lasting of faults.values()) lasting.set('reset_at_ns', monotonicNs());
      initCode = 0;
      write();
    },
  };
}

function linesOf(gpu: NvmlGpu, index: number): string[] {
  const { instances = [], processes = [] } = gpu;
  return [
    `gpu ${gpu.uuid}`,
    `bus ${gpu.busId ?? `00000000:${(0x3b + index).toString(16).toUpperCase()}:00.0`}`,
    `name ${gpu.name ?? 'NVIDIA H100 80GB HBM3'}`,
    `waveform ${waveformWords(gpu.waveform)}`,
    `counter_ns ${(gpu.counterMs ?? 100) * 1e6}`,
    `initial_mj ${gpu.initialMj ?? 1_000_000}`,
    `instant ${gpu.instant === false ? 0 : 1}`,
    `average ${gpu.average === false ? 0 : 1}`,
    `mig ${instances.length > 0 ? 1 : 0}`,
    `busy_percent ${gpu.busyPercent ?? 0}`,
    `memory_mib ${gpu.memoryMib ?? 81_559} ${gpu.usedMib ?? 0}`,
    `limit_w ${gpu.limitWatts ?? 700}`,
    ...processes.map((pid) => `process ${pid}`),
    ...instances.map((one) =>
      ['instance', one.uuid, one.gpuInstance, one.computeInstance, one.slices, one.memoryMib, one.usedMib].join(' '),
    ),
  ];
}

function waveformWords(waveform: Waveform): string {
  switch (waveform.shape) {
    case 'constant':
      return `constant ${waveform.watts}`;
    case 'random':
      return `random ${waveform.lowWatts} ${waveform.highWatts} ${waveform.seed ?? 1}`;
    case 'square':
    case 'ramp':
      return `${waveform.shape} ${waveform.lowWatts} ${waveform.highWatts} ${waveform.periodS}`;
  }
}
