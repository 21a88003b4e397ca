/** The real agent, started as root: what its threads have left, and that it can be told anew all the same. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkAgent } from '../../src/agent/index.js';
import { agentIn, sealPlain } from '../agent/support.js';
import { type PowercapEmulator, startPowercapEmulator } from '../hardware/powercap.js';
import { NEEDS, NONE, ofEachThread, privileged, TWO } from './support.js';

const NOBODY = 65534;
const program = join(import.meta.dirname, '..', '..', 'dist', 'bin', 'wattle.js');

let folder: string;
let hardware: PowercapEmulator;
let agent: ChildProcess;
let log: string;

function configure(more = ''): void {
  const text = [
    '[cluster]',
    'name = "test"',
    `controller = "unix:${folder}/nobody.sock"`,
    '[agent]',
    'node = "n1"',
    'cores = 2',
    `state_dir = "${folder}/state"`,
    `event_dir = "${folder}/events"`,
    `run_dir = "${folder}/run"`,
    'report_interval = "1s"',
    '[munge]',
    `socket = "${folder}/munge.socket"`,
    '[sampler]',
    `sysfs = "${hardware.root}"`,
    `cgroup_root = "${folder}/cgroup"`,
    'meters = ["rapl-powercap"]',
    more,
    '',
  ];
  writeFileSync(join(folder, 'wattle.toml'), text.join('\n'), { mode: 0o600 });
}

/** @param by a command that starts the agent, in place of this process */
function start(...by: readonly string[]): void {
  const [command, ...args] = [...by, process.execPath, program, 'agent', '--config', join(folder, 'wattle.toml')];
  agent = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  agent.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
}

/** Waits until it holds, without a limit of its own but with the agent alive. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) {
    if (agent.exitCode !== null || agent.signalCode !== null) throw new Error(`the agent ended: ${log}`);
    await sleep(20);
  }
}

const said = (text: string): number => log.split(text).length - 1;

/** Batches that wait in the spool, oldest first. */
function batches(): string[] {
  const spool = join(folder, 'state', 'spool');
  if (!existsSync(spool)) return [];
  const names = readdirSync(spool).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => join(spool, name));
}

/** Package joules in them, but for the first `passed` ones. */
function packageJoules(passed: number): number {
  interface Batch {
    readonly segments: readonly { readonly microjoules: { readonly package: number } }[];
  }
  const read = batches()
    .slice(passed)
    .map((path) => JSON.parse(readFileSync(path, 'utf8')) as Batch);
  return read.flatMap(({ segments }) => segments).reduce((sum, { microjoules }) => sum + microjoules.package, 0) / 1e6;
}

(privileged ? describe : describe.skip)(`the agent as root (${NEEDS})`, () => {
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wattle-agent-'));
    log = '';
    mkdirSync(join(folder, 'sys'));
    const zones = [{ name: 'package-0', kind: 'package', waveform: { shape: 'constant', watts: 100 } }] as const;
    hardware = await startPowercapEmulator({ root: join(folder, 'sys'), zones, updateHz: 100 });
    configure();
  });
  afterEach(async () => {
    if (agent.exitCode === null && agent.signalCode === null) {
      const ended = new Promise((resolve) => agent.once('exit', resolve));
      agent.kill('SIGTERM');
      await ended;
    }
    await hardware.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('every thread has the two capabilities alone, while the meters are read', async () => {
    start();
    await until(() => said('agent started') === 1);
    expect(log).toContain('privileges given up kept=["CAP_DAC_READ_SEARCH","CAP_SYS_PTRACE"]');
    expect(log).toContain('info  package: rapl-powercap, the only meter here that gives it');
    await until(() => packageJoules(0) > 50);
    const pid = agent.pid ?? 0;
    expect(ofEachThread(pid, 'Name')).toContain('wattle-sampler');
    for (const field of ['CapPrm', 'CapEff', 'CapBnd'])
      expect([field, ofEachThread(pid, field)]).toEqual([field, [TWO]]);
    for (const field of ['CapInh', 'CapAmb']) expect([field, ofEachThread(pid, field)]).toEqual([field, [NONE]]);
    expect(ofEachThread(pid, 'NoNewPrivs')).toEqual(['1']);
  }, 120_000);

  test('a user with these capabilities does as well as root', async () => {
    // As systemd/wattle-agent-user.conf has it.
    const capabilities = '+dac_read_search,+sys_ptrace,+setpcap';
    const sets = ['--inh-caps', capabilities, '--ambient-caps', capabilities, '--bounding-set', `-all,${capabilities}`];
    chownSync(folder, NOBODY, NOBODY);
    chmodSync(join(hardware.root, 'class/powercap/intel-rapl:0/energy_uj'), 0o400);
    start('setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', ...sets);
    await until(() => packageJoules(0) > 50);
    const pid = agent.pid ?? 0;
    expect(ofEachThread(pid, 'Uid')[0]).toMatch(/^65534\t65534/);
    for (const field of ['CapPrm', 'CapEff', 'CapBnd'])
      expect([field, ofEachThread(pid, field)]).toEqual([field, [TWO]]);
    for (const field of ['CapInh', 'CapAmb']) expect([field, ofEachThread(pid, field)]).toEqual([field, [NONE]]);
  }, 120_000);

  test('a rate that needs precedence keeps the capability for it', async () => {
    configure('rate_hz = 200');
    start();
    await until(() => said('agent started') === 1);
    expect(log).toContain('kept=["CAP_DAC_READ_SEARCH","CAP_SYS_PTRACE","CAP_SYS_NICE"]');
  }, 120_000);

  test('a reload goes on with the open meters, or stays where one cannot be opened again', async () => {
    start();
    await until(() => said('agent started') === 1);

    // From here on whoever opens the meter anew finds none.
    const name = join(hardware.root, 'class/powercap/intel-rapl:0/name');
    rmSync(name);
    configure('[ledger]\ninterval = "1min"');
    agent.kill('SIGHUP');
    await until(() => said('agent started') === 2);
    const first = batches().length;
    await until(() => packageJoules(first) > 50);

    configure('rate_hz = 20');
    agent.kill('SIGHUP');
    await until(() => said('reload failed') === 1);
    expect(log).toContain('The meter rapl-powercap cannot be opened');
    expect(log).toContain('Restart the agent to change its meters.');
    const second = batches().length;
    await until(() => packageJoules(second) > 50);
    expect(said('agent started')).toBe(2);

    writeFileSync(name, 'package-0\n');
    agent.kill('SIGHUP');
    await until(() => said('agent started') === 3);
    const third = batches().length;
    await until(() => packageJoules(third) > 50);
    expect(ofEachThread(agent.pid ?? 0, 'CapEff')).toEqual([TWO]);
  }, 120_000);
});

(privileged ? test : test.skip)(
  `--check names a folder that the agent could not write without privileges (${NEEDS})`,
  async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'wattle-check-'));
    try {
      mkdirSync(join(scratch, 'events/n1'), { recursive: true });
      const own = await checkAgent(agentIn(scratch), sealPlain);
      expect(own.find(({ what }) => what === 'job events')).toMatchObject({ state: 'ok' });
      chownSync(join(scratch, 'events/n1'), NOBODY, NOBODY);
      chmodSync(join(scratch, 'events/n1'), 0o700);
      const foreign = await checkAgent(agentIn(scratch), sealPlain);
      expect(foreign.find(({ what }) => what === 'job events')).toMatchObject({
        state: 'fail',
        remedy: `chown 0 ${join(scratch, 'events/n1')}`,
      });
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  },
);
