/** `wattle sample` with a real sampler: on the model meter, whose watts are known, and in a pseudo terminal. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { wattle } from '../../src/cli/wattle/main.js';
import { run, type Outcome } from './run.js';

let folder = '';
let config = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wattle-sample-'));
  config = join(folder, 'wattle.toml');
  configure();
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A node of 100 W, whatever it does, and no counters but those that a test makes. */
function configure(model = '[sampler.model]\nidle_watts = 100\nwatts_per_core = 0\n'): void {
  const roots = `sysfs = "${folder}/sys"\ncgroup_root = "${folder}/cgroup"\n`;
  writeFileSync(config, `[cluster]\nname = "x"\n[agent]\nnode = "n1"\n[sampler]\n${roots}${model}`);
}

const sample = (...args: string[]): Promise<Outcome> => run(wattle, 'sample', '--config', config, ...args);

const JOB = 'cgroup/cpuacct/slurm_n1/uid_0/job_4711';
function startJob(): void {
  mkdirSync(join(folder, JOB), { recursive: true });
  writeFileSync(join(folder, JOB, 'cpuacct.usage'), '5000000000\n');
}

test('prints watts each second, and in the end what was found and what it took', async () => {
  const { stdout, stderr, exitCode } = await sample('--for', '2500ms', '--rate', '100');
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  expect(stdout).toMatch(/^ +\d+\.\d s {2}package ~100 W$/m);
  expect(stdout).toMatch(/^Sampled n1 for \d+\.\d s at [\d.]+ Hz$/m);
  expect(stdout).toMatch(/^package +\*?~[\d.]+ k?J +\*?~100 W +\d+\.\d % +estimated +model, 100 Hz$/m);
  expect(stdout).toMatch(/^ {2}rate +100 Hz asked for, /m);
  expect(stdout).toMatch(/^ {2}own CPU +\d+\.\d\d % of a core/m);
  expect(stdout).not.toContain('\u001b');
});

test('writes every tick to a CSV file', async () => {
  const file = join(folder, 'ticks.csv');
  const { exitCode } = await sample('--for', '1s', '--rate', '200Hz', '--csv', file);
  expect(exitCode).toBe(0);
  const [heading, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  expect(heading).toBe('unix(s),elapsed(s),package(J),package(W)');
  const rows = lines.map((line) => line.split(',').map(Number));
  expect(rows.length).toBeGreaterThan(20);
  for (const [, elapsed = 0, joules = 0] of rows) {
    // CPU time is read ten times a second: the model is behind by up to as much.
    expect(joules).toBeLessThanOrEqual(100 * elapsed + 1e-3);
  }
  const [, elapsed = 0, joules = 0] = rows.at(-1) ?? [];
  expect(joules).toBeGreaterThan(100 * elapsed - 30);
});

test('writes nothing but JSON to standard output, and the summary to standard error', async () => {
  const { stdout, stderr } = await sample('--for', '500ms', '--json');
  const lines = stdout.trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(records[0]).toMatchObject({ version: 1, node: 'n1', domains: [{ name: 'package', meter: 'model' }] });
  expect(records.slice(1, -1).every((record) => Array.isArray(record['joules']))).toBe(true);
  expect(records.at(-1)).toMatchObject({ summary: { domains: [{ name: 'package', coverage: 1 }] } });
  expect(stderr).toContain('Sampled n1');
});

test('a lone dash is standard output', async () => {
  const { stdout } = await sample('--csv', '-', '--for', '300ms');
  expect(stdout).toMatch(/^unix\(s\),/);
});

test('a file that cannot be made is told before anything is sampled', async () => {
  const { stderr, exitCode } = await sample('--csv', join(folder, 'nowhere/ticks.csv'));
  expect(exitCode).toBe(1);
  expect(stderr).toContain('nowhere/ticks.csv');
});

describe('a job', () => {
  test('is sampled until it is over', async () => {
    startJob();
    const running = sample('--job', '4711', '--json');
    await new Promise((done) => setTimeout(done, 700));
    rmSync(join(folder, JOB), { recursive: true });
    const { stdout, stderr, exitCode } = await running;
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')[0]).toContain('"jobId":4711');
    expect(stderr).toMatch(/^Job 4711: /m);
  });

  test('that is not here ends with 1 and names those that are', async () => {
    startJob();
    const { stderr, stdout, exitCode } = await sample('--job', '12');
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(/Job 12 has no control group on node n1: in .*slurm_n1 there is 4711\./);
    expect(stderr).toContain('squeue -j 12');
  });
});

describe('meters', () => {
  test('one that is there but cannot be read is told, although another takes its place', async () => {
    const zone = join(folder, 'sys/class/powercap/intel-rapl:0');
    mkdirSync(zone, { recursive: true });
    writeFileSync(join(zone, 'name'), 'package-0\n');
    writeFileSync(join(zone, 'energy_uj'), '');
    const { stderr, exitCode } = await sample('--for', '300ms');
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/meter rapl-powercap: .*energy_uj/);
  });

  test('nothing to read ends with 1, with what each lacks', async () => {
    const { stderr, stdout, exitCode } = await sample('--meter', 'rapl-powercap=100', '--meter', 'pm-counters');
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain('meter rapl-powercap: there is no RAPL zone');
    expect(stderr).toContain('meter pm-counters: there is no pm_counters folder');
    expect(stderr).toContain('tried: rapl-powercap, pm-counters');
  });

  test('a kind of domain that nothing gives ends with 1, and is what the message is about', async () => {
    const { stderr, stdout, exitCode } = await sample('--domain', 'gpu');
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain('of the kind gpu on this machine; there is package.');
    expect(stderr).toContain('--domain');
    expect(stderr).not.toContain('tried:');
  });

  test('one that needs more than its name says so', async () => {
    configure('');
    const { stderr, exitCode } = await sample('--meter', 'model');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('[sampler.model]');
  });

  test('each has its own rate, and a kind of domain can be picked', async () => {
    configure('[sampler.model]\nidle_watts = 100\nwatts_per_core = 0\ngpu_watts = 40\n');
    const { stdout } = await sample('--meter', 'model=50', '--domain', 'gpu', '--for', '1200ms', '--for', '500ms');
    expect(stdout).toMatch(/^gpu +~\d/m);
    expect(stdout).not.toMatch(/^package/m);
    expect(stdout).toMatch(/rate +50 Hz asked for/);
  });
});

