/**
 * agent.cost: what an agent takes from its node at the default rate while 16 jobs run: share of one core, and memory.
 * The real daemon against real control groups where this host lets us make some, else against files of the same shape.
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Emit } from './figure.js';

export const name = 'agent.cost';

const JOBS = 16;
/** An agent runs for months: its code is compiled, and its heap has its size. */
const WARM_UP_MS = 60_000;
const WINDOW_MS = 60_000;
const NODE = 'wattle-bench';

/** The job folders of a node, in a tree that the agent takes for control groups. */
interface Groups {
  readonly root: string;
  readonly kind: 'cgroup v1' | 'files';
  remove(): void;
}

function makeGroups(folder: string): Groups {
  const real = '/sys/fs/cgroup/cpuacct';
  const writable = ((): boolean => {
    try {
      accessSync(real, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  })();
  const root = writable ? '/sys/fs/cgroup' : join(folder, 'cgroup');
  const scope = join(root, 'cpuacct', `slurm_${NODE}`);
  const made: string[] = [];
  for (let job = 1; job <= JOBS; job++) {
    for (const path of ['', `uid_0`, `uid_0/job_${job}`, `uid_0/job_${job}/step_batch`].map((part) =>
      join(scope, part),
    )) {
      if (existsSync(path)) continue;
      mkdirSync(path, { recursive: true });
      made.push(path);
      if (!writable) writeFileSync(join(path, 'cpuacct.usage'), '0\n');
    }
  }
  return {
    root,
    kind: writable ? 'cgroup v1' : 'files',
    remove: () => {
      // A control group is removed with rmdir, children first; its files go with it.
      if (writable) for (const path of made.reverse()) rmdirSync(path);
    },
  };
}

function prologs(eventDir: string): void {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const monoNs = process.hrtime.bigint();
  mkdirSync(join(eventDir, NODE), { recursive: true });
  for (let job = 1; job <= JOBS; job++) {
    const fields = [
      'wattle-event 1',
      'kind=prolog',
      `mono_ns=${monoNs}`,
      `real_ns=${Date.now()}000000`,
      `boot_id=${bootId}`,
      `SLURM_JOB_ID=${job}`,
      `SLURM_JOB_NODELIST=${NODE}`,
      'SLURM_JOB_CPUS_PER_NODE=1',
      'end',
      '',
    ];
    writeFileSync(join(eventDir, NODE, `${String(job).padStart(20, '0')}-1.event`), fields.join('\0'));
  }
}

/** CPU seconds of all threads of a process so far, from the scheduler's own nanoseconds. */
function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const ns = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return ns.reduce((sum, each) => sum + each, 0) / 1e9;
}

function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

function startMunge(folder: string): number {
  const at = (file: string): string => join(folder, file);
  writeFileSync(at('key'), randomBytes(128), { mode: 0o600 });
  execFileSync('/usr/sbin/munged', [
    '--force',
    `--key-file=${at('key')}`,
    `--socket=${at('munge.socket')}`,
    `--pid-file=${at('munge.pid')}`,
    `--log-file=${at('munge.log')}`,
    `--seed-file=${at('munge.seed')}`,
  ]);
  return Number(readFileSync(at('munge.pid'), 'utf8'));
}

async function startController(path: string): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end('{}'));
  });
  await new Promise<void>((done) => server.listen(path, done));
  return server;
}

export async function run(emit: Emit): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'wattle-cost-'));
  const groups = makeGroups(folder);
  const munged = startMunge(folder);
  const server = await startController(join(folder, 'controller.sock'));
  try {
    const config = join(folder, 'wattle.toml');
    writeFileSync(
      config,
      [
        '[cluster]',
        'name = "bench"',
        `controller = "unix:${folder}/controller.sock"`,
        '[agent]',
        `node = "${NODE}"`,
        'cores = 16',
        `state_dir = "${folder}/state"`,
        `event_dir = "${folder}/events"`,
        `run_dir = "${folder}/run"`,
        '[sampler]',
        `cgroup_root = "${groups.root}"`,
        'meters = ["model"]',
        '[sampler.model]',
        'idle_watts = 50',
        'watts_per_core = 5',
        '[munge]',
        `socket = "${folder}/munge.socket"`,
        '',
      ].join('\n'),
      { mode: 0o600 },
    );
    prologs(join(folder, 'events'));
    const agent = spawn(process.execPath, [resolve('dist/bin/wattle.js'), 'agent', '--config', config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    agent.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const { pid } = agent;
    await sleep(WARM_UP_MS);
    if (pid === undefined || agent.exitCode !== null) throw new Error(`the agent ended: ${log}`);
    const before = cpuSeconds(pid);
    await sleep(WINDOW_MS);
    const percent = ((cpuSeconds(pid) - before) / (WINDOW_MS / 1000)) * 100;
    const rss = residentMb(pid);
    const ended = new Promise((done) => agent.once('exit', done));
    agent.kill('SIGTERM');
    await ended;
    const context = { jobs: JOBS, steps: JOBS, seconds: WINDOW_MS / 1000, rate_hz: 10, groups: groups.kind };
    emit({ figure: 'cpu_percent', value: percent, unit: '% of a core', aim: 0.5, better: 'lower', context });
    emit({ figure: 'rss_mb', value: rss, unit: 'MB', aim: 90, better: 'lower', context });
  } finally {
    server.closeAllConnections();
    server.close();
    process.kill(munged);
    groups.remove();
    // munged removes its own files meanwhile.
    await sleep(500);
    rmSync(folder, { recursive: true, force: true });
  }
}
