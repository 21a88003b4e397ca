import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { checkDatabase, checkZones, unusedMeters } from '../../src/cli/wattle/checks.js';
import { wattle } from '../../src/cli/wattle/main.js';
import { parseConfig } from '../../src/config/index.js';
import { FakeController } from './fake-controller.js';
import { run } from './run.js';

describe('wrong usage ends with 2 and names what was probably meant', () => {
  test.each([
    [[], 'The commands are agent, controller'],
    [['agnt'], 'nearest known is agent'],
    [['frobnicate'], 'The commands are agent, controller'],
    [['agent', '--chek'], 'nearest known is --check'],
    [['doctor', '--check'], '--check belongs to agent, controller; see wattle doctor --help.'],
    [['agent', '--for', '5s'], '--for belongs to sample; see wattle agent --help.'],
    [['doctor', '--jsn'], 'nearest known is --json'],
    [['agent', '--jsn'], 'See wattle agent --help.'],
    [['sample', 'foo'], 'wattle sample takes options alone'],
    [['smaple'], 'nearest known is sample'],
    [['sample', '--witneses'], 'nearest known is --witnesses'],
    [['sample', '--rate', '20kHz'], '--rate: expected a rate from 1Hz to 10kHz'],
    [['sample', '--meter', 'rapl-pref'], 'nearest is rapl-perf'],
    [['sample', '--meter', 'model,nvml', '--meter', 'Model=5'], '--meter: expected each meter once, found model twice'],
    [['sample', '--meter', 'ipmi=100'], '--meter ipmi: expected a rate from 0.1Hz to 10Hz, found "100"'],
    [['sample', '--meter', 'model=0.5'], '--meter model: expected a rate from 1Hz to 10kHz, found "0.5"'],
    [['sample', '--for', '0'], 'Write for example 10s.'],
    [['sample', '--for', '5m'], 'Write for example 5min.'],
    [['config', '--config'], 'Not enough arguments'],
    [['conservation', '--since', 'x'], 'expected a time, found "x"'],
    [['conservation', '--since', 'now', '--until', 'now-1day'], 'before --since'],
    [['conservation', '--controller', 'tcp:x'], '--controller: expected'],
  ])('%j', async (args, expected) => {
    const outcome = await run(wattle, ...args);
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr).toContain(expected);
  });
});

describe('wattle conservation', () => {
  let controller: FakeController;
  beforeEach(async () => {
    controller = await FakeController.start();
  });
  afterEach(() => controller.stop());

  const node = (owners: Record<string, number>, intervalsOff = 0): unknown => ({
    nodes: [{ node: 'n1', total: 10_000_000, owners, intervalsOff, intervals: 12, coverage: 0.999_9 }],
  });
  const check = () => run(wattle, 'conservation', '--controller', controller.address, '--since', 'now-2hours');

  test('shows each node, and ends with 0 where all is booked', async () => {
    controller.body = node({ job: 7_000_000, idle: 2_000_000, system: 1_000_000 });
    const outcome = await check();
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stdout).toMatch(/^n1 +10\.000 +7\.000 +2\.000 +1\.000 +0\.000 +0\.000 +0 +12 +99\.9% +holds$/m);
    expect(Number(controller.query['until']) - Number(controller.query['since'])).toBe(7_200_000);
  });

  test.each([
    ['a microjoule is missing', node({ job: 9_999_999 })],
    ['an interval is off though the sum is right', node({ job: 10_000_000 }, 1)],
  ])('ends with 1 where %s', async (_, body) => {
    controller.body = body;
    const outcome = await check();
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stdout).toContain('BROKEN');
  });
});

describe('with a configuration', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wattle-cli-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  test('wattle config shows what is in force, without the password', async () => {
    const path = join(folder, 'wattle.toml');
    writeFileSync(path, '[cluster]\nname = "hpc1"\n[database]\nurl = "postgres://u:s3cret@h/db"\n');
    const outcome = await run(wattle, 'config', '--config', path);
    expect(JSON.parse(outcome.stdout)).toMatchObject({ file: path, cluster: { name: 'hpc1' }, log: { level: 'info' } });
    expect(outcome.stdout).not.toContain('s3cret');
  });

  test('the address of the controller is taken from it, and its line is named where it is none', async () => {
    const path = join(folder, 'wattle.toml');
    writeFileSync(path, '[cluster]\nname = "hpc1"\ncontroller = "unix:/nowhere/c.sock"\n');
    const missing = await run(wattle, 'conservation', '--config', path);
    expect(missing.exitCode).toBe(3);
    expect(missing.stderr).toContain('unix:/nowhere/c.sock');

    writeFileSync(path, '[cluster]\nname = "hpc1"\ncontroller = "nowhere"\n');
    const wrong = await run(wattle, 'conservation', '--config', path);
    expect(wrong.exitCode).toBe(1);
    expect(wrong.stderr).toContain(`${path}:3:1`);
  });
});

test('a meter that is declared but not named is a warning with the line to write', () => {
  const text = (meters: string): string =>
    `[cluster]\nname = "hpc1"\n[sampler]\nmeters = ${meters}\n[sampler.redfish]\nurl = "https://b"\ncredentials_file = "/b"\n`;
  expect(unusedMeters(parseConfig(text('["nvml"]'), 'wattle.toml'))).toEqual([
    {
      what: 'meter redfish',
      state: 'warn',
      found: 'declared in [sampler.redfish], but not named in [sampler] meters: it is not read',
      remedy: 'write meters = ["nvml","redfish"] into [sampler], in order of preference',
    },
  ]);
  expect(unusedMeters(parseConfig(text('["redfish", "nvml"]'), 'wattle.toml'))).toEqual([]);
});

test('zones that the table does not know are named with their lines, all at once', () => {
  const text =
    '[cluster]\nname = "x"\n[carbon]\nzone = "FR"\n[carbon.partitions.gpu]\nzone = "QQ"\n[carbon.nodes."n[1-2]"]\nzone = "Q1"\n';
  expect(() => checkZones(parseConfig(text, 'w.toml'))).toThrow(
    /^w\.toml:6:1: carbon\.partitions\.gpu\.zone: .*\nw\.toml:8:1: /,
  );
  expect(checkZones(parseConfig('[cluster]\nname = "x"\n[carbon]\nzone = "FRA"\n', 'w.toml'))).toBe(1);
});

describe('the folder of the embedded database', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wattle-check-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const check = (path: string) =>
    checkDatabase(parseConfig(`[cluster]\nname = "x"\n[database]\npath = "${path}"\n`, 'w.toml'));

  test('is there, or will be made in the nearest one above', async () => {
    await expect(check(folder)).resolves.toBe(`embedded, in ${folder}`);
    await expect(check(`${folder}/a/b`)).resolves.toBe(`embedded, in ${folder}/a/b (will be made in ${folder})`);
  });

  test('cannot be made below a file', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await expect(check(`${file}/ledger`)).rejects.toThrow(`embedded, in ${file}/ledger: `);
  });
});
