/** The demo's pictures: bars are true to the figures, and the account tells when something does not add up. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bar, conservationTable, isConserved, styleOf } from '../../demo/picture.js';
import { durationMs, epochMs, microjoules, type ConservationAnswer } from '../../src/contract/index.js';

const answer = (total: number, owners: Record<string, number>, intervalsOff = 0): ConservationAnswer => ({
  since: epochMs(0),
  until: epochMs(durationMs(1000)),
  nodes: [
    {
      node: 'n1',
      total: microjoules(total),
      owners: Object.fromEntries(Object.entries(owners).map(([owner, value]) => [owner, microjoules(value)])),
      intervalsOff,
      intervals: 1,
      coverage: 1,
    },
  ],
});

describe('bar', () => {
  test('is empty for nothing, full for all, and half for a half', () => {
    expect(bar(0, 10)).toBe('');
    expect(bar(1, 10)).toBe('█'.repeat(10));
    expect(bar(0.5, 9)).toBe('████▌');
  });

  test('never hides what is there, never leaves its room, never shrinks as the share grows', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-9, max: 1, noNaN: true }),
        fc.double({ min: 1e-9, max: 1, noNaN: true }),
        (a, b) => {
          const [low, high] = [bar(Math.min(a, b), 40), bar(Math.max(a, b), 40)];
          expect(low.length).toBeGreaterThan(0);
          expect(high.length).toBeLessThanOrEqual(40);
          expect(low.length).toBeLessThanOrEqual(high.length);
        },
      ),
    );
  });
});

describe('conservation', () => {
  test('holds to the microjoule, or not at all', () => {
    expect(isConserved(answer(10, { job: 4, idle: 6 }))).toBe(true);
    expect(isConserved(answer(10, { job: 4, idle: 5 }))).toBe(false);
    expect(isConserved(answer(10, { job: 4, idle: 6 }, 1))).toBe(false);
    expect(isConserved({ ...answer(0, {}), nodes: [] })).toBe(false);
  });

  test('shows what is left over', () => {
    const lines = conservationTable(answer(3_000_000, { job: 1_000_000, idle: 1_500_000 })).split('\n');
    expect(lines[0]).toMatch(/^ {2}node +used \(J\) +job \(J\) +idle \(J\)/);
    expect(lines[1]).toMatch(/^ {2}n1 +3\.000 +1\.000 +1\.500 +0\.000 +0\.000 +0\.500$/);
  });
});

describe('colour', () => {
  test.each([
    ['a terminal', { isTTY: true, columns: 120 }, {}, true],
    ['a file', {}, {}, false],
    ['NO_COLOR', { isTTY: true }, { NO_COLOR: '1' }, false],
    ['an empty NO_COLOR', { isTTY: true }, { NO_COLOR: '' }, true],
    ['a dumb terminal', { isTTY: true }, { TERM: 'dumb' }, false],
  ])('for %s', (_, stream, env, colour) => {
    expect(styleOf(stream, env).colour).toBe(colour);
  });
});
