/** Ends a process that samples, in the way its first argument names. Run by exit-paths.test.ts. */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';

const { NativeSampler } = createRequire(import.meta.url)('../../build/Release/wattle_sampler.node');

/** A sampler that has ticked, at a rate at which it is surely busy when its environment ends. */
async function sampling() {
  const settings = { idleWatts: 9, wattsPerCore: 1, gpuWatts: 0, cpuFormat: 'proc-stat', cpuPath: '/proc/stat' };
  const sampler = new NativeSampler({
    rateHz: 5000,
    cpuRateHz: 5000,
    ringRecords: 256,
    cpuSlots: 4,
    meters: [{ maker: 'model', rateHz: 5000, sysfs: '/nowhere', procfs: '/proc', only: [], settings }],
  });
  sampler.start();
  sampler.forceTick();
  while (sampler.stats().ticks < 10) await setImmediate();
  return sampler;
}

/** A worker that samples. Its listeners are there before it can end: it may be quicker than the message. */
async function inWorker(way) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: way });
  worker.ended = new Promise((resolve) => worker.once('exit', resolve));
  if (way === 'throw') worker.on('error', () => {});
  await new Promise((resolve) => worker.once('message', resolve));
  return worker;
}

const WAYS = {
  end: () => {},
  exit: () => process.exit(3),
  throw: () => {
    throw new Error('thrown on purpose');
  },
  reject: () => Promise.reject(new Error('rejected on purpose')),
  sigterm: async () => {
    process.kill(process.pid, 'SIGTERM');
    await setTimeout(60_000);
  },
  'sigterm-handled': async () => {
    process.once('SIGTERM', () => process.exit(4));
    process.kill(process.pid, 'SIGTERM');
    await setTimeout(60_000);
  },
  // Blocks until it is terminated from outside.
  wait: () => setTimeout(60_000),
};

const MAIN_WAYS = {
  'worker-end': async () => void (await (await inWorker('end')).ended),
  'worker-exit': async () => void (await (await inWorker('exit')).ended),
  'worker-throw': async () => void (await (await inWorker('throw')).ended),
  'worker-terminate': async () => {
    const worker = await inWorker('wait');
    await worker.terminate();
  },
  'worker-terminate-many': async () => {
    const workers = await Promise.all(Array.from({ length: 4 }, () => inWorker('wait')));
    await Promise.all(workers.map((worker) => worker.terminate()));
  },
  'exit-beside-worker': async () => {
    await inWorker('wait');
    process.exit(5);
  },
  collected: async () => {
    await sampling();
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    while (threads() >= before) {
      globalThis.gc();
      await setImmediate();
    }
  },
};

if (!isMainThread) {
  const { parentPort } = await import('node:worker_threads');
  globalThis.sampler = await sampling();
  parentPort.postMessage('sampling');
  await WAYS[workerData]();
} else {
  const way = process.argv[2];
  if (way !== 'collected') globalThis.sampler = await sampling();
  await (WAYS[way] ?? MAIN_WAYS[way])();
}
