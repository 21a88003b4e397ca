import { spawnSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { timestamp } from '../../src/cli/scarbon/quantities.js';
import { midnightBefore, parseTime } from '../../src/cli/scarbon/time.js';
import { epochMs, WattleError } from '../../src/contract/index.js';

/** Saturday, 21 November 2026, 13:14:15, local time. */
const NOW = epochMs(new Date(2026, 10, 21, 13, 14, 15).getTime());
const at = (text: string): string => timestamp(parseTime(text, NOW));

/** Each form that sacct's manual names; the second column is what sacct 22.05 makes of it on that day. */
const TAKEN: readonly (readonly [string, string])[] = [
  ['now', '2026-11-21T13:14:15'],
  ['NOW', '2026-11-21T13:14:15'],
  ['now-1day', '2026-11-20T13:14:15'],
  ['now - 1day', '2026-11-20T13:14:15'],
  ['now-2hours', '2026-11-21T11:14:15'],
  ['now+1minute', '2026-11-21T13:15:15'],
  ['now-1week', '2026-11-14T13:14:15'],
  ['now-90', '2026-11-21T13:12:45'],
  ['now-5seconds', '2026-11-21T13:14:10'],
  ['today', '2026-11-21T00:00:00'],
  ['tomorrow', '2026-11-22T00:00:00'],
  ['midnight', '2026-11-21T00:00:00'],
  ['noon', '2026-11-21T12:00:00'],
  ['fika', '2026-11-21T15:00:00'],
  ['teatime', '2026-11-21T16:00:00'],
  ['midnight tomorrow', '2026-11-22T00:00:00'],
  ['today10:00', '2026-11-21T10:00:00'],
  ['  noon  ', '2026-11-21T12:00:00'],
  ['23:59', '2026-11-21T23:59:00'],
  ['9:30', '2026-11-21T09:30:00'],
  ['10:00 AM', '2026-11-21T10:00:00'],
  ['10:00 Pm', '2026-11-21T22:00:00'],
  ['12:30AM', '2026-11-21T00:30:00'],
  ['12:30pm', '2026-11-21T12:30:00'],
  ['10:00:01am', '2026-11-21T10:00:01'],
  ['0731', '2026-07-31T00:00:00'],
  ['1231', '2025-12-31T00:00:00'],
  ['1122', '2026-11-22T00:00:00'],
  ['073122', '2022-07-31T00:00:00'],
  ['07/31', '2026-07-31T00:00:00'],
  ['7/1/22', '2022-07-01T00:00:00'],
  ['07.31.22-10:00', '2022-07-31T10:00:00'],
  ['10:00-0731', '2026-07-31T10:00:00'],
  ['2026-11-01', '2026-11-01T00:00:00'],
  ['2026-11-1', '2026-11-01T00:00:00'],
  ['2026-11-01T10:00', '2026-11-01T10:00:00'],
  ['2026-11-01T1:00', '2026-11-01T01:00:00'],
  ['2026-11-01T10:00:05', '2026-11-01T10:00:05'],
  ['2026-11-01-10:00', '2026-11-01T10:00:00'],
  ['2026-11-01 10:00', '2026-11-01T10:00:00'],
  ['2026-11-01Tnoon', '2026-11-01T12:00:00'],
  ['10:00 2026-11-01', '2026-11-01T10:00:00'],
  // The day after the last of a month is the first of the next, as mktime has it.
  ['2026-02-30', '2026-03-02T00:00:00'],
];

const REFUSED = [
  'notatime',
  'now-3h',
  'now-5min',
  'now+',
  'nowx',
  'now1day',
  'now-1day+1hour',
  '25:00',
  '24:00',
  '1:2',
  '10:00:60',
  '13:00pm',
  '1pm',
  '9:30 a.m.',
  '10:00p',
  '2026-13-01',
  '2026-11-01T10',
  '2026-11-01t10:00',
  '2026-11-01T10:00:05Z',
  '26-11-01',
  'midnightx',
  '12',
  '1301',
  '0732',
  '07/31/2022',
];

test.each(TAKEN)('%s is %s', (text, expected) => {
  expect(at(text)).toBe(expected);
});

test.each([...REFUSED, '', '-', 'T'])('%j is refused as wrong usage', (text) => {
  expect(() => parseTime(text, NOW)).toThrow(WattleError);
  expect(() => parseTime(text, NOW)).toThrow(expect.objectContaining({ exitCode: 2 }));
});

test('a printed time is read back as itself', () => {
  const seconds = fc.integer({ min: 0, max: 4_000_000_000 });
  fc.assert(
    fc.property(seconds, (second) => {
      const text = timestamp(epochMs(second * 1000));
      expect(timestamp(parseTime(text, NOW))).toBe(text);
    }),
  );
});

test('a distance from now is that distance', () => {
  const units = { '': 1, seconds: 1, second: 1, minutes: 60, hours: 3600, days: 86_400, weeks: 604_800 };
  const unit = fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[]));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5000 }), unit, fc.constantFrom('+', '-'), (count, name, sign) => {
      const distance = count * units[name] * 1000 * (sign === '-' ? -1 : 1);
      expect(parseTime(`now${sign}${count}${name}`, NOW)).toBe(NOW + distance);
    }),
  );
});

test('any text gives a time or wrong usage', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...Array.from('0123456789:/.-T apmnow')) }), (text) => {
      try {
        expect(Number.isFinite(parseTime(text, NOW))).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(WattleError);
      }
    }),
  );
});

test('midnight is the one that began the day', () => {
  expect(timestamp(midnightBefore(NOW))).toBe('2026-11-21T00:00:00');
});

/** sacct tells what it made of a time when the end comes before the start, without asking any daemon. */
function sacctReads(text: string): string | undefined {
  const { stderr } = spawnSync('sacct', ['-S', '2090-01-01', '-E', text], {
    encoding: 'utf8',
    env: { ...process.env, SLURM_CONF: 'test/cli/slurm.conf' },
  });
  return /after end time \(([^)]*)\)/.exec(stderr)?.[1];
}
const hasSacct =
  spawnSync('sacct', ['-V'], { env: { ...process.env, SLURM_CONF: 'test/cli/slurm.conf' } }).status === 0;

(hasSacct ? describe : describe.skip)('beside sacct itself', () => {
  // Only what does not move while the two are asked.
  const still = TAKEN.map(([text]) => text).filter((text) => !/^now/i.test(text));
  test.each(still)('%s', (text) => {
    expect(timestamp(parseTime(text, epochMs(Date.now())))).toBe(sacctReads(text));
  });
  test.each(REFUSED.filter((text) => text !== ''))('%s is refused', (text) => {
    expect(sacctReads(text)).toBeUndefined();
  });
});
