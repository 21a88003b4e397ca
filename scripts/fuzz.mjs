/**
 * `npm run fuzz -- [TARGET [SECONDS]]`: clang's libFuzzer over one parser of outside text, or over all of them, each for
 * that long (60 s). Inputs that it finds interesting stay in build/fuzz/found/, beside those that break a target.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const BUILD = 'build/fuzz';
const CORPUS = 'test/native/fuzz/corpus';
const SANITIZE = 'address,undefined';

function run(command, args, env = {}) {
  const { status, signal, error } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  if (error !== undefined) throw error;
  if (status !== 0) console.log(`${command} ended with ${signal ?? status}`);
  return status === 0;
}

const [only, seconds = '60'] = process.argv.slice(2);
const targets = readdirSync(CORPUS).filter((target) => only === undefined || target === only);
if (targets.length === 0) throw new Error(`no fuzz target ${only}; there are: ${readdirSync(CORPUS).join(', ')}`);

const options = [`-DWATTLE_SANITIZE=${SANITIZE}`, '-DWATTLE_LIBFUZZER=ON', '-DCMAKE_CXX_COMPILER=clang++'];
const built =
  run('cmake', ['-S', '.', '-B', BUILD, ...options]) &&
  run('cmake', ['--build', BUILD, '--target', 'wattle_fuzz', '--parallel', '2']);
if (!built) process.exit(1);

const broken = targets.filter((target) => {
  console.log(`== ${target}`);
  const found = join(BUILD, 'found', target);
  mkdirSync(found, { recursive: true });
  const limits = [`-max_total_time=${seconds}`, '-max_len=4096', '-timeout=5', '-print_final_stats=1'];
  const places = [`-artifact_prefix=${found}/`, found, join(CORPUS, target)];
  return !run(join(BUILD, 'wattle_fuzz'), [...limits, ...places], { WATTLE_FUZZ: target });
});
console.log(broken.length === 0 ? `${targets.length} targets held` : `broken: ${broken.join(', ')}`);
process.exitCode = broken.length === 0 ? 0 : 1;
