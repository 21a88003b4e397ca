/**
 * demo/cluster: a real Slurm cluster on this machine, in one temporary folder, with Wattle on top of it.
 * The demo shows it, test/cluster tests against it. Everything it starts, it stops; what a killed run left, the next removes.
 * Must never: touch the system's own Slurm, MUNGE or MariaDB, or end a process that it did not start.
 */
export { Cluster, startCluster } from './cluster.js';
export { removeStaleClusters, stopKeptClusters } from './folder.js';
export { repositoryRoot } from './programs.js';
export { sleep, until } from './waiting.js';
