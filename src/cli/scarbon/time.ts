/** Points in time as sacct takes them: words, dates and times in the local time zone, or distances from now. */
import { epochMs, type EpochMs } from '../../contract/units.js';
import { usageError } from '../program.js';

interface Day {
  readonly year: number;
  /** From 0, as Date counts. */
  readonly month: number;
  readonly day: number;
}
interface Clock {
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}
interface Moment {
  readonly day?: Day;
  readonly clock?: Clock;
}

const DAY_MS = 86_400_000;
const MS_PER_UNIT: Readonly<Record<string, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: DAY_MS,
  week: 7 * DAY_MS,
};
const HOURS: Readonly<Record<string, number>> = { midnight: 0, elevenses: 11, noon: 12, fika: 15, teatime: 16 };
const MIDNIGHT: Clock = { hour: 0, minute: 0, second: 0 };

/** What can stand at the front of the text, and what it says; undefined where it says something impossible. */
type Part = readonly [pattern: RegExp, read: (match: RegExpExecArray, now: EpochMs) => Moment | undefined];

const PARTS: readonly Part[] = [
  [
    /^(?:midnight|elevenses|noon|fika|teatime)/i,
    ([word]) => ({ clock: { ...MIDNIGHT, hour: HOURS[word.toLowerCase()] ?? 0 } }),
  ],
  [/^today/i, (_, now) => ({ day: dayOf(now) })],
  [/^tomorrow/i, (_, now) => ({ day: dayOf(now + DAY_MS) })],
  [/^(\d{1,2}):(\d\d)(?::(\d\d))?(?:\s*(am|pm))?/i, readClock],
  [/^(\d{4})-(\d\d)-(\d{1,2})/, readIsoDay],
  // The lookaheads take all the digits there are and give none back: `12` is a month without a day, not 1 February.
  [/^(?=(\d{1,2}))\1[./]?(?=(\d{1,2}))\2[./]?(\d\d)?/, readAmericanDay],
  [/^[\s\-T]+/, () => ({})],
];

/**
 * The time that `text` means at `now`. What names no year lies in this year or, where its month is still to come, in the
 * last; what names no day lies today; what names no time of day is midnight. These are sacct's own rules.
 * @throws {WattleError} wrong usage, with the forms that are taken.
 */
export function parseTime(text: string, now: EpochMs): EpochMs {
  const fixed = distanceFromNow(text.trim(), now) ?? unixSeconds(text.trim());
  if (fixed !== undefined) return fixed;

  let moment: Moment = {};
  let rest = text.trim();
  while (rest !== '') {
    const [length, found] = readFront(rest, now);
    if (found === undefined) throw notATime(text);
    moment = { ...moment, ...found };
    rest = rest.slice(length);
  }
  if (moment.day === undefined && moment.clock === undefined) throw notATime(text);
  return localTime(moment.day ?? dayOf(now), moment.clock ?? MIDNIGHT);
}

/** Midnight that began the local day of `now`. */
export function midnightBefore(now: EpochMs): EpochMs {
  return localTime(dayOf(now), MIDNIGHT);
}

function readFront(rest: string, now: EpochMs): [length: number, found: Moment | undefined] {
  for (const [pattern, read] of PARTS) {
    const match = pattern.exec(rest);
    if (match !== null) return [match[0].length, read(match, now)];
  }
  return [0, undefined];
}

/** `now`, `now-1day`, `now+90` (seconds). */
function distanceFromNow(text: string, now: EpochMs): EpochMs | undefined {
  const match = /^now\s*(?:([+-])\s*(\d{1,10})\s*(?:(second|minute|hour|day|week)s?)?)?$/i.exec(text);
  if (match === null) return undefined;
  const [, sign, count = '0', unit = 'second'] = match;
  const distance = Number(count) * (MS_PER_UNIT[unit.toLowerCase()] ?? 0);
  return epochMs(Math.floor((now + (sign === '-' ? -distance : distance)) / 1000) * 1000);
}

/** `uts1793577600`: seconds since 1970, the form that Slurm's own tools hand each other. */
function unixSeconds(text: string): EpochMs | undefined {
  const seconds = /^uts(\d{7,11})$/i.exec(text)?.[1];
  return seconds === undefined ? undefined : epochMs(Number(seconds) * 1000);
}

function readClock([, hours, minutes, seconds = '0', half = '']: RegExpExecArray): Moment | undefined {
  const hour = Number(hours);
  const minute = Number(minutes);
  const second = Number(seconds);
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  if (half === '') return { clock: { hour, minute, second } };
  if (hour > 12) return undefined;
  return { clock: { hour: (hour % 12) + (half.toLowerCase() === 'pm' ? 12 : 0), minute, second } };
}

function readIsoDay([, year, month, day]: RegExpExecArray): Moment | undefined {
  return readDay(Number(year), Number(month), Number(day));
}

function readAmericanDay([, month, day, year]: RegExpExecArray, now: EpochMs): Moment | undefined {
  const today = dayOf(now);
  const ownYear = Number(month) - 1 > today.month ? today.year - 1 : today.year;
  return readDay(year === undefined || year === '00' ? ownYear : 2000 + Number(year), Number(month), Number(day));
}

function readDay(year: number, month: number, day: number): Moment | undefined {
  if (month < 1 || month > 12 || day < 1 || day > 31) return undefined;
  return { day: { year, month: month - 1, day } };
}

function dayOf(time: number): Day {
  const date = new Date(time);
  return { year: date.getFullYear(), month: date.getMonth(), day: date.getDate() };
}

function localTime({ year, month, day }: Day, { hour, minute, second }: Clock): EpochMs {
  const date = new Date(0);
  date.setFullYear(year, month, day);
  date.setHours(hour, minute, second, 0);
  return epochMs(date.getTime());
}

function notATime(text: string): Error {
  return usageError(
    `expected a time, found ${JSON.stringify(text)}`,
    'Write for example 2026-11-01T10:00, 2026-11-01, 11/01, 10:00, midnight, today, now-1day or now-2hours (units in full).',
  );
}