const hasScript = spawnSync('script', ['--version']).status === 0;
(hasScript ? describe : describe.skip)('in a terminal', () => {
  /** Two folders below package.json, as dist/bin is. */
  const BIN = 'build/test-sample-bin';
  beforeAll(() => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/bundle.mjs', BIN], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  }, 60_000);
  afterAll(() => {
    rmSync(BIN, { recursive: true, force: true });
  });

  /** Runs it under script(1), and ends it when it has drawn; what the terminal was sent, and the exit code. */
  async function inTerminal(end: 'SIGINT' | 'SIGTERM', env: Record<string, string>): Promise<[string, number | null]> {
    const command = `echo pid $$; exec ${process.execPath} ${resolve(BIN, 'wattle.js')} sample --config ${config}`;
    const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env: { PATH: process.env['PATH'] ?? '', SHELL: '/bin/sh', ...env },
    });
    let seen = '';
    let ended = false;
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      // Two frames: the second is drawn over the first.
      if (ended || seen.split('Ctrl-C ends').length < 3) return;
      ended = true;
      if (end === 'SIGINT') child.stdin.write('\u0003');
      else process.kill(Number(/pid (\d+)/.exec(seen)?.[1]), end);
    });
    const code = await new Promise<number | null>((done) => child.once('close', done));
    return [seen, code];
  }

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'draws over itself until %s, then shows the cursor and the summary',
    async (end) => {
      const [seen, code] = await inTerminal(end, { TERM: 'xterm', LANG: 'C.UTF-8' });
      expect(code).toBe(0);
      const [hidden, shown] = [seen.indexOf('\u001b[?25l'), seen.lastIndexOf('\u001b[?25h')];
      expect(hidden).toBeGreaterThan(-1);
      expect(shown).toBeGreaterThan(hidden);
      expect(seen.slice(hidden, shown)).toMatch(/\u001b\[\d+A/); // eslint-disable-line no-control-regex
      expect(seen.slice(shown)).toContain('Sampled n1');
    },
    60_000,
  );

  test('without colours where they are not wanted', async () => {
    const [seen] = await inTerminal('SIGINT', { TERM: 'xterm', LANG: 'C', NO_COLOR: '1' });
    expect(seen).toContain('\u001b[?25l');
    expect(seen).not.toMatch(/\u001b\[\d+m/); // eslint-disable-line no-control-regex
    expect(seen).not.toMatch(/[▁-█]/);
  }, 60_000);
});
