/**
 * slurm/: everything that talks to Slurm and its companions: commands and their parsers, MUNGE, host lists.
 * Knows Slurm's formats, and nothing of energy.
 * Must never: decide anything, parse output meant for people, or pass a string through a shell.
 */
export * from './hostlist.js';
export * from './munge.js';
export * from './sacct.js';
export * from './users.js';
