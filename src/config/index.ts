/**
 * config/: the one configuration file of a cluster: its schema, its loader and the reference page made from the schema.
 * Reads that file and nothing else; all that is wrong with it is told at once, with line and remedy.
 * Must never: let an unknown key pass, show a password, or know what another room does with a value.
 */
export * from './address.js';
export { loadConfig, parseConfig } from './load.js';
export { ConfigError, type ConfigProblem } from './problem.js';
export type { KeyPath } from './positions.js';
export { redact, redactUrl } from './redact.js';
export * from './types.js';
