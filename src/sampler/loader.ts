import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, WattleError } from '../contract/index.js';
import type { NativeAddon } from './native.js';

const FILE = 'wattle_sampler.node';
/** The package's root lies at most this far above the running file (dist/bin/, dist/sampler/ or src/sampler/). */
const LEVELS_UP = 4;

let loaded: NativeAddon | undefined;

/** The native addon, loaded once. Throws a WattleError that lists what may be wrong and how to mend it. */
export function loadAddon(): NativeAddon {
  loaded ??= load(candidates(dirname(fileURLToPath(import.meta.url))));
  return loaded;
}

/** Where the addon may lie, nearest first: compiled here, or shipped ready for this platform. */
export function candidates(from: string): string[] {
  const paths: string[] = [];
  for (let level = 0, folder = from; level < LEVELS_UP; level++, folder = dirname(folder)) {
    paths.push(join(folder, 'build', 'Release', FILE));
    paths.push(join(folder, 'prebuilds', `${process.platform}-${process.arch}`, FILE));
  }
  return paths;
}

/** Loads the first of `paths` that exists. */
export function load(paths: readonly string[]): NativeAddon {
  const found = paths.find((path) => existsSync(path));
  const here = `${process.platform}-${process.arch}, Node ${process.versions.node}`;
  if (found === undefined) {
    throw new WattleError(
      'sampler.addon-missing',
      `The native sampler is not built for ${here}. Looked for:\n${paths.map((path) => `  ${path}`).join('\n')}`,
      'Build it with `npm run build:native` (needs g++ 11 or later, make and python3).',
    );
  }
  try {
    return createRequire(import.meta.url)(found) as NativeAddon;
  } catch (error) {
    throw new WattleError(
      'sampler.addon-unloadable',
      `The native sampler cannot be loaded on ${here}: ${messageOf(error)}\nPossible causes:\n` +
        '  - it was built on another machine, for another processor or a newer C library\n' +
        '  - the folder was copied from a system that is not Linux\n' +
        '  - the file is cut short: the build was interrupted or the disk was full',
      `Delete ${found} and run \`npm run build:native\` on this machine.`,
      { cause: error },
    );
  }
}
