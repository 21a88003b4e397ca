/** What a process can no longer do once it has given its privileges up; each thing is really tried. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NEEDS, NONE, privileged, TWO } from './support.js';

type Outcomes = Readonly<Record<string, string>>;
interface Report {
  readonly before: { readonly forbidden: Outcomes; readonly allowed: Outcomes };
  readonly after: { readonly forbidden: Outcomes; readonly allowed: Outcomes };
  readonly kept: readonly string[];
  readonly threads: readonly Outcomes[];
  readonly failedReadsSince: number;
  readonly program: Outcomes;
}

const NOBODY = 65534;
const BOTH = ['CAP_DAC_READ_SEARCH', 'CAP_SYS_PTRACE'];

let folder: string;
let foreign: ChildProcess;

/** Someone else's: file, folder, process, and a RAPL counter that only its owner may read. */
function prepare(): void {
  folder = mkdtempSync(join(tmpdir(), 'wattle-privileges-'));
  const zone = join(folder, 'sys/class/powercap/intel-rapl:0');
  for (const path of [zone, join(folder, 'foreign.d'), join(folder, 'mountpoint')])
    mkdirSync(path, { recursive: true });
  writeFileSync(join(folder, 'own'), '');
  writeFileSync(join(folder, 'foreign'), 'secret');
  writeFileSync(join(zone, 'name'), 'package-0\n');
  writeFileSync(join(zone, 'max_energy_range_uj'), '262143328850\n');
  writeFileSync(join(zone, 'energy_uj'), '1000\n');
  for (const path of ['foreign', 'foreign.d', 'sys/class/powercap/intel-rapl:0/energy_uj']) {
    chownSync(join(folder, path), NOBODY, NOBODY);
    chmodSync(join(folder, path), path === 'foreign.d' ? 0o755 : 0o600);
  }
  foreign = spawn('/bin/sleep', ['600'], { uid: NOBODY, gid: NOBODY, env: { SLURM_JOB_ID: '77' }, stdio: 'ignore' });
}

async function act(keep: readonly string[]): Promise<Report> {
  const script = join(import.meta.dirname, 'acts.mjs');
  const plan = JSON.stringify({ keep, folder, foreignPid: foreign.pid });
  const options = { env: { ...process.env, NODE_OPTIONS: '' }, timeout: 100_000 };
  const { stdout } = await promisify(execFile)(process.execPath, [script, plan], options);
  return JSON.parse(stdout) as Report;
}

(privileged ? describe : describe.skip)(`privileges given up (${NEEDS})`, () => {
  beforeAll(prepare);
  afterAll(() => {
    foreign.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  test('two are kept, and only what they are for still works', async () => {
    const { before, after, kept, threads, failedReadsSince, program } = await act(BOTH);
    expect(kept).toEqual(BOTH);

    // Main thread, V8's and libuv's, the one that waits for a debugger, a worker, the sampler's.
    expect(threads.length).toBeGreaterThan(5);
    expect(threads.map(({ Name }) => Name)).toContain('wattle-sampler');
    const left = { CapInh: NONE, CapPrm: TWO, CapEff: TWO, CapBnd: TWO, CapAmb: NONE, NoNewPrivs: '1' };
    for (const thread of threads) expect(thread).toMatchObject(left);
    // A program that it starts has nothing at all, although it is user 0's.
    expect(program).toMatchObject({ ...left, CapPrm: NONE, CapEff: NONE });

    // An act that the host refuses from the start (a container) proves nothing, nor one that it allows to everybody.
    const paranoid = Number(readFileSync('/proc/sys/kernel/perf_event_paranoid', 'utf8'));
    const lowPorts = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
    const free: Outcomes = {
      ...(paranoid < 1 ? { 'open a perf event of a whole CPU': 'done' } : {}),
      ...(lowPorts < 2 ? { 'bind a low port': 'done' } : {}),
    };
    for (const [name, outcome] of Object.entries(after.forbidden)) {
      if (before.forbidden[name] !== 'done' || free[name] !== undefined) continue;
      expect([name, outcome]).toEqual([name, expect.stringMatching(/^(EPERM|EACCES)$/)]);
    }
    expect(before.forbidden).toMatchObject({
      'give a file away': 'done',
      "write another user's file": 'done',
      "kill another user's process": 'done',
      'become another user': 'done',
    });

    expect(before.allowed).toEqual(after.allowed);
    expect(Object.values(after.allowed)).toEqual(['done', 'done']);
    expect(failedReadsSince).toBe(0);
  }, 120_000);

  test('without any, meters that are open are read on', async () => {
    const { after, kept, threads, failedReadsSince, program } = await act([]);
    expect(kept).toEqual([]);
    for (const thread of threads) expect(thread).toMatchObject({ CapPrm: NONE, CapEff: NONE, CapBnd: NONE });
    expect(program).toMatchObject({ CapPrm: NONE, CapEff: NONE, CapBnd: NONE });
    // The counter's file is as foreign as this one.
    expect(after.allowed).toEqual({
      "read another user's file": 'EACCES',
      "read another user's environment": 'EACCES',
    });
    expect(failedReadsSince).toBe(0);
  }, 120_000);
});
