/** The hook client and the two scripts: an event when all is well, and exit 0 whatever is not. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { join, resolve } from 'node:path';
import { parseEvent } from '../../src/agent/events.js';

const HOOK = resolve('build/Release/wattle-hook');
const SCRIPTS = { prolog: resolve('slurm/prolog'), epilog: resolve('slurm/epilog') } as const;
const NODE = 'node1';
const isRoot = process.getuid?.() === 0;

let folder = '';
let events = '';
let run = '';

function mount(...args: string[]): boolean {
  return spawnSync('mount', args, { stdio: 'ignore' }).status === 0;
}

const canMount = ((): boolean => {
  const trial = mkdtempSync(join(tmpdir(), 'wattle-mount-'));
  const mounted = mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', trial);
  if (mounted) spawnSync('umount', [trial]);
  rmSync(trial, { recursive: true, force: true });
  return mounted;
})();

const withMount = canMount ? test : test.skip;
const asRoot = isRoot ? test : test.skip;

type Variables = Readonly<Record<string, string>>;

const job = (): Variables => ({
  SLURM_JOB_ID: '4711',
  SLURM_JOB_UID: '1000',
  SLURM_JOB_USER: 'ada',
  SLURM_JOB_PARTITION: 'batch',
  SLURM_JOB_NODELIST: NODE,
  SLURM_JOB_CPUS_PER_NODE: '4',
  SLURMD_NODENAME: NODE,
  WATTLE_HOOK: HOOK,
  WATTLE_EVENT_DIR: events,
  WATTLE_RUN_DIR: run,
});

/** Runs a script as slurmd does: without PATH, with Slurm's variables only. */
function runScript(kind: 'prolog' | 'epilog', env: Variables): SpawnSyncReturns<string> {
  return spawnSync(SCRIPTS[kind], [], { env, encoding: 'utf8', timeout: 10_000 });
}

function without(env: Variables, key: string): Variables {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name !== key));
}

function written(): string[] {
  const directory = join(events, NODE);
  return existsSync(directory) ? readdirSync(directory) : [];
}

function onlyFields(): string[] {
  const [file, ...more] = written();
  expect(more).toEqual([]);
  return readFileSync(join(events, NODE, file ?? ''), 'utf8').split('\0');
}

/** Every way to fail has the same outcome for the job, one line for slurmd's log, and leaves no half event. */
function expectHarmless(result: SpawnSyncReturns<string>): void {
  expect(result.status).toBe(0);
  expect(result.stdout).toBe('');
  expect(result.stderr).toMatch(/^wattle-hook: .+; the job goes on\n$/);
  expect(written()).toEqual([]);
}

beforeAll(() => {
  if (!existsSync(HOOK)) throw new Error(`${HOOK} is missing: npm run build:native`);
});

const folders: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wattle-hook-'));
  folders.push(folder);
  events = join(folder, 'events');
  run = join(folder, 'run');
  mkdirSync(events);
  mkdirSync(run);
});
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

