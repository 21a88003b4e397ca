/** What a GPU does besides drawing power, one line each. Pure. */
import type { GpuInstance, GpuStatus } from '../../sampler/index.js';
import { printable } from '../printable.js';

const GIB = 1024 ** 3;

/** The GPU, then its MIG instances, indented. */
export const gpuLines = (gpu: GpuStatus): string[] => lines(gpu, `${printable(gpu.uuid)}  ${printable(gpu.name)}`);

/** The same for where there is little room, with the name that the GPU's domain has. */
export const shortGpuLines = (gpu: GpuStatus): string[] =>
  lines(gpu, printable(gpu.uuid.replace(/^GPU-(.{8}).*$/, 'gpu-$1')));

function lines(gpu: GpuStatus, title: string): string[] {
  const { lost, busyRatio, memoryUsedBytes, memoryBytes, powerLimitWatts, mig, instances } = gpu;
  if (lost) return [`${title}: LOST, it does not answer any more`];
  const facts = [
    busy(busyRatio),
    memory(memoryUsedBytes, memoryBytes),
    ...(powerLimitWatts > 0 ? [`limit ${Math.round(powerLimitWatts)} W`] : []),
    ...(mig ? [`MIG instances: ${instances.length}`] : []),
  ];
  return [`${title}: ${facts.join(', ')}`, ...instances.map((instance) => `  ${instanceLine(instance)}`)];
}

function instanceLine({ uuid, slices, busyRatio, memoryUsedBytes, memoryBytes }: GpuInstance): string {
  return `${printable(uuid)}: ${slices} slices, ${busy(busyRatio)}, ${memory(memoryUsedBytes, memoryBytes)}`;
}

const busy = (ratio: number | null): string =>
  ratio === null ? 'busy share not told' : `busy ${Math.round(ratio * 100)} %`;

const memory = (used: number, all: number): string => `${(used / GIB).toFixed(1)} of ${(all / GIB).toFixed(1)} GiB`;
