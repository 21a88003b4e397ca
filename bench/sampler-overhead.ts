/**
 * sampler.overhead: what sampling a two-socket node (8 RAPL domains) costs, delivered to TypeScript, beside the plainest
 * C loop over the same counters (bench/plain_loop.c), run in turn with it. CPU time per tick, so that a machine that
 * cannot hold a rate does not look cheap.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Sampler, type SamplerOptions } from '../src/sampler/index.js';
import { quantile, type Emit } from './figure.js';
import { compiled, emulatedNode, longOrQuick, plainLoop } from './native.js';

export const name = 'sampler.overhead';

const SECONDS = longOrQuick(3, 1);
const PAIRS = longOrQuick(5, 2);
const RATES = [100, 1000, 10_000] as const;
/** How often TypeScript takes what was sampled, as the agent does. */
const DRAIN_MS = 100;
/** Enough for a drain that is held up; a minute of 10 kHz would be a ring of gigabytes. */
const RING_SECONDS = 5;
const AIM = 1.3;
const DOMAINS = 8;

interface Cost {
  readonly cpuNsPerTick: number;
  /** The sampling thread's share of it. */
  readonly threadNsPerTick: number;
  readonly achievedHz: number;
  readonly missed: number;
  readonly lost: number;
}

/** CPU time of this process while it does nothing but wake up to drain. */
async function idleCpuNs(seconds: number): Promise<number> {
  const before = process.cpuUsage();
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) await sleep(DRAIN_MS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1000;
}

async function samplerCost(options: SamplerOptions, idleNs: number): Promise<Cost> {
  const sampler = new Sampler(options);
  if (sampler.domains.length !== DOMAINS) throw new Error(`${sampler.domains.length} domains instead of ${DOMAINS}`);
  let joules = 0;
  const take = (): void => {
    sampler.drain((tick) => {
      for (let domain = 0; domain < DOMAINS; domain++) joules += tick.energyUj(domain) + tick.coveredNs(domain);
    });
  };
  sampler.start();
  await sleep(2 * DRAIN_MS);
  take();
  const before = process.cpuUsage();
  const statsBefore = sampler.stats();
  for (const end = Date.now() + SECONDS * 1000; Date.now() < end;) {
    await sleep(DRAIN_MS);
    take();
  }
  const { user, system } = process.cpuUsage(before);
  const { ticks: allTicks, cpuSeconds, achievedHz, missed, lost } = sampler.stats();
  sampler.stop();
  if (joules === 0) throw new Error('nothing was sampled');
  const ticks = allTicks - statsBefore.ticks;
  return {
    cpuNsPerTick: ((user + system) * 1000 - idleNs) / ticks,
    threadNsPerTick: ((cpuSeconds - statsBefore.cpuSeconds) * 1e9) / ticks,
    achievedHz,
    missed,
    lost,
  };
}

const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Figures of one way to read the counters, at each rate. `suffix` ends their names. */
async function compare(
  emit: Emit,
  suffix: string,
  options: Pick<SamplerOptions, 'sysfs' | 'meters'>,
  sources: readonly string[],
  reads: string,
): Promise<void> {
  // The first run compiles what the others run.
  await samplerCost({ ...options, rateHz: 1000, ringSeconds: RING_SECONDS }, 0);
  for (const rateHz of RATES) {
    const costs: Cost[] = [];
    const plain: number[] = [];
    const idleNs = await idleCpuNs(SECONDS);
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const both = [
        async () => costs.push(await samplerCost({ ...options, rateHz, ringSeconds: RING_SECONDS }, idleNs)),
        async () => {
          const { cpuNs, ticks } = await plainLoop(rateHz, SECONDS, sources);
          plain.push(cpuNs / ticks);
        },
      ];
      for (const measure of pair % 2 === 0 ? both : both.reverse()) await measure();
    }
    const ours = costs.map((cost) => cost.cpuNsPerTick);
    const ratios = ours.map((ns, pair) => ns / (plain[pair] ?? Number.NaN));
    const rate = rateHz >= 1000 ? `${rateHz / 1000}khz` : `${rateHz}hz`;
    const percent = (ns: number): number => ns * rateHz * 1e-7;
    const context = {
      reads,
      pairs: PAIRS,
      seconds: SECONDS,
      drained_every_ms: DRAIN_MS,
      idle_percent_subtracted: (idleNs / (SECONDS * 1e9)) * 100,
      p10_percent: percent(quantile(ours, 0.1)),
      p90_percent: percent(quantile(ours, 0.9)),
      thread_percent: percent(median(costs.map((cost) => cost.threadNsPerTick))),
      plain_percent: percent(median(plain)),
      achieved_hz: median(costs.map((cost) => cost.achievedHz)),
      missed: costs.reduce((sum, cost) => sum + cost.missed, 0),
      lost: costs.reduce((sum, cost) => sum + cost.lost, 0),
    };
    emit({
      figure: `percent_core_${rate}${suffix}`,
      value: percent(median(ours)),
      unit: '% of a core',
      better: 'lower',
      context,
    });
    if (rateHz < 1000) continue;
    emit({
      figure: `ratio_to_plain_c_${rate}${suffix}`,
      value: median(ratios),
      unit: 'x',
      aim: AIM,
      better: 'lower',
      context: {
        reads,
        pairs: PAIRS,
        compared_with: 'clock_nanosleep to an absolute time and one read per domain, nothing kept, run in turn',
        p10: quantile(ratios, 0.1),
        p90: quantile(ratios, 0.9),
      },
    });
  }
}

