/**
 * Tries what takes a privilege, gives its privileges up, tries again, and prints what came of it as JSON.
 * acts.mjs {"keep": [...], "folder": ..., "foreignPid": ...}; run as root by privileges.test.ts.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { constants, getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import * as koffi from 'koffi';

const { keep, folder, foreignPid } = JSON.parse(process.argv[2]);
const addon = createRequire(import.meta.url)('../../build/Release/wattle_sampler.node');
const at = (name) => join(folder, name);

const libc = koffi.load(null);
const ERRORS = Object.fromEntries(Object.entries(constants.errno).map(([name, number]) => [number, name]));
/** A call of libc that throws as Node's own do. */
function call(prototype) {
  const native = libc.func(prototype);
  return (...args) => {
    const result = native(...args);
    if (result >= 0) return result;
    throw Object.assign(new Error(prototype), { code: ERRORS[koffi.errno()] });
  };
}
const mount = call(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, void *data)',
);
const umount = call('int umount(const char *target)');
const socket = call('int socket(int domain, int type, int protocol)');
const close = call('int close(int fd)');
const mknod = call('int mknod(const char *path, unsigned int mode, unsigned long device)');
const schedule = call('int sched_setscheduler(int pid, int policy, uint32_t *priority)');
const syscall = call('long syscall(long number, uint8_t *attributes, long pid, long cpu, long group, long flags)');
const SYS_PERF_EVENT_OPEN = { x64: 298, arm64: 241 }[process.arch];

function perfOfOneCpu() {
  const attributes = Buffer.alloc(128);
  // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK: there also where the processor has no counters.
  attributes.writeUInt32LE(1, 0);
  attributes.writeUInt32LE(attributes.length, 4);
  close(syscall(SYS_PERF_EVENT_OPEN, attributes, -1, 0, -1, 0));
}

async function bind(port) {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  await new Promise((resolve) => server.close(resolve));
}

/** What a process without privileges may not do. Each leaves everything as it was. */
const FORBIDDEN = {
  'give a file away': () => {
    fs.chownSync(at('own'), 65534, 65534);
    fs.chownSync(at('own'), 0, 0);
  },
  "write another user's file": () => fs.closeSync(fs.openSync(at('foreign'), 'r+')),
  "change the mode of another user's file": () => fs.chmodSync(at('foreign'), 0o600),
  "make a file in another user's folder": () => {
    fs.writeFileSync(at('foreign.d/file'), '');
    fs.unlinkSync(at('foreign.d/file'));
  },
  // Signal 0 asks whether one could be sent.
  "kill another user's process": () => process.kill(foreignPid, 0),
  'become another user': () => {
    process.seteuid(65534);
    process.seteuid(0);
  },
  'bind a low port': () => bind(1),
  'open a raw socket': () => close(socket(2, 3, 1)),
  mount: () => {
    mount('wattle', at('mountpoint'), 'tmpfs', 0, null);
    umount(at('mountpoint'));
  },
  'make a device': () => {
    mknod(at('device'), 0o020600, 0x103);
    fs.unlinkSync(at('device'));
  },
  'open a perf event of a whole CPU': perfOfOneCpu,
  'be scheduled in real time': () => {
    schedule(0, 1, [1]);
    schedule(0, 0, [0]);
  },
  'take precedence': () => {
    const before = getPriority();
    setPriority(before - 1);
    setPriority(before);
  },
};

/** What the two kept capabilities are for. */
const ALLOWED = {
  "read another user's file": () => fs.readFileSync(at('foreign')),
  "read another user's environment": () => {
    if (!fs.readFileSync(`/proc/${foreignPid}/environ`, 'latin1').includes('SLURM_JOB_ID=77')) throw new Error('empty');
  },
};

async function attempt(acts) {
  const outcomes = {};
  for (const [name, act] of Object.entries(acts)) {
    outcomes[name] = await Promise.resolve()
      .then(act)
      .then(
        () => 'done',
        (error) => error.info?.code ?? error.code ?? error.message,
      );
  }
  return outcomes;
}

const status = (path) => fs.readFileSync(path, 'utf8');
const sets = (text) =>
  Object.fromEntries(
    [...text.matchAll(/^(Cap\w+|NoNewPrivs|Name):\s*(.*)$/gm)].map(([, name, value]) => [name, value]),
  );

const meter = { maker: 'rapl-powercap', rateHz: 50, sysfs: at('sys'), procfs: '/proc', only: [], settings: {} };
const sampler = new addon.NativeSampler({ rateHz: 50, cpuRateHz: 10, ringRecords: 64, cpuSlots: 1, meters: [meter] });
const ticks = () => sampler.stats().ticks;
const readings = () => ({
  ticks: ticks(),
  failed: sampler.stats().domains.reduce((sum, { failedReads }) => sum + failedReads, 0),
});

// As many kinds of thread as there are: libuv's pool, a worker, the sampler's; Node's own are there already.
await fs.promises.readFile(process.argv[1]);
const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
await new Promise((resolve) => worker.once('online', resolve));
sampler.start();
while (ticks() < 3) await sleep(5);

const before = { forbidden: await attempt(FORBIDDEN), allowed: await attempt(ALLOWED) };
const kept = addon.dropPrivileges(keep);
const threads = fs.readdirSync('/proc/self/task').map((thread) => sets(status(`/proc/self/task/${thread}/status`)));
const after = { forbidden: await attempt(FORBIDDEN), allowed: await attempt(ALLOWED) };

const then = readings();
while (ticks() < then.ticks + 3) await sleep(5);
// What the C library does for setuid() in all threads still works: it uses the same signal. Nothing changes by it.
process.seteuid(0);
console.log(
  JSON.stringify({
    before,
    kept,
    threads,
    after,
    failedReadsSince: readings().failed - then.failed,
    // A program that root executes usually has everything.
    program: sets(execFileSync('/bin/cat', ['/proc/self/status'], { encoding: 'utf8' })),
  }),
);
sampler.stop();
await worker.terminate();
