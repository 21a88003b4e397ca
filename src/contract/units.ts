/**
 * Branded number types: a unit is part of the type, so joules cannot be added to grams.
 * The brands cost nothing at run time; make a value with the function of the same name.
 */
declare const unit: unique symbol;
/** An interface, as declaration files can name it where they cannot name the symbol. */
export interface Brand<Name extends string> {
  readonly [unit]: Name;
}
type Unit<Name extends string> = number & Brand<Name>;

/** Energy in microjoules, always a whole number (exact up to 2^53 uJ = 9 GJ). */
export type Microjoules = Unit<'uJ'>;
/** Power in watts. */
export type Watts = Unit<'W'>;
/** Mass of CO2-equivalent in grams. */
export type GramsCo2e = Unit<'gCO2e'>;
/** Wall-clock time, milliseconds since 1970-01-01T00:00Z. */
export type EpochMs = Unit<'epoch ms'>;
/** A span of time in milliseconds. */
export type DurationMs = Unit<'ms'>;

export const microjoules = (value: number): Microjoules => value as Microjoules;
export const watts = (value: number): Watts => value as Watts;
export const gramsCo2e = (value: number): GramsCo2e => value as GramsCo2e;
export const epochMs = (value: number): EpochMs => value as EpochMs;
export const durationMs = (value: number): DurationMs => value as DurationMs;

export const MICROJOULES_PER_JOULE = 1e6;
/** 1 kWh = 1000 W x 3600 s = 3.6e6 J. */
export const JOULES_PER_KWH = 3.6e6;
