/**
 * Builds the addon and the hook client with node-gyp: quietly, and only what has changed.
 * On failure it says what is missing and how to get it, then shows the compiler's words.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const makefile = join(root, 'build', 'Makefile');

/** Where this Node's own headers lie, so that nothing has to be downloaded; undefined where they are not installed. */
function localHeaders() {
  const prefixes = [dirname(dirname(process.execPath)), '/usr', '/usr/local'];
  return prefixes.find((prefix) => {
    const header = join(prefix, 'include', 'node', 'node_version.h');
    if (!existsSync(header)) return false;
    const major = /^#define NODE_MAJOR_VERSION (\d+)/m.exec(readFileSync(header, 'utf8'))?.[1];
    return major === process.versions.node.split('.')[0];
  });
}

function nodeGyp() {
  const require = createRequire(import.meta.url);
  try {
    return require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    const npm = execFileSync('npm', ['root', '-g'], { encoding: 'utf8' }).trim();
    return join(npm, 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  }
}

function configured() {
  if (!existsSync(makefile)) return false;
  const built = statSync(makefile).mtimeMs;
  const inputs = ['binding.gyp', 'native/sources.txt', 'package-lock.json'].map((path) => join(root, path));
  if (inputs.some((path) => statSync(path).mtimeMs > built)) return false;
  const config = readFileSync(join(root, 'build', 'config.gypi'), 'utf8');
  const nodedir = /"nodedir": "([^"]+)"/.exec(config)?.[1];
  return nodedir !== undefined && existsSync(join(nodedir, 'include', 'node', 'node_api.h'));
}

function missingTools() {
  const tools = { make: 'make', 'g++': 'g++', python3: 'python3' };
  return Object.keys(tools).filter((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined);
}

function run(step) {
  const headers = localHeaders();
  const args = [nodeGyp(), step, '--loglevel=warn', ...(headers === undefined ? [] : [`--nodedir=${headers}`])];
  const result = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, MAKEFLAGS: process.env.MAKEFLAGS ?? '-j2' },
  });
  if (result.status === 0) return;
  const missing = missingTools();
  const advice =
    missing.length > 0
      ? `Missing: ${missing.join(', ')}. On Debian or Ubuntu: apt-get install g++ make python3; on RHEL-like systems: dnf install gcc-c++ make python3 libstdc++-static glibc-static.`
      : headers === undefined
        ? 'The headers of this Node are not installed and could not be fetched; install them beside Node (include/node/node_api.h).'
        : 'The compiler must know C++20 (g++ 11 or later, clang++ 14 or later); its words are above.';
  process.stderr.write(`${result.stdout}${result.stderr}\n`);
  process.stderr.write(`The native part could not be built (node-gyp ${step}).\n${advice}\n`);
  process.exit(1);
}

if (!configured()) run('configure');
run('build');
