/**
 * sampler/: the typed face of the native power sampler, and the only importer of the .node file.
 * It starts and stops the sampling thread and reads its ring in place, without copying a sample.
 * Must never: attribute energy to anyone, know of jobs, or smooth over a gap.
 */
export { monotonicNs, probeMeters } from './probe.js';
export type { MeterProbe } from './probe.js';
export { Sampler } from './sampler.js';
export type { CpuSource, Domain, MeterOptions, SamplerOptions, TickView } from './types.js';
