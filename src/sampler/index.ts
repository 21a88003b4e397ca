/**
 * sampler/: the typed face of the native power sampler, and the only importer of the .node file.
 * It lays out the node's one domain tree, runs the sampling thread and reads its ring in place, without copying a sample.
 * Must never: attribute energy to anyone, know of jobs, or smooth over a gap.
 */
export { coverage, disagreement, meanWatts, witnessName } from './power.js';
export { dropPrivileges } from './privileges.js';
export type { Capability } from './privileges.js';
export { monotonicNs, offersOf, probeMeters } from './probe.js';
export type { MeterProbe } from './probe.js';
export { Sampler } from './sampler.js';
export { buildTree } from './tree.js';
export type { Offer, Tree } from './tree.js';
export type {
  CpuSource,
  Domain,
  DomainHealth,
  DomainReading,
  GpuInstance,
  GpuStatus,
  Latest,
  MeterKind,
  MeterOptions,
  SamplerOptions,
  SamplerStats,
  TickView,
} from './types.js';
