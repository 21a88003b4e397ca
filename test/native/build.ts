/** Builds the C++ tests, straight from native/sources.txt: needs nothing but g++ or clang++. */
import { join } from 'node:path';
import { compile, sourcesOf } from './compile.js';

const COMMON = ['-std=c++20', '-O1', '-g', '-fno-exceptions', '-Wall', '-Wextra', '-Wshadow', '-Werror', '-pthread'];
const FLAGS = {
  'address-undefined': ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
  thread: ['-fsanitize=thread'],
  none: [],
} as const;
export type Sanitizer = keyof typeof FLAGS;

/** A part of native/sources.txt that has a main(), and is linked with all of `core` and `machine`. */
export type Program = 'test' | 'quiet' | 'fuzz';

/** Compiles what has changed and links; returns the path of the program. */
export function buildNative(program: Program, sanitizer: Sanitizer): Promise<string> {
  const root = join(import.meta.dirname, '..', '..');
  return compile({
    root,
    folder: join('build', 'native-tests', sanitizer),
    target: program,
    sources: sourcesOf(root, ['core', 'machine', program]),
    headers: ['native', 'test/native'],
    flags: [...COMMON, ...FLAGS[sanitizer], '-Inative', '-Itest/native'],
    linkFlags: ['-ldl'],
  });
}
