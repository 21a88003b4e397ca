/** What a GPU does besides drawing power, one line each. Pure. */
import type { GpuInstance, GpuStatus } from '../../sampler/index.js';
import { printable } from '../printable.js';

const GIB = 1024 ** 3;

/** The GPU, then its MIG instances, indented. */
export function gpuLines(gpu: GpuStatus): string[] {
  const { uuid, name, lost, busyRatio, memoryUsedBytes, memoryBytes, powerLimitWatts, mig, instances } = gpu;
  const title = `${printable(uuid)}  ${printable(name)}`;
  if (lost) return [`${title}: LOST, it does not answer any more`];
  const facts = [
    busy(busyRatio),
    memory(memoryUsedBytes, memoryBytes),
    ...(powerLimitWatts > 0 ? [`limit ${Math.round(powerLimitWatts)} W`] : []),
    ...(mig ? [`MIG, ${instances.length} instances`] : []),
  ];
  return [`${title}: ${facts.join(', ')}`, ...instances.map((instance) => `  ${instanceLine(instance)}`)];
}

function instanceLine({ uuid, slices, busyRatio, memoryUsedBytes, memoryBytes }: GpuInstance): string {
  return `${printable(uuid)}: ${slices} slices, ${busy(busyRatio)}, ${memory(memoryUsedBytes, memoryBytes)}`;
}

const busy = (ratio: number | null): string =>
  ratio === null ? 'busy share not told' : `busy ${Math.round(ratio * 100)} %`;

const memory = (used: number, all: number): string => `${(used / GIB).toFixed(1)} of ${(all / GIB).toFixed(1)} GiB`;