describe('an event', () => {
  test.each(['prolog', 'epilog'] as const)('of the %s is what the agent reads', (kind) => {
    const before = Date.now();
    const result = runScript(kind, { ...job(), CUDA_VISIBLE_DEVICES: '0,1', SLURM_JOB_RESTART_COUNT: '2' });
    expect(result).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const [file = ''] = written();
    expect(file).toMatch(/^\d{20}-\d+\.event$/);
    const event = parseEvent(readFileSync(join(events, NODE, file)), NODE);
    expect(event).toMatchObject({
      kind,
      jobId: 4711,
      restartCount: 2,
      uid: 1000,
      user: 'ada',
      partition: 'batch',
      cores: 4,
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    });
    expect(event.realNs / 1e6).toBeGreaterThanOrEqual(before - 1);
    expect(event.realNs / 1e6).toBeLessThanOrEqual(Date.now() + 1);
    expect(Math.abs(event.monoNs - Number(process.hrtime.bigint()))).toBeLessThan(10e9);
  });

  test('is whole before it has its name, and private', () => {
    runScript('prolog', job());
    const [file = ''] = written();
    expect(onlyFields().slice(-2)).toEqual(['end', '']);
    expect(statSync(join(events, NODE, file)).mode & 0o777).toBe(0o600);
    expect(statSync(join(events, NODE)).mode & 0o777).toBe(0o700);
  });

  test('holds no variable of others and nothing that grants access', () => {
    runScript('prolog', {
      ...job(),
      HOME: '/root',
      LD_PRELOAD: '',
      SLURM_JWT: 'eyJhbGciOi',
      SLURM_Api_Token: 'a',
      SLURM_SECRET: 'b',
      SLURM_SSH_KEY: 'c',
      SLURM_DB_PASSWORD: 'd',
    });
    const names = onlyFields().map((field) => field.split('=')[0] ?? '');
    expect(names).toEqual(expect.arrayContaining(['kind', 'mono_ns', 'SLURM_JOB_ID', 'SLURM_JOB_USER']));
    expect(names.filter((name) => /HOME|LD_|JWT|Token|SECRET|KEY|PASS|WATTLE/.test(name))).toEqual([]);
  });

  test('leaves out a value over 4096 bytes and stops at 64 KiB, whole entries only', () => {
    const many = Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => [
        `SLURM_FILL_${index}`,
        String.fromCharCode(97 + (index % 26)).repeat(4000),
      ]),
    );
    runScript('prolog', { ...job(), SLURM_JOB_COMMENT: 'x'.repeat(5000), ...many });
    const fields = onlyFields();
    expect(fields.at(-2)).toBe('end');
    expect(fields).toContain('SLURM_JOB_ID=4711');
    expect(fields.join('\0').length).toBeLessThanOrEqual(64 * 1024);
    expect(fields.some((field) => field.startsWith('SLURM_JOB_COMMENT'))).toBe(false);
    const kept = fields.filter((field) => field.startsWith('SLURM_FILL_'));
    expect(kept.length).toBeGreaterThan(10);
    for (const field of kept) expect(field.split('=')[1]).toHaveLength(4000);
  });

  test('of forty hooks at once: forty files, each whole', async () => {
    await Promise.all(
      Array.from(
        { length: 40 },
        (_, index) =>
          new Promise<void>((done, failed) => {
            const child = spawn(SCRIPTS.prolog, [], {
              env: { ...job(), SLURM_JOB_ID: String(index) },
              stdio: 'ignore',
            });
            child.on('error', failed);
            child.on('exit', (code) => {
              if (code === 0) done();
              else failed(new Error(`exit code ${code ?? '?'}`));
            });
          }),
      ),
    );
    const ids = written().map((file) => parseEvent(readFileSync(join(events, NODE, file)), NODE).jobId);
    expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, index) => index));
  });

  test('never bears the name of an event while it is being written', async () => {
    const seen = new Set<string>();
    mkdirSync(join(events, NODE), { mode: 0o700 });
    const watcher = watch(join(events, NODE), (_, file) => seen.add(file ?? ''));
    try {
      for (let i = 0; i < 20; i += 1) {
        await new Promise((done) => spawn(SCRIPTS.prolog, [], { env: job(), stdio: 'ignore' }).on('exit', done));
      }
    } finally {
      watcher.close();
    }
    const temporary = [...seen].filter((file) => file.startsWith('.'));
    expect(temporary.length).toBeGreaterThan(0);
    expect(temporary.filter((file) => file.endsWith('.event'))).toEqual([]);
  });

  asRoot('belongs to the owner of the event directory', () => {
    chownSync(events, 65534, 65534);
    runScript('prolog', job());
    const [file = ''] = written();
    expect(statSync(join(events, NODE)).uid).toBe(65534);
    expect(statSync(join(events, NODE, file)).uid).toBe(65534);
  });
});

