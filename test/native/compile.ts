/** Compiles what has changed and links it: what the C++ tests, the fuzz targets and the emulated addon share. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const COMPILERS = ['g++', 'clang++'];

export interface Build {
  /** The repository's root; all other paths are relative to it. */
  readonly root: string;
  /** Where objects go, and the file that they are linked to. */
  readonly folder: string;
  readonly target: string;
  readonly sources: readonly string[];
  /** A change in a header of these folders, or in one of these files, makes all objects stale. */
  readonly headers: readonly string[];
  readonly flags: readonly string[];
  readonly linkFlags: readonly string[];
}

const modified = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Returns the absolute path of the target. Throws with the compiler's words. */
export async function compile({ root, folder, target, sources, headers, flags, linkFlags }: Build): Promise<string> {
  const compiler = COMPILERS.find((name) => spawnSync(name, ['--version']).error === undefined);
  if (compiler === undefined) throw new Error('no C++ compiler: install g++ (apt-get install g++)');
  mkdirSync(join(root, folder), { recursive: true });
  /** Two suites may build at the same time: what is there is whole. */
  const make = async (path: string, args: readonly string[]): Promise<void> => {
    const draft = `${path}.${process.pid}`;
    await promisify(execFile)(compiler, [...args, '-o', draft], { cwd: root });
    renameSync(draft, path);
  };

  const newestHeader = Math.max(...headers.flatMap((path) => headersIn(root, path)).map(modified));
  const units = sources.map((source) => ({
    source,
    object: join(root, folder, `${source.replaceAll('/', '-')}.o`),
  }));
  const stale = units.filter(
    ({ source, object }) => modified(object) <= Math.max(newestHeader, modified(join(root, source))),
  );
  const compileRest = async (): Promise<void> => {
    for (let unit = stale.pop(); unit !== undefined; unit = stale.pop()) {
      await make(unit.object, [...flags, '-c', unit.source]);
    }
  };
  await Promise.all([compileRest(), compileRest()]);

  const linked = join(root, folder, target);
  const objects = units.map(({ object }) => object);
  if (Math.max(...objects.map(modified)) >= modified(linked)) await make(linked, [...flags, ...objects, ...linkFlags]);
  return linked;
}

function headersIn(root: string, path: string): string[] {
  const at = join(root, path);
  if (!statSync(at).isDirectory()) return [at];
  const found = readdirSync(at, { recursive: true, encoding: 'utf8' });
  return found.filter((name) => name.endsWith('.h')).map((name) => join(at, name));
}

/** The files of native/sources.txt that belong to these parts. */
export function sourcesOf(root: string, parts: readonly string[]): string[] {
  const lines = readFileSync(join(root, 'native', 'sources.txt'), 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [part, path] = line.split(' ');
    return part !== undefined && path !== undefined && parts.includes(part) ? [path] : [];
  });
}
