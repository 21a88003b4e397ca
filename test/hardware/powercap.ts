/**
 * Emulated hardware: a powercap tree whose counters a process of its own drives along known waveforms, so that the
 * truth is known to the microjoule at any instant. Give `root` to the sampler as `sysfs`.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { energyUj, modulusUj, type Waveform } from './waveform.mjs';

export type { Waveform } from './waveform.mjs';

export type ZoneKind = 'package' | 'core' | 'uncore' | 'dram' | 'psys';

/**
 * `failed-read`: reads end in an error; `frozen`: the counter stands still while energy flows on; `garbage`: no number;
 * `vanished`: the zone's folder is gone; `reset`: the counter starts again from 0, once; `none`: heals the others.
 */
export type Fault = 'none' | 'failed-read' | 'frozen' | 'garbage' | 'vanished' | 'reset';

export interface ZoneOptions {
  /** As the sampler will name it: `package-0`, `psys`, or `package-0/dram` for a part of a package listed before. */
  readonly name: string;
  readonly kind: ZoneKind;
  readonly waveform: Waveform;
  /** Largest value of the counter. Default: 262143328850, an Intel package. */
  readonly rangeUj?: number;
  /** The counter's first value. Default 0. Just below rangeUj: the counter soon wraps. */
  readonly initialUj?: number;
}

export interface PowercapOptions {
  /** An empty folder; becomes the root of the emulated sysfs. */
  readonly root: string;
  readonly zones: readonly ZoneOptions[];
  /** Counter updates per second, at most 1000. Default 1000, as RAPL. */
  readonly updateHz?: number;
  /** Also show every zone a second time in the tree of memory-mapped registers, as some hosts do. */
  readonly mmioTwins?: boolean;
}

export interface PowercapEmulator {
  readonly root: string;
  /** Microjoules that the zone's hardware really used between two instants of CLOCK_MONOTONIC (ns), whatever its counter shows. */
  truthUj(zone: string, fromMonoNs: number, toMonoNs: number): number;
  /** Resolves when the fault has begun. It lasts until the next one, or `none`. */
  fault(zone: string, fault: Fault): Promise<void>;
  stop(): Promise<void>;
}

const INTEL_PACKAGE_RANGE_UJ = 262_143_328_850;

interface ZoneSpec {
  readonly name: string;
  readonly zoneName: string;
  readonly path: string;
  readonly waveform: Waveform;
  readonly rangeUj: number;
  readonly initialUj: number;
}

/** Where each zone lies: top zones are numbered as they come, parts within their package. */
function layOut(options: PowercapOptions, tree: string): ZoneSpec[] {
  const powercap = join(options.root, 'class', 'powercap');
  const tops = new Map<string, { number: number; parts: number }>();
  return options.zones.map((zone) => {
    const [topName = '', part] = zone.name.split('/');
    let folder: string;
    if (part === undefined) {
      const number = tops.size;
      tops.set(topName, { number, parts: 0 });
      folder = `${tree}:${number}`;
    } else {
      const top = tops.get(topName);
      if (top === undefined) throw new Error(`zone ${zone.name}: list ${topName} before its parts`);
      folder = `${tree}:${top.number}:${top.parts++}`;
    }
    return {
      name: zone.name,
      zoneName: part ?? topName,
      path: join(powercap, folder),
      waveform: zone.waveform,
      rangeUj: zone.rangeUj ?? INTEL_PACKAGE_RANGE_UJ,
      initialUj: (zone.initialUj ?? 0) % modulusUj(zone.rangeUj ?? INTEL_PACKAGE_RANGE_UJ),
    };
  });
}

/** Builds the tree and starts driving it; resolves when every counter can be read. */
export async function startPowercapEmulator(options: PowercapOptions): Promise<PowercapEmulator> {
  const specs = layOut(options, 'intel-rapl');
  const twins = options.mmioTwins === true ? layOut(options, 'intel-rapl-mmio') : [];
  mkdirSync(join(options.root, 'class', 'powercap'), { recursive: true });

  const startNs = Number(process.hrtime.bigint());
  const config = {
    startNs,
    updateHz: options.updateHz ?? 1000,
    zones: [...specs, ...twins.map((spec) => ({ ...spec, name: `mmio ${spec.name}` }))],
  };
  const child = fork(driver(), [JSON.stringify(config)], { execArgv: [] });
  const ask = conversation(child);
  await ask.ready;

  return {
    root: options.root,
    truthUj(name, fromMonoNs, toMonoNs) {
      const spec = specs.find((zone) => zone.name === name);
      if (spec === undefined) throw new Error(`no zone ${name}`);
      return energyUj(spec.waveform, toMonoNs - startNs) - energyUj(spec.waveform, fromMonoNs - startNs);
    },
    async fault(zone, fault) {
      await ask.send({ zone, fault });
    },
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
  const path = places.map((folder) => join(folder, 'powercap-driver.mjs')).find((file) => existsSync(file));
  if (path === undefined) throw new Error(`powercap-driver.mjs is in none of ${places.join(', ')}`);
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
      reject(new Error(`the powercap emulator ended with ${code ?? 'a signal'}`));
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
