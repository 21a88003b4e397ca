/**
 * controller/: one per cluster: takes batches from agents, asks Slurm for job facts, answers users.
 * Decides who may report and who may see what; what it needs of the ledger it states in ports.ts.
 * Must never: do arithmetic on energy, write SQL, or let a slow Slurm or a slow client hold up a batch.
 */
export * from './ports.js';
export { Controller, type ControllerOptions, type ReloadableOptions } from './service.js';
