/** Builds the C++ tests with a sanitizer, straight from native/sources.txt: needs nothing but g++ or clang++. */
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
} as const;
export type Sanitizer = keyof typeof FLAGS;

const modified = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Compiles what has changed and links; returns the path of the test program. */
export async function buildNativeTests(sanitizer: Sanitizer): Promise<string> {
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

  const units = sources().map((source) => ({ source, object: join(folder, `${basename(source, '.cc')}.o`) }));
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

  const program = join(folder, 'tests');
  if (units.some(({ object }) => modified(object) >= modified(program))) {
    await run([...flags, ...units.map(({ object }) => object), '-o', program]);
  }
  return program;
}

function sources(): string[] {
  const lines = readFileSync(join(root, 'native', 'sources.txt'), 'utf8').split('\n');
  return lines.flatMap((line) => /^(?:core|test|machine) (\S+)$/.exec(line)?.[1] ?? []);
}
