/**
 * carbon/: carbon intensity of electricity: the shipped yearly table, and the shape of whoever knows better.
 * Gives facts (zone, source, kind, basis, time) to the ledger, which derives footprints from them.
 * Must never: mix average with marginal or direct with life-cycle, or store a footprint.
 */
export * from './provider.js';
export * from './yearly-average.js';
export * from './zones.js';
