import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { knownKeys } from '../../src/config/known-keys.js';
import { parseConfig } from '../../src/config/index.js';
import { configReference } from '../../src/config/reference.js';

test('docs/configuration.md is current: run node scripts/config-reference.mjs', () => {
  expect(readFileSync('docs/configuration.md', 'utf8')).toBe(configReference());
});

test('defaults are written as they would be in the file', () => {
  const page = configReference();
  expect(page).toContain('Default: `","`.');
  expect(page).toContain('Default: `["rapl-perf", "rapl-powercap",');
});

test('every key has a meaning, and every value says what it takes', () => {
  for (const key of knownKeys()) {
    expect(key.description).not.toBe('');
    if (!key.isTable) expect(key.accepts).toBeTruthy();
  }
});

test('every example and every default is taken', () => {
  const keys = knownKeys().filter(({ isTable }) => !isTable);
  const lines = (pick: (key: (typeof keys)[number]) => string | undefined): string =>
    keys
      .flatMap((key) => {
        const value = pick(key) ?? (key.required ? key.example : undefined);
        return value === undefined
          ? []
          : `${key.path.map((part) => (part === '*' ? 'n1' : part)).join('.')} = ${value}`;
      })
      .join('\n');
  const byExample = lines((key) => (key.path.join('.') === 'ledger.interval' ? undefined : key.example));
  const byDefault = lines((key) => (key.default === undefined ? undefined : JSON.stringify(key.default)));
  for (const text of [byExample, byDefault]) expect(parseConfig(text, 'wattle.toml').cluster.name).toBe('hpc1');
});
