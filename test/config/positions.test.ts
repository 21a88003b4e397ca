import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { KeyPositions, type KeyPath } from '../../src/config/positions.js';

describe('KeyPositions', () => {
  const text = `# comment with [brackets] and = signs
top = 1
"quoted key" = "a # no comment"
[a.b] # table
c.d = '''
[not.a.table]
x = 1
'''
list = [ # comment ]
  "x, y", 'z]',
  { deep = { er = 1 } },
]
[[rows]]
n = 1
[[rows]]
n = 2
`;
  const positions = new KeyPositions(text);

  test.each<[KeyPath, number, number]>([
    [['top'], 2, 1],
    [['quoted key'], 3, 1],
    [['a'], 4, 2],
    [['a', 'b'], 4, 2],
    [['a', 'b', 'c', 'd'], 5, 1],
    [['a', 'b', 'list', '1'], 10, 11],
    [['a', 'b', 'list', '2', 'deep', 'er'], 11, 14],
    [['rows', '1', 'n'], 16, 1],
    // Absent: the nearest around it.
    [['a', 'b', 'nothing'], 4, 2],
  ])('%j', (path, line, column) => {
    expect(positions.of(path)).toEqual({ line, column });
  });

  test('knows nothing of a key outside every table', () => {
    expect(positions.of(['not'])).toBeUndefined();
  });

  test('every key of a document stands where it is said to stand', () => {
    const key = fc.string({ minLength: 1, maxLength: 6 }).filter((name) => name !== '__proto__');
    const value = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.array(fc.integer(), { maxLength: 3 }));
    const document = fc.dictionary(key, fc.oneof(value, fc.dictionary(key, value, { maxKeys: 4 })), { maxKeys: 5 });
    fc.assert(
      fc.property(document, (tables) => {
        const written = stringify(tables);
        const found = new KeyPositions(written);
        const lines = written.split('\n');
        for (const [name, content] of Object.entries(parse(written))) {
          const inner = typeof content === 'object' && !Array.isArray(content) ? Object.keys(content) : [];
          for (const path of inner.length === 0 ? [[name]] : inner.map((child) => [name, child])) {
            const position = found.of(path);
            const rest = lines[(position?.line ?? 0) - 1]?.slice((position?.column ?? 0) - 1) ?? '';
            const last = path.at(-1) ?? '';
            expect(rest.startsWith(/^[\w-]+$/.test(last) ? last : '"')).toBe(true);
          }
        }
      }),
    );
  });

  test('takes any text without harm', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(' ', ...'[ ] { } = " \' # . , \n a 1 \\'.split(' ')) }),
        (garbage) => {
          new KeyPositions(garbage).of(['a']);
        },
      ),
    );
  });
});
