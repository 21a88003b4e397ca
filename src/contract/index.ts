/**
 * contract/: the words, units and shapes that rooms hand to each other.
 * Every room may import it; it imports no room, does no I/O and keeps no state.
 * Must never: grow logic that belongs to one room.
 */
export * from './api.js';
export * from './errors.js';
export * from './units.js';
export * from './vocabulary.js';
export * from './wire.js';
