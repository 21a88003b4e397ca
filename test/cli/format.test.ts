import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { COLUMNS } from '../../src/cli/scarbon/columns.js';
import { parseFormat } from '../../src/cli/scarbon/format.js';
import { elapsed, energyScale, humanMass, plainEnergy, plainNumber } from '../../src/cli/scarbon/quantities.js';
import { fit } from '../../src/cli/scarbon/render.js';

test('the columns stand in the order of the alphabet, as shortened names need it', () => {
  const names = COLUMNS.map(({ name }) => name.toLowerCase());
  expect(names).toEqual([...names].sort());
});

test('names are found whatever their case, and shortened to the first that begins so', () => {
  const columnsOf = (format: string): string[] => parseFormat(format).map(({ column }) => column.name);
  expect(columnsOf('JOBID, jobid ,job,elap,en')).toEqual(['JobID', 'JobID', 'JobID', 'Elapsed', 'End']);
  expect(columnsOf('ALL')).toHaveLength(COLUMNS.length);
});

test('every width is what it says', () => {
  const names = fc.constantFrom(...COLUMNS.map(({ name }) => name));
  fc.assert(
    fc.property(names, fc.integer({ min: 1, max: 10_000 }), fc.boolean(), (name, width, left) => {
      const [field] = parseFormat(`${name}%${left ? '-' : ''}${width}`);
      expect(field).toMatchObject({ column: { name }, width, leftAligned: left });
    }),
  );
});

test('a cell is exactly as wide as its column, and shows where it was cut', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      (text, width, leftAligned) => {
        const cell = fit(text, { width, leftAligned });
        const length = Array.from(text).length;
        expect(Array.from(cell)).toHaveLength(width);
        if (length <= width) expect(leftAligned ? cell.startsWith(text) : cell.endsWith(text)).toBe(true);
        else expect(cell.endsWith('+')).toBe(true);
      },
    ),
  );
});

test.each([
  [0, '0 J'],
  [5, '0.01 mJ'],
  [999_499_999, '999 J'],
  [999_600_000, '1.00 kJ'],
  [12_345_678, '12.3 J'],
  [99_960_000, '100 J'],
])('%d uJ is %s', (microjoules, expected) => {
  expect(energyScale(microjoules)(microjoules)).toBe(expected);
});

test('what people read is within half a percent of the truth', () => {
  const factors = { mg: 1e-3, g: 1, kg: 1e3, t: 1e6 };
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 9e8, noNaN: true }), (grams) => {
      const [number = '', unit = ''] = humanMass(grams).split(' ');
      const shown = Number(number) * factors[unit as keyof typeof factors];
      expect(Math.abs(shown - grams) / grams).toBeLessThan(0.005 + 1e-9);
    }),
  );
});

test('plain joules are exact to the microjoule, without exponent', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (microjoules) => {
      const text = plainEnergy(microjoules, 'J');
      expect(text).toMatch(/^\d+(\.\d*[1-9])?$/);
      expect(Math.round(Number(text) * 1e6)).toBe(microjoules);
    }),
  );
  expect(plainNumber(100, 6)).toBe('100');
  expect(plainNumber(1e-9, 6)).toBe('0');
});

test.each([
  [0, '00:00:00'],
  [999, '00:00:00'],
  [3_661_000, '01:01:01'],
  [86_400_000, '1-00:00:00'],
  [100 * 86_400_000 - 1000, '99-23:59:59'],
])('%d ms has elapsed as %s', (milliseconds, expected) => {
  expect(elapsed(milliseconds)).toBe(expected);
});
