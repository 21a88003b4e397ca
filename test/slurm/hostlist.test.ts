import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { expandCpusPerNode, expandHostlist } from '../../src/slurm/index.js';

test.each([
  ['n1', ['n1']],
  ['n[1-3]', ['n1', 'n2', 'n3']],
  ['n[08-10,12],m', ['n08', 'n09', 'n10', 'n12', 'm']],
  ['r[1-2]n[0-1]', ['r1n0', 'r1n1', 'r2n0', 'r2n1']],
  ['', []],
])('%s', (text, hosts) => {
  expect(expandHostlist(text)).toEqual(hosts);
});

test.each(['n[1', 'n]1[', 'n[2-1]', 'n[a-b]', 'n[[1]]', 'n[0-999999999]', 'n[0-999]x[0-999]'])(
  '%s is refused with its text',
  (text) => {
    expect(() => expandHostlist(text)).toThrow(/not a host list/);
  },
);

test('arbitrary text either expands or is refused', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('n', '0', '1', '9', '-', ',', '[', ']', 'x', ' ') }), (text) => {
      try {
        expect(expandHostlist(text).every((host) => !/[[\],]/.test(host))).toBe(true);
      } catch (error) {
        expect((error as Error).message).toMatch(/not a host list/);
      }
    }),
  );
});

test('CPUs per node', () => {
  expect(expandCpusPerNode('2(x3),4')).toEqual([2, 2, 2, 4]);
  expect(() => expandCpusPerNode('2(x')).toThrow();
  expect(() => expandCpusPerNode('1(x999999)')).toThrow();
});
