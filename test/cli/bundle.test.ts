import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

/** Two folders below package.json, as dist/bin is. */
const FOLDER = 'build/test-bin';
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/bundle.mjs', FOLDER], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
afterAll(() => {
  rmSync(FOLDER, { recursive: true });
});

test.each(['scarbon', 'wattle'])('%s is a program of its own', (command) => {
  const file = resolve(FOLDER, `${command}.js`);
  expect(statSync(file).mode & 0o111).toBe(0o111);
  expect(spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout).toContain(version);
  expect(spawnSync(file, ['--nonsense']).status).toBe(2);
});

test('commands of wattle find the parts that they load', () => {
  const { status, stdout } = spawnSync(resolve(FOLDER, 'wattle.js'), ['config', '--config', '/nowhere'], {
    encoding: 'utf8',
  });
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
});

test('scarbon ends quietly when its reader has seen enough', () => {
  const command = `${resolve(FOLDER, 'scarbon.js')} --help | true`;
  expect(spawnSync('bash', ['-o', 'pipefail', '-c', command], { encoding: 'utf8' })).toMatchObject({
    status: 0,
    stderr: '',
  });
});

test.each(['scarbon --help', 'wattle version'])('%s: a full disk is told, not only by the exit code', (words) => {
  const [command = '', option = ''] = words.split(' ');
  const { status, stderr } = spawnSync('bash', ['-c', `"$0" ${option} > /dev/full`, resolve(FOLDER, `${command}.js`)], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(new RegExp(`^${command}: standard output: .*ENOSPC.*\n$`)) as unknown,
  });
});

describe('wattle sample whose output nobody reads', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wattle-unread-'));
  const config = join(folder, 'wattle.toml');
  const fifo = join(folder, 'fifo');
  beforeAll(() => {
    const model = '[sampler.model]\nidle_watts = 100\nwatts_per_core = 0\n';
    writeFileSync(config, `[cluster]\nname = "x"\n[sampler]\nsysfs = "${folder}"\nmeters = ["model"]\n${model}`);
    expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  /** Its exit code and what it says; null for the code where it had to be killed. */
  async function unread(options: readonly string[], end?: NodeJS.Signals): Promise<[number | null, string]> {
    // Open for reading too, so that it has a reader: one that stands still, before a pipe that is full.
    const fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    expect(() => {
      for (;;) writeSync(fd, 'x'.repeat(4096));
    }).toThrow('EAGAIN');
    // Of the two meters one is not there, which it says when it is about to begin.
    const meters = ['--meter', 'model,pm-counters'];
    const args = [resolve(FOLDER, 'wattle.js'), 'sample', '--config', config, ...meters, '--csv', '-', ...options];
    const child = spawn(process.execPath, args, { stdio: ['ignore', fd, 'pipe'] });
    closeSync(fd);
    const timers = [setTimeout(() => child.kill('SIGKILL'), 40_000)];
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      if (said === '' && end !== undefined) timers.push(setTimeout(() => child.kill(end), 2000));
      said += chunk.toString();
    });
    const code = await new Promise<number | null>((done) => child.once('close', done));
    timers.forEach(clearTimeout);
    return [code, said];
  }

  test('ends after --for', async () => {
    const [code, said] = await unread(['--for', '1s', '--rate', '10k']);
    expect(code).toBe(1);
    expect(said).toMatch(/^wattle: standard output: nobody has read it/m);
    expect(said).toContain('Sampled ');
  }, 60_000);

  test('ends where less is left than what makes a stream ask for a pause', async () => {
    expect((await unread(['--for', '100ms']))[0]).toBe(1);
  }, 60_000);

  test('ends at SIGTERM', async () => {
    const [code, said] = await unread(['--rate', '10k'], 'SIGTERM');
    expect(code).toBe(1);
    expect(said).toMatch(/^wattle: standard output: nobody has read it/m);
  }, 60_000);
});

test('what scarbon loads before it asks holds neither yargs nor valibot', () => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(resolve(FOLDER, file), 'utf8');
    for (const [, chunk = ''] of text.matchAll(/(?:from|import)"\.\/([^"]+)"/g)) visit(chunk);
  };
  visit('scarbon.js');
  const text = [...seen].map((file) => readFileSync(resolve(FOLDER, file), 'utf8')).join('\n');
  expect(seen.size).toBeGreaterThan(1);
  expect(text).not.toContain('object_with_rest');
  expect(text).not.toContain('demandCommand');
});
