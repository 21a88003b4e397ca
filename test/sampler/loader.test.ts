import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { candidates, load } from '../../src/sampler/loader.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wattle-loader-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('the addon is looked for beside sources and beside compiled code, built here or shipped', () => {
  const built = '/opt/wattle/build/Release/wattle_sampler.node';
  const shipped = `/opt/wattle/prebuilds/linux-${process.arch}/wattle_sampler.node`;
  for (const from of ['/opt/wattle/src/sampler', '/opt/wattle/dist/sampler', '/opt/wattle/dist/bin']) {
    const paths = candidates(from);
    expect(paths).toContain(built);
    expect(paths.indexOf(shipped)).toBeGreaterThan(paths.indexOf(built));
  }
});

test('a missing addon tells where it was looked for and how to build it', () => {
  const path = join(folder, 'wattle_sampler.node');
  expect(() => load([path])).toThrow(
    expect.objectContaining({
      code: 'sampler.addon-missing',
      message: expect.stringContaining(path),
      remedy: expect.stringContaining('npm run build:native'),
    }),
  );
});

test('a broken addon tells causes and the way out', () => {
  const path = join(folder, 'wattle_sampler.node');
  writeFileSync(path, 'not a shared object');
  expect(() => load([path])).toThrow(
    expect.objectContaining({
      code: 'sampler.addon-unloadable',
      message: expect.stringMatching(/another machine[^]*cut short/),
      remedy: expect.stringContaining(path),
    }),
  );
});