const SOFTWARE_PMU = 1;
const CPU_CLOCK = 0;
const TASK_CLOCK = 1;

/** The perf PMU `power` of two sockets, its events being the kernel's software clocks, which every machine has. */
function softwareSockets(): { readonly sysfs: string; readonly sources: readonly string[] } {
  const sysfs = mkdtempSync(join(tmpdir(), 'wattle-bench-'));
  const pmu = join(sysfs, 'bus', 'event_source', 'devices', 'power');
  mkdirSync(join(pmu, 'events'), { recursive: true });
  mkdirSync(join(pmu, 'format'));
  const write = (file: string, text: string): void => {
    writeFileSync(join(pmu, file), `${text}\n`);
  };
  write('type', String(SOFTWARE_PMU));
  write('cpumask', '0-1');
  write('format/event', 'config:0-7');
  const events = {
    'energy-pkg': CPU_CLOCK,
    'energy-cores': TASK_CLOCK,
    'energy-gpu': CPU_CLOCK,
    'energy-ram': TASK_CLOCK,
  };
  for (const [event, config] of Object.entries(events)) {
    write(`events/${event}`, `event=0x${config.toString(16).padStart(2, '0')}`);
    write(`events/${event}.scale`, '2.3283064365386962890625e-10');
    write(`events/${event}.unit`, 'Joules');
  }
  for (const cpu of [0, 1]) {
    const topology = join(sysfs, 'devices', 'system', 'cpu', `cpu${cpu}`, 'topology');
    mkdirSync(topology, { recursive: true });
    for (const file of ['physical_package_id', 'die_id', 'core_id']) writeFileSync(join(topology, file), `${cpu}\n`);
  }
  const cpus = join(sysfs, 'devices', 'system', 'cpu');
  for (const file of ['online', 'possible', 'present']) writeFileSync(join(cpus, file), '0-1\n');
  return { sysfs, sources: [0, 1].flatMap((cpu) => Object.values(events).map((config) => `perf:${config}@${cpu}`)) };
}

/** User-space instructions of one native tick: the same on a busy machine as on a quiet one. */
async function instructions(emit: Emit, figure: string, sysfs: string, meter: string): Promise<void> {
  const ticks = longOrQuick(20_000, 2000);
  const out = 'build/bench-native/callgrind.out';
  const loop = await compiled('tick_loop.cc');
  const flags = ['--tool=callgrind', '--toggle-collect=wattle::Sampler::tick*', `--callgrind-out-file=${out}`];
  await promisify(execFile)('valgrind', ['--quiet', ...flags, loop, String(ticks), '1000', sysfs, meter]);
  const total = Number(/^(?:summary|totals): (\d+)/m.exec(readFileSync(out, 'utf8'))?.[1]);
  emit({
    figure,
    value: total / ticks,
    unit: 'instructions',
    better: 'lower',
    context: { ticks, domains: DOMAINS, counted_by: 'callgrind, in and below Sampler::tick, without the wait' },
  });
}

export async function run(emit: Emit): Promise<void> {
  const node = await emulatedNode();
  try {
    await compare(
      emit,
      '',
      { sysfs: node.sysfs, meters: [{ kind: 'rapl-powercap' }] },
      node.counters,
      'powercap counters in memory: a read costs less than from hardware',
    );
  } finally {
    await node.stop();
  }
  const still = await emulatedNode({ updateHz: 0 });
  try {
    await instructions(emit, 'instructions_per_tick', still.sysfs, 'rapl-powercap');
  } finally {
    await still.stop();
  }
  const { sysfs, sources } = softwareSockets();
  try {
    const reads = "the kernel's software perf events, one group per socket; the plain loop reads each by itself";
    await compare(emit, '_groups', { sysfs, meters: [{ kind: 'rapl-perf' }] }, sources, reads);
    await instructions(emit, 'instructions_per_tick_groups', sysfs, 'rapl-perf');
  } finally {
    rmSync(sysfs, { recursive: true, force: true });
  }
}
