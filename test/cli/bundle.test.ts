import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

/** Two folders below package.json, as dist/bin is. */
const FOLDER = 'build/test-bin';
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/bundle.mjs', FOLDER], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
afterAll(() => {
  rmSync(FOLDER, { recursive: true });
});

test.each(['scarbon', 'wattle'])('%s is a program of its own', (command) => {
  const file = resolve(FOLDER, `${command}.js`);
  expect(statSync(file).mode & 0o111).toBe(0o111);
  expect(spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout).toContain(version);
  expect(spawnSync(file, ['--nonsense']).status).toBe(2);
});

test('commands of wattle find the parts that they load', () => {
  const { status, stdout } = spawnSync(resolve(FOLDER, 'wattle.js'), ['config', '--config', '/nowhere'], {
    encoding: 'utf8',
  });
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
});

test('scarbon ends quietly when its reader has seen enough', () => {
  const command = `${resolve(FOLDER, 'scarbon.js')} --help | true`;
  expect(spawnSync('bash', ['-o', 'pipefail', '-c', command], { encoding: 'utf8' })).toMatchObject({
    status: 0,
    stderr: '',
  });
});

test('what scarbon loads before it asks holds neither yargs nor valibot', () => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(resolve(FOLDER, file), 'utf8');
    for (const [, chunk = ''] of text.matchAll(/(?:from|import)"\.\/([^"]+)"/g)) visit(chunk);
  };
  visit('scarbon.js');
  const text = [...seen].map((file) => readFileSync(resolve(FOLDER, file), 'utf8')).join('\n');
  expect(seen.size).toBeGreaterThan(1);
  expect(text).not.toContain('object_with_rest');
  expect(text).not.toContain('demandCommand');
});