describe('the nudge', () => {
  /** Node has no unix datagram sockets. Says `ready` once bound, then the first datagram. */
  const LISTEN = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("ready", flush=True)
s.settimeout(10)
if sys.argv[2] == "read": print(s.recv(200).decode(), flush=True)
else: sys.stdin.read()
`;
  async function listening(
    mode: 'read' | 'ignore',
    work: (lines: () => Promise<string>) => Promise<void>,
  ): Promise<void> {
    const child = spawn('python3', ['-c', LISTEN, join(run, `${NODE}.nudge`), mode], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async (): Promise<string> => String((await lines.next()).value);
    try {
      expect(await line()).toBe('ready');
      await work(line);
    } finally {
      child.kill('SIGKILL');
    }
  }

  test('names the file that was written', async () => {
    await listening('read', async (line) => {
      const heard = line();
      runScript('prolog', job());
      expect(await heard).toBe(written()[0]);
    });
  });

  test('of an agent that reads none holds no one up', async () => {
    const many = 40; // Far more than the receive queue of a unix datagram socket holds (max_dgram_qlen, 10).
    await listening('ignore', () => {
      for (let i = 0; i < many; i += 1) expect(runScript('prolog', job()).status).toBe(0);
      return Promise.resolve();
    });
    expect(written()).toHaveLength(many);
  });

  test('to a deep run directory arrives all the same', async () => {
    run = join(folder, 'deep'.repeat(20), 'deep'.repeat(20));
    mkdirSync(run, { recursive: true });
    symlinkSync(run, join(folder, 'short'));
    const deep = run;
    run = join(folder, 'short');
    await listening('read', async (line) => {
      const heard = line();
      runScript('prolog', { ...job(), WATTLE_RUN_DIR: deep });
      expect(await heard).toMatch(/\.event$/);
    });
  });
});

describe('costs the job nothing when', () => {
  test('there is no agent and no run directory: the event waits', () => {
    rmSync(run, { recursive: true });
    expect(runScript('prolog', job())).toMatchObject({ status: 0, stderr: '' });
    expect(written()).toHaveLength(1);
  });

  test('there is no event directory', () => {
    rmSync(events, { recursive: true });
    expectHarmless(runScript('prolog', job()));
    expect(existsSync(events)).toBe(false);
  });

  test('the event directory is a file', () => {
    rmSync(events, { recursive: true });
    writeFileSync(events, '');
    const result = runScript('prolog', job());
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(readFileSync(events, 'utf8')).toBe('');
  });

  test.each(['', ' ', '.', '..', '../etc', 'a/b', '.hidden', 'n\n1', 'é', 'x'.repeat(300)])(
    'the node is called %j',
    (node) => {
      expectHarmless(runScript('prolog', { ...job(), SLURMD_NODENAME: node }));
      expect(readdirSync(events)).toEqual([]);
    },
  );

  test.each(['', 'abc', '-1', '12 ', '1e3', '0x10', '99999999999', '1\n2'])('the job id is %j', (id) => {
    expectHarmless(runScript('epilog', { ...job(), SLURM_JOB_ID: id }));
  });

  test.each(['SLURM_JOB_ID', 'SLURMD_NODENAME'])('%s is missing', (key) => {
    expectHarmless(runScript('prolog', without(job(), key)));
  });

  test('a file may not grow (ulimit -f)', () => {
    const result = spawnSync('/bin/sh', ['-c', `ulimit -f 0; exec ${SCRIPTS.prolog}`], {
      env: job(),
      encoding: 'utf8',
    });
    expectHarmless(result);
  });

  withMount('the disk is full', () => {
    expect(mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', events)).toBe(true);
    try {
      spawnSync('dd', ['if=/dev/zero', `of=${join(events, 'filler')}`, 'bs=4k'], { stdio: 'ignore' });
      expectHarmless(runScript('prolog', job()));
    } finally {
      spawnSync('umount', [events]);
    }
  });

  withMount('the disk has no file left to give', () => {
    expect(mount('-t', 'tmpfs', '-o', 'size=64k,nr_inodes=2', 'tmpfs', events)).toBe(true);
    try {
      mkdirSync(join(events, NODE));
      expectHarmless(runScript('prolog', job()));
    } finally {
      spawnSync('umount', [events]);
    }
  });

  withMount('the event directory is read-only', () => {
    mkdirSync(join(events, NODE));
    expect(mount('-t', 'tmpfs', '-o', 'ro', 'tmpfs', join(events, NODE))).toBe(true);
    try {
      expectHarmless(runScript('prolog', job()));
    } finally {
      spawnSync('umount', [join(events, NODE)]);
    }
  });

  test('the client is not installed', () => {
    const result = runScript('prolog', { ...job(), WATTLE_HOOK: join(folder, 'none') });
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/none is missing/);
  });

  test.each([
    ['fails', '#!/bin/sh\nexit 7\n'],
    ['is killed', '#!/bin/sh\nkill -9 $$\n'],
    ['is no program', '\u007FELF'],
  ])('the client %s', (_, text) => {
    const broken = join(folder, 'broken');
    writeFileSync(broken, text);
    chmodSync(broken, 0o755);
    expect(runScript('prolog', { ...job(), WATTLE_HOOK: broken }).status).toBe(0);
    expect(runScript('epilog', { ...job(), WATTLE_HOOK: broken }).status).toBe(0);
  });

  test('standard error is closed', () => {
    const close = (extra: Variables): number | null =>
      spawnSync('/bin/sh', ['-c', `exec ${SCRIPTS.prolog} >&- 2>&-`], { env: { ...job(), ...extra } }).status;
    expect(close({})).toBe(0);
    expect(close({ SLURM_JOB_ID: 'x' })).toBe(0);
    // With descriptors 1 and 2 free, the event's own file must not become the place where errors are written.
    for (const file of written()) expect(() => parseEvent(readFileSync(join(events, NODE, file)), NODE)).not.toThrow();
  });

  test.each([[['wrong']], [[]], [['prolog', 'epilog']]])('the client is called with %j', (args) => {
    const result = spawnSync(HOOK, args, { env: job(), encoding: 'utf8' });
    expectHarmless(result);
  });
});

describe('follows no trap', () => {
  test('a link in place of the event directory', () => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    rmSync(events, { recursive: true });
    symlinkSync(elsewhere, events);
    expectHarmless(runScript('prolog', job()));
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  test('a link in place of the node’s folder', () => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, join(events, NODE));
    expect(runScript('prolog', job())).toMatchObject({ status: 0, stdout: '' });
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  test.each(['the event directory', 'the node’s folder'])('%s that anyone may write to', (which) => {
    mkdirSync(join(events, NODE));
    chmodSync(which === 'the event directory' ? events : join(events, NODE), 0o777);
    expectHarmless(runScript('prolog', job()));
  });
});
