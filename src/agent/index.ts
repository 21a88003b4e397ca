/**
 * agent/: one per compute node: job events and the sampler's ring in, attributed joules out to the controller.
 * Owns the rule `wattle-1`, the node's spools and nothing of the cluster.
 * Must never: start Node from a hook, lose a joule silently, or ask Slurm's controller anything.
 */
export { Agent, type AgentOptions } from './agent.js';
export { type JobGroup, SlurmCgroups, hostCpuSource } from './cgroups.js';
export { type Finding, checkAgent } from './check.js';
export { COUNTED_KINDS } from './snapshot.js';
