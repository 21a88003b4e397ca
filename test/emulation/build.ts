/** Builds the product's addon on emulated hardware: native/sources.txt with test/emulation in place of `machine`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { compile, sourcesOf } from '../native/compile.js';

const require = createRequire(import.meta.url);
/** As binding.gyp has them; and no fused operations, so that waveforms round as they do in JavaScript. */
const FLAGS = [
  ...['-std=c++20', '-O2', '-fPIC', '-fno-exceptions', '-fvisibility=hidden', '-ffp-contract=off', '-pthread'],
  ...['-Wall', '-Wextra', '-Wshadow', '-DNAPI_VERSION=9', '-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DBUILDING_NODE_EXTENSION'],
];
/** Included by test/emulation/emulation.cc. */
const INCLUDED = 'native/addon/addon.cc';

/** The repository's root: where this file lies, or where it was bundled to. */
function root(): string {
  const places = [join(import.meta.dirname, '..', '..'), join(import.meta.dirname, '..')];
  const found = places.find((folder) => existsSync(join(folder, 'native', 'sources.txt')));
  if (found === undefined) throw new Error(`native/sources.txt is in none of ${places.join(', ')}`);
  return found;
}

/** Compiles what has changed and links; returns the path of the addon. */
export function buildEmulatedAddon(): Promise<string> {
  const top = root();
  const emulation = readdirSync(join(top, 'test', 'emulation')).filter((file) => file.endsWith('.cc'));
  const includes = ['native', 'test', nodeHeaders(join(top, 'build', 'config.gypi')), napiHeaders()];
  return compile({
    root: top,
    folder: join('build', 'native-tests', 'emulated'),
    target: 'wattle_emulated.node',
    sources: [
      ...sourcesOf(top, ['core', 'addon']).filter((path) => path !== INCLUDED),
      ...emulation.map((file) => join('test', 'emulation', file)),
    ],
    headers: ['native', 'test/emulation', INCLUDED],
    flags: [...FLAGS, ...includes.map((path) => `-I${path}`)],
    linkFlags: ['-shared', '-ldl'],
  });
}

/** The headers that the product's addon was built with. */
function nodeHeaders(config: string): string {
  const nodedir = existsSync(config) ? /"nodedir": "([^"]+)"/.exec(readFileSync(config, 'utf8'))?.[1] : undefined;
  if (nodedir === undefined) throw new Error('build the native part first: npm run build:native');
  return join(nodedir, 'include', 'node');
}

const napiHeaders = (): string => (require('node-addon-api') as { readonly include_dir: string }).include_dir;
