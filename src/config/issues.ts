/** Turns what the schema library found wrong into problems that a person can mend. */
import { closest } from 'fastest-levenshtein';
import type * as v from 'valibot';
import type { KeyPath, KeyPositions } from './positions.js';
import type { ConfigProblem } from './problem.js';
import { knownKeys, type KnownKey } from './known-keys.js';

/** Longest value that is repeated to its writer. */
const MAX_SHOWN = 80;

export function problemOf(issue: v.BaseIssue<unknown>, positions: KeyPositions): ConfigProblem {
  const keyPath = (issue.path ?? []).map(({ key }) => String(key));
  const position = positions.of(keyPath);
  if (issue.type === 'never') return { ...unknownKey(keyPath), keyPath, position };
  if (issue.type === 'object_with_rest') return { ...missingKey(keyPath), keyPath, position };

  const known = knownKey(keyPath);
  const found = known?.secret === true ? 'a value that is not shown, as it may hold a password' : show(issue.input);
  // Readers (values.ts) give both texts; a plain schema gives what it expected as its message.
  const fromReader = issue.kind === 'transformation';
  const expected = fromReader ? (issue.expected ?? '') : issue.message;
  return {
    code: 'config.value',
    keyPath,
    position,
    message: `expected ${expected}, found ${found}`,
    remedy: fromReader ? issue.message : exampleFor(known),
  };
}

function unknownKey(keyPath: KeyPath): Pick<ConfigProblem, 'code' | 'message' | 'remedy'> {
  const code = 'config.unknown-key';
  const written = keyPath.at(-1) ?? '';
  const elsewhere = knownKeys().find(({ path }) => path.at(-1) === written);
  const siblings = siblingsOf(keyPath);
  if (elsewhere !== undefined || siblings.length === 0) {
    const right = elsewhere?.path ?? [];
    return {
      code,
      message: `unknown key; the nearest known key is ${right.join('.')}`,
      remedy: `Move it into the table [${right.slice(0, -1).join('.')}].`,
    };
  }
  const nearest = closest(written, siblings);
  return {
    code,
    message: `unknown key; the nearest known key is ${nearest}`,
    remedy: `Write ${nearest}, or remove it.`,
  };
}

function missingKey(keyPath: KeyPath): Pick<ConfigProblem, 'code' | 'message' | 'remedy'> {
  const name = keyPath.at(-1) ?? '';
  const known = knownKey(keyPath);
  if (known?.example !== undefined) {
    const table = keyPath.slice(0, -1).join('.');
    const remedy = `Write into the table [${table}], for example: ${name} = ${known.example}`;
    return { code: 'config.missing-key', message: `expected ${known.accepts ?? 'a value'}, found no such key`, remedy };
  }
  return {
    code: 'config.missing-key',
    message: 'expected a table, found none',
    remedy: `Write [${keyPath.join('.')}].`,
  };
}

function exampleFor(known: KnownKey | undefined): string {
  if (known?.example !== undefined) return `Write for example ${known.example}.`;
  return known === undefined ? 'See docs/configuration.md.' : `Write it as a table: [${known.path.join('.')}].`;
}

/** The known key at a path; `*` stands for a chosen name, a number for an element of a list. */
function knownKey(keyPath: KeyPath): KnownKey | undefined {
  const matches = ({ path }: KnownKey, wanted: KeyPath): boolean =>
    path.length === wanted.length && path.every((key, index) => key === '*' || key === wanted[index]);
  return (
    knownKeys().find((known) => matches(known, keyPath)) ??
    knownKeys().find((known) => matches(known, keyPath.slice(0, -1)))
  );
}

function siblingsOf(keyPath: KeyPath): string[] {
  const table = keyPath.slice(0, -1);
  return knownKeys()
    .filter(({ path }) => path.length === keyPath.length && table.every((key, i) => path[i] === '*' || path[i] === key))
    .map(({ path }) => path.at(-1) ?? '')
    .filter((name) => name !== '*');
}

function show(value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
    return value instanceof Date ? 'a date' : 'a table';
  }
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}
