import { numberOf } from './format.js';

/** 2001 and 2100: what lies outside is no time of a reading. */
const EARLIEST_MS = 978_307_200_000;
const LATEST_MS = 4_102_444_800_000;
/** Seconds since 1970 are below, milliseconds above. */
const MS_FROM = 1e11;

/**
 * Milliseconds since 1970 of seconds or milliseconds since then, `2026-11-27 10:15:30.5`, the same with `T`, `/` or a zone
 * (`Z`, `+01:00`), or `27/11/2026 10:15:30`. Without a zone it is this host's local time. Null for anything else.
 */
export function wallTimeMs(text: string): number | null {
  const number = numberOf(text);
  if (number !== null) return plausible(Math.abs(number) < MS_FROM ? number * 1000 : number);
  const parts = /^(\d{4})[-/](\d\d)[-/](\d\d)[ T](\d\d):(\d\d):(\d\d)([.,]\d{1,9})?(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  if (parts !== null) {
    const [, year = '', month = '', day = '', hour = '', minute = '', second = '', fraction = '', zone] = parts;
    return made([year, month, day, hour, minute, second].map(Number), fraction, zone);
  }
  const european = /^(\d\d)[/.](\d\d)[/.](\d{4})[ T](\d\d):(\d\d):(\d\d)([.,]\d{1,9})?$/.exec(text);
  if (european === null) return null;
  const [, day = '', month = '', year = '', hour = '', minute = '', second = '', fraction = ''] = european;
  return made([year, month, day, hour, minute, second].map(Number), fraction, undefined);
}

function made(fields: readonly number[], fraction: string, zone: string | undefined): number | null {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return null;
  const ms = fraction === '' ? 0 : Number(`0.${fraction.slice(1)}`) * 1000;
  if (zone === undefined) return plausible(new Date(year, month - 1, day, hour, minute, second).getTime() + ms);
  return plausible(Date.UTC(year, month - 1, day, hour, minute, second) + ms - zoneMs(zone));
}

function zoneMs(zone: string): number {
  if (zone === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

const plausible = (ms: number): number | null => (ms >= EARLIEST_MS && ms <= LATEST_MS ? ms : null);
