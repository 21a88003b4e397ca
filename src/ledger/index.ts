/**
 * ledger/: the database: two engines behind one interface, the migrations, and every query of Wattle.
 * Energy is booked here once, in whole microjoules; grams are derived whenever they are asked for.
 * Must never: decide who may see what, store a gram, or change a joule after it is booked.
 */
export type { OpenDatabase } from './database.js';
export * from './intensities.js';
export * from './ledger.js';
export * from './open.js';
