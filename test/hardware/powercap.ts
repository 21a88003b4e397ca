/**
 * Emulated hardware: a powercap tree whose counters a process of its own drives along known waveforms, so that the
 * truth is known to the microjoule at any instant. Give `root` to the sampler as `sysfs`.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { driveFiles, type DrivenFile } from './files.js';
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

/**
 * The files of the zones: top zones are numbered as they come, parts within their package.
 * @param root of the emulated sysfs
 * @param tree `intel-rapl` or `intel-rapl-mmio`
 */
export function powercapFiles(root: string, zones: readonly ZoneOptions[], tree = 'intel-rapl'): DrivenFile[] {
  const powercap = join(root, 'class', 'powercap');
  const tops = new Map<string, { number: number; parts: number }>();
  return zones.map((zone) => {
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
    const rangeUj = zone.rangeUj ?? INTEL_PACKAGE_RANGE_UJ;
    return {
      kind: 'counter',
      name: zone.name,
      path: join(powercap, folder, 'energy_uj'),
      waveform: zone.waveform,
      rangeUj,
      initialUj: (zone.initialUj ?? 0) % modulusUj(rangeUj),
      constants: { name: part ?? topName, max_energy_range_uj: rangeUj },
    };
  });
}

/** Builds the tree and starts driving it; resolves when every counter can be read. */
export async function startPowercapEmulator(options: PowercapOptions): Promise<PowercapEmulator> {
  const { root, zones, updateHz = 1000, mmioTwins = false } = options;
  mkdirSync(join(root, 'class', 'powercap'), { recursive: true });
  const startNs = Number(process.hrtime.bigint());
  const files = powercapFiles(root, zones);
  if (mmioTwins) {
    const again = powercapFiles(root, zones, 'intel-rapl-mmio');
    files.push(...again.map((file) => ({ ...file, name: `mmio ${file.name}` })));
  }
  const driver = await driveFiles({ startNs, updateHz, files });

  return {
    root,
    truthUj(name, fromMonoNs, toMonoNs) {
      const spec = zones.find((zone) => zone.name === name);
      if (spec === undefined) throw new Error(`no zone ${name}`);
      return energyUj(spec.waveform, toMonoNs - startNs) - energyUj(spec.waveform, fromMonoNs - startNs);
    },
    fault: (zone, fault) => driver.fault(zone, fault),
    stop: () => driver.stop(),
  };
}
