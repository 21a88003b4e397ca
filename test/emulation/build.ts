/** Builds the product's addon on emulated hardware: native/sources.txt with test/emulation in place of `machine`. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

const require = createRequire(import.meta.url);
const COMPILERS = ['g++', 'clang++'];
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
export async function buildEmulatedAddon(): Promise<string> {
  const compiler = COMPILERS.find((name) => spawnSync(name, ['--version']).error === undefined);
  if (compiler === undefined) throw new Error('no C++ compiler: install g++ (apt-get install g++)');
  const at = (...parts: string[]): string => join(root(), ...parts);
  const folder = at('build', 'native-tests', 'emulated');
  mkdirSync(folder, { recursive: true });

  const listed = (top: string, end: string): string[] =>
    readdirSync(at(top), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith(end))
      .map((path) => join(top, path));
  const newestHeader = newest(
    [...listed('native', '.h'), ...listed('test/emulation', '.h'), INCLUDED].map((path) => at(path)),
  );
  const includes = [at('native'), at('test'), nodeHeaders(at('build', 'config.gypi')), napiHeaders()];
  const flags = [...FLAGS, ...includes.map((path) => `-I${path}`)];
  const run = (args: readonly string[]) => promisify(execFile)(compiler, args, { cwd: root() });
  /** Two suites may build at the same time: what is there is whole. */
  const make = async (path: string, args: readonly string[]): Promise<void> => {
    const draft = `${path}.${process.pid}`;
    await run([...args, '-o', draft]);
    renameSync(draft, path);
  };

  const units = [...productSources(at('native', 'sources.txt')), ...listed('test/emulation', '.cc')].map((source) => ({
    source,
    object: join(folder, `${source.replaceAll('/', '-')}.o`),
  }));
  const stale = units.filter(({ source, object }) => modified(object) <= Math.max(newestHeader, modified(at(source))));
  const compileRest = async () => {
    for (let unit = stale.pop(); unit !== undefined; unit = stale.pop()) {
      await make(unit.object, [...flags, '-c', unit.source]);
    }
  };
  await Promise.all([compileRest(), compileRest()]);

  const addon = join(folder, 'wattle_emulated.node');
  const objects = units.map(({ object }) => object);
  if (newest(objects) >= modified(addon)) await make(addon, [...flags, '-shared', ...objects, '-ldl']);
  return addon;
}

const modified = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const newest = (paths: readonly string[]): number => Math.max(...paths.map(modified));

function productSources(list: string): string[] {
  const lines = readFileSync(list, 'utf8').split('\n');
  return lines.flatMap((line) => /^(?:core|addon) (\S+)$/.exec(line)?.[1] ?? []).filter((path) => path !== INCLUDED);
}

/** The headers that the product's addon was built with. */
function nodeHeaders(config: string): string {
  const nodedir = existsSync(config) ? /"nodedir": "([^"]+)"/.exec(readFileSync(config, 'utf8'))?.[1] : undefined;
  if (nodedir === undefined) throw new Error('build the native part first: npm run build:native');
  return join(nodedir, 'include', 'node');
}

const napiHeaders = (): string => (require('node-addon-api') as { readonly include_dir: string }).include_dir;
