import { expect, test } from '@jest/globals';
import { ESLint } from 'eslint';

/** The order of docs/architecture.md. The configuration has its own list: this one would notice a room that moved. */
const ROOMS = [
  'contract',
  'config',
  'system',
  'slurm',
  'sampler',
  'agent',
  'controller',
  'ledger',
  'carbon',
  'placement',
  'power',
  'cli',
];

const linter = new ESLint({
  ruleFilter: ({ ruleId }) => /^no-restricted-(imports|syntax)$/.test(ruleId),
  // Types are not needed for these rules, and the code under test is in no project.
  overrideConfig: { languageOptions: { parserOptions: { project: null } } },
});

/** Messages of the flow rules for `code` as if it stood in `file`. */
async function flowErrors(file: string, code: string): Promise<string[]> {
  const results = await linter.lintText(code, { filePath: file });
  return results.flatMap((result) => result.messages.map((message) => message.message));
}

test.each(ROOMS.slice(0, -1))('%s/ may not import any room downstream of it, in any form', async (room) => {
  for (const downstream of ROOMS.slice(ROOMS.indexOf(room) + 1)) {
    for (const code of [
      `import { x } from '../${downstream}/index.js';`,
      `import type { X } from '../${downstream}/index.js';`,
      `export * from '../${downstream}/deep/file.js';`,
      `export const x = await import('../${downstream}/index.js');`,
    ]) {
      const errors = await flowErrors(`src/${room}/some-file.ts`, code);
      expect([code, errors]).toEqual([code, [expect.stringContaining('downstream')]]);
    }
  }
});

test.each(ROOMS.slice(1))('%s/ may import the rooms before it', async (room) => {
  for (const upstream of ROOMS.slice(0, ROOMS.indexOf(room))) {
    expect(await flowErrors(`src/${room}/some-file.ts`, `export * from '../${upstream}/index.js';`)).toEqual([]);
  }
});
