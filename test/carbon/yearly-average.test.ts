import { describe, expect, test } from '@jest/globals';
import { YEARLY_AVERAGES, canonicalZone, yearlyAverages } from '../../src/carbon/index.js';

describe('the shipped table', () => {
  test('has every country and zone once, with a plausible value', () => {
    expect(YEARLY_AVERAGES).toHaveLength(222);
    const names = YEARLY_AVERAGES.flatMap(({ zone, iso3 }) => (iso3 === undefined ? [zone] : [zone, iso3]));
    expect(new Set(names).size).toBe(names.length);
    for (const factor of YEARLY_AVERAGES) {
      expect(factor.zone).toMatch(/^[A-Z]{2}\d?$/);
      expect(factor.gramsPerKwh).toBeGreaterThanOrEqual(0);
      expect(factor.gramsPerKwh).toBeLessThan(1400);
      expect(factor.source).toMatch(new RegExp(`^(owid|entsoe)-${factor.year}$`));
    }
  });

  test('gives the published values', async () => {
    const [france] = await yearlyAverages.series('FR', 0, 1);
    expect(france).toMatchObject({ kind: 'average', basis: 'lifecycle', rank: 100, source: 'owid-2023' });
    expect(france?.points[0]).toMatchObject({ gramsPerKwh: 56.039, validToMs: Infinity, forecast: false });
    expect(await yearlyAverages.series('nowhere', 0, 1)).toEqual([]);
  });
});

describe('zone names', () => {
  test.each([
    ['FR', 'FR'],
    ['deu', 'DE'],
    [' GBR ', 'GB'],
    ['SE3', 'SE3'],
  ])('%j is %s', (written, zone) => {
    expect(canonicalZone(written)).toBe(zone);
  });

  test.each([
    ['germny', 'DE (Germany)'],
    ['SE9', 'SE1'],
    ['__proto__', 'nearest:'],
    ['', 'nearest:'],
    ['x'.repeat(100_000), 'nearest:'],
  ])('an unknown one names the nearest', (written, hint) => {
    expect(() => canonicalZone(written)).toThrow(expect.objectContaining({ code: 'carbon.unknown-zone' }));
    expect(() => canonicalZone(written)).toThrow(hint);
  });
});
