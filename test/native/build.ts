/** Builds the C++ tests, straight from native/sources.txt: needs nothing but g++ or clang++. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..', '..');
const COMPILERS = ['g++', 'clang++'];
const COMMON = ['-std=c++20', '-O1', '-g', '-fno-exceptions', '-Wall', '-Wextra', '-Wshadow', '-Werror', '-pthread'];
const FLAGS = {
  'address-undefined': ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
  thread: ['-fsanitize=thread'],
  none: [],
} as const;
export type Sanitizer = keyof typeof FLAGS;

/** A part of native/sources.txt that has a main(), and is linked with all of `core` and `machine`. */
export type Program = 'test' | 'quiet' | 'fuzz';

const modified = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Compiles what has changed and links; returns the path of the program. */
export async function buildNative(program: Program, sanitizer: Sanitizer): Promise<string> {
  const compiler = COMPILERS.find((name) => spawnSync(name, ['--version']).error === undefined);
  if (compiler === undefined) throw new Error('no C++ compiler: install g++ (apt-get install g++)');
  const folder = join(root, 'build', 'native-tests', sanitizer);
  mkdirSync(folder, { recursive: true });

  const headers = ['native', 'test/native'].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.h'))
      .map((path) => join(root, top, path)),
  );
  const newestHeader = Math.max(...headers.map(modified));
  const flags = [...COMMON, ...FLAGS[sanitizer], '-Inative', '-Itest/native'];
  const run = (args: readonly string[]) => promisify(execFile)(compiler, args, { cwd: root });

  const units = sources(['core', 'machine', program]).map((source) => ({
    source,
    object: join(folder, `${basename(source, '.cc')}.o`),
  }));
  const stale = units.filter(({ source, object }) => {
    const built = modified(object);
    return built <= newestHeader || built <= modified(join(root, source));
  });
  const compileRest = async () => {
    for (let unit = stale.pop(); unit !== undefined; unit = stale.pop()) {
      await run([...flags, '-c', unit.source, '-o', unit.object]);
    }
  };
  await Promise.all([compileRest(), compileRest()]);

  const path = join(folder, program);
  if (units.some(({ object }) => modified(object) >= modified(path))) {
    await run([...flags, ...units.map(({ object }) => object), '-ldl', '-o', path]);
  }
  return path;
}

function sources(parts: readonly string[]): string[] {
  const lines = readFileSync(join(root, 'native', 'sources.txt'), 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [part, path] = line.split(' ');
    return part !== undefined && path !== undefined && parts.includes(part) ? [path] : [];
  });
}
