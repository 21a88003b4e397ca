/** From emulated counters to the stored ledger: what is booked against what the hardware is known to have used. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { Agent } from '../../src/agent/index.js';
import type { JobAnswer } from '../../src/contract/index.js';
import { Ledger, openDatabase } from '../../src/ledger/index.js';
import { Sampler, monotonicNs } from '../../src/sampler/index.js';
import { agentIn, FakeController, sealPlain, writeHookEvent } from '../agent/support.js';
import { buildWorker } from '../ledger/support/worker.js';
import { type PowercapEmulator, type ZoneOptions, startPowercapEmulator } from './powercap.js';

const JOB = 7;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A node with emulated counters, its agent, and a ledger that books what the agent sends. */
class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'wattle-truth-'));
  emulator!: PowercapEmulator;
  ledger!: Ledger;
  agent!: Agent;
  readonly #controller = new FakeController((batch) => this.ledger.book(batch, { zone: 'FR', pue: 1 }));

  static async start(zones: readonly ZoneOptions[]): Promise<Bench> {
    const bench = new Bench();
    cleanups.push(() => {
      rmSync(bench.folder, { recursive: true, force: true });
    });
    await bench.#start(zones);
    return bench;
  }

  async #start(zones: readonly ZoneOptions[]): Promise<void> {
    const at = (name: string): string => join(this.folder, name);
    mkdirSync(at('sys'));
    mkdirSync(at('cgroup/cpuacct/slurm_n1'), { recursive: true });
    writeFileSync(at('cgroup/cpuacct/slurm_n1/cpuacct.usage'), '0\n');
    this.emulator = await startPowercapEmulator({ root: at('sys'), zones });
    cleanups.push(() => this.emulator.stop());
    const database = await openDatabase({ path: at('ledger'), workerUrl: await buildWorker() });
    cleanups.push(() => database.close());
    this.ledger = await Ledger.open(database, 'test');
    await this.#controller.listen(this.folder);
    cleanups.push(() => this.#controller.close());
    this.agent = new Agent(agentIn(this.folder, { ledgerIntervalMs: 60_000 }), {
      sampler: new Sampler({ sysfs: at('sys'), meters: [{ kind: 'rapl-powercap' }] }),
      monotonicNs,
      seal: sealPlain,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    });
    await this.agent.start();
    cleanups.push(() => this.agent.stop(100));
  }

  /** Returns the event's monotonic time. */
  hook(kind: 'prolog' | 'epilog'): number {
    return writeHookEvent(join(this.folder, 'events'), kind, JOB, { cores: 4 });
  }

  async job(): Promise<JobAnswer> {
    const [job] = (await this.ledger.jobs({ limit: 10 })).jobs;
    if (!job) throw new Error('the ledger knows no job');
    return job;
  }

  /** Truth and ledger over the time that the agent has booked, in joules, and the ledger's coverage. */
  async totals(zones: readonly string[]): Promise<{ truth: number; booked: number; coverage: number; off: number }> {
    const segments = this.#controller.batches.flatMap((batch) => batch.segments);
    const offsetNs = Date.now() * 1e6 - monotonicNs();
    const from = Math.min(...segments.map((segment) => segment.startMs)) * 1e6 - offsetNs;
    const to = Math.max(...segments.map((segment) => segment.endMs)) * 1e6 - offsetNs;
    const [node] = (await this.ledger.conservation(0, Date.now() + 60_000)).nodes;
    return {
      truth: zones.reduce((sum, zone) => sum + this.emulator.truthUj(zone, from, to), 0) / 1e6,
      booked: (node?.total ?? 0) / 1e6,
      coverage: node?.coverage ?? 0,
      off: node?.intervalsOff ?? 1,
    };
  }
}

const RANGE = 20e9;
const ZONES: readonly ZoneOptions[] = [
  { name: 'package-0', kind: 'package', waveform: { shape: 'square', lowWatts: 60, highWatts: 240, periodS: 0.7 } },
  // Contained in package-0: adding it would be a double count.
  { name: 'package-0/core', kind: 'core', waveform: { shape: 'constant', watts: 50 } },
  { name: 'package-0/dram', kind: 'dram', waveform: { shape: 'random', lowWatts: 5, highWatts: 60, seed: 3 } },
  {
    name: 'package-1',
    kind: 'package',
    waveform: { shape: 'ramp', lowWatts: 50, highWatts: 250, periodS: 1.1 },
    rangeUj: RANGE,
    initialUj: RANGE - 200e6,
  },
];
const COUNTED = ['package-0', 'package-0/dram', 'package-1'];

test('ledger and job agree with the hardware, over a wrap, failed reads and an edge of the ledger', async () => {
  const bench = await Bench.start(ZONES);
  await sleep(1500);
  const start = bench.hook('prolog');
  await sleep(1000);
  await bench.emulator.fault('package-0', 'failed-read');
  await sleep(600);
  await bench.emulator.fault('package-0', 'none');
  await sleep(1400);
  const end = bench.hook('epilog');
  await sleep(1500);
  await bench.agent.stop();

  const { truth, booked, coverage, off } = await bench.totals(COUNTED);
  expect(off).toBe(0);
  expect(coverage).toBeGreaterThan(0.98);
  expect(Math.abs(booked / truth - 1)).toBeLessThan(0.01);

  // The job has all four cores and nothing else burns CPU time, so everything between its edges is its own.
  const { energy } = await bench.job();
  const jobTruth = COUNTED.reduce((sum, zone) => sum + bench.emulator.truthUj(zone, start, end), 0);
  const jobBooked = energy.package + energy.dram + energy.gpu + energy.other;
  expect(Math.abs(jobBooked / jobTruth - 1)).toBeLessThan(0.02);
});

test('what could not be read is missing coverage in the ledger, and never a joule too many', async () => {
  const bench = await Bench.start(ZONES);
  await sleep(1000);
  bench.hook('prolog');
  await bench.emulator.fault('package-1', 'reset');
  await bench.emulator.fault('package-0', 'frozen');
  await sleep(3000);
  bench.hook('epilog');
  await sleep(1500);
  await bench.agent.stop();

  const { truth, booked, coverage, off } = await bench.totals(COUNTED);
  expect(off).toBe(0);
  expect(booked).toBeLessThan(truth);
  expect(coverage).toBeLessThan(0.8);
  expect((await bench.job()).quality).toBe('measured');
});
