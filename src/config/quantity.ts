/** Durations and sizes as people write them: a number and its unit, nothing between. */
import { closest } from 'fastest-levenshtein';

const MS_PER = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES_PER = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;

/** What people write for a unit, so that a refusal can name the right one. */
const DURATION_HABITS: Readonly<Record<string, keyof typeof MS_PER>> = {
  msec: 'ms',
  millis: 'ms',
  milliseconds: 'ms',
  sec: 's',
  secs: 's',
  second: 's',
  seconds: 's',
  m: 'min',
  mins: 'min',
  minute: 'min',
  minutes: 'min',
  hr: 'h',
  hrs: 'h',
  hour: 'h',
  hours: 'h',
  day: 'd',
  days: 'd',
};
const SIZE_HABITS: Readonly<Record<string, keyof typeof BYTES_PER>> = {
  b: 'B',
  bytes: 'B',
  k: 'KiB',
  kb: 'KiB',
  kib: 'KiB',
  m: 'MiB',
  mb: 'MiB',
  mib: 'MiB',
  g: 'GiB',
  gb: 'GiB',
  gib: 'GiB',
  t: 'TiB',
  tb: 'TiB',
  tib: 'TiB',
};

/** A number with its unit turned into the base unit, or the text that was probably meant. */
export type QuantityReading = { readonly value: number } | { readonly nearest: string };

/** Milliseconds of `500ms`, `10s`, `5min`, `24h` or `7d`. */
export const readDuration = (text: string): QuantityReading => read(text, MS_PER, DURATION_HABITS, 's');

/** Bytes of `512B`, `64KiB`, `64MiB`, `1GiB` or `1TiB`. */
export const readSize = (text: string): QuantityReading => read(text, BYTES_PER, SIZE_HABITS, 'MiB');

function read(
  text: string,
  units: Readonly<Record<string, number>>,
  habits: Readonly<Record<string, string>>,
  usualUnit: string,
): QuantityReading {
  const [, number, unit] = /^(\d{1,12}(?:\.\d{1,9})?)([A-Za-z]+)$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : units[unit];
  if (number !== undefined && factor !== undefined) return { value: Math.round(Number(number) * factor) };

  const [, someNumber = '10', someUnit = ''] = /(\d[\d.]*)\s*([A-Za-z]*)/.exec(text) ?? [];
  return { nearest: someNumber + nearestUnit(someUnit, units, habits, usualUnit) };
}

function nearestUnit(
  written: string,
  units: Readonly<Record<string, number>>,
  habits: Readonly<Record<string, string>>,
  usualUnit: string,
): string {
  if (written === '') return usualUnit;
  if (written in units) return written;
  const habit = closest(written.toLowerCase(), [...Object.keys(habits), ...Object.keys(units)]);
  return habits[habit] ?? habit;
}
