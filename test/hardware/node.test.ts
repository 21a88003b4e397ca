/** Every meter against one emulated node: the same truth for all, on hostile hardware too. */
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicNs, type Sampler } from '../../src/sampler/index.js';
import { loadEmulatedAddon, type EmulatedAddon } from '../emulation/addon.js';
import { EmulatedNode, type NodeFault, type NodeMeter, type NodeOptions, type Processor } from './node.js';
import { Recording } from './recording.js';

const SECOND = 1e9;
const MINUTES = 60_000;
/** Sensors that look ten times per second see each level twice per period, and means over two seconds are right. */
const POWER = { shape: 'square', lowWatts: 200, highWatts: 800, periodS: 0.4 } as const;

/**
 * Seconds of a domain's highest power that may lie on the wrong side of an edge on a busy machine: between a tick's
 * clock and its read, in a file that its driver updates late, between two scans, in a mean over the last second.
 */
const EDGE_S: Readonly<Record<NodeMeter, number>> = {
  'rapl-perf': 0.1,
  'rapl-msr': 0.1,
  'rapl-powercap': 0.25,
  'amd-energy': 0.25,
  nvml: 1.2,
  'pm-counters': 0.5,
  ipmi: 2,
  redfish: 2,
  wattmeter: 1,
};

let addon: EmulatedAddon;
const cleanups: (() => void | Promise<void>)[] = [];

beforeAll(async () => {
  addon = await loadEmulatedAddon();
}, 10 * MINUTES);

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: Partial<NodeOptions> = {}): Promise<EmulatedNode> {
  const root = mkdtempSync(join(tmpdir(), 'wattle-node-'));
  cleanups.push(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const node = await EmulatedNode.start({ root, addon, power: POWER, ...options });
  cleanups.push(async () => {
    await node.stop();
    addon.emulation.clear();
  });
  return node;
}

function record(sampler: Sampler): Recording {
  sampler.start();
  cleanups.push(async () => {
    sampler.stop();
    await sampler.settled();
  });
  return new Recording(sampler);
}

/** A tick, once every domain is known up to it; returns its time. */
async function edge(recording: Recording): Promise<number> {
  const { monoNs } = await recording.tickNow();
  await recording.known(monoNs);
  return monoNs;
}

const pass = (recording: Recording, seconds: number): Promise<void> =>
  recording.until(monotonicNs() + seconds * SECOND);

/**
 * The law of point 3 of docs/physics.md: joules are right, or coverage says for how long they are missing. Never one
 * too many at any reading, never a step back.
 */
function expectTruth(node: EmulatedNode, sampler: Sampler, recording: Recording, fromNs: number, toNs: number): void {
  for (const { index, name, meter } of sampler.domains) {
    const peak = node.peakWatts(name);
    const edgeUj = EDGE_S[meter as NodeMeter] * peak * 1e6;
    const truth = (untilNs: number): number => node.truthUj(name, fromNs, untilNs);
    const booked = (untilNs: number): number => recording.energyBetween(index, fromNs, untilNs);

    const missing = truth(toNs) - booked(toNs);
    const uncoveredS = ((1 - recording.coverageBetween(index, fromNs, toNs)) * (toNs - fromNs)) / SECOND;
    const law = { fits: missing > -edgeUj && missing < edgeUj + uncoveredS * peak * 1e6, missing, uncoveredS };
    expect({ name, meter, ...law }).toEqual({ name, meter, ...law, fits: true });

    let before = 0;
    for (const { atNs, energyUj, coveredNs } of recording.readings(index)) {
      if (atNs > fromNs && atNs <= toNs) expect(booked(atNs)).toBeLessThan(truth(atNs) + edgeUj);
      expect(energyUj).toBeGreaterThanOrEqual(before);
      expect(coveredNs).toBeLessThanOrEqual(atNs);
      before = energyUj;
    }
  }
}

test(
  'every meter of a healthy node measures the same, and none is averaged away',
  async () => {
    const node = await start();
    const counters = ['rapl-perf', 'rapl-powercap', 'rapl-msr', 'amd-energy', 'nvml', 'pm-counters'] as const;
    const meters = [...counters, 'ipmi', 'redfish', 'wattmeter'] as const;
    const sampler = node.sampler(meters, { rateHz: 20, witnesses: 'all' });
    const recording = record(sampler);
    const fromNs = await edge(recording);
    await pass(recording, 4);
    const toNs = await edge(recording);

    expectTruth(node, sampler, recording, fromNs, toNs);
    const readBy = (wanted: string): string[] =>
      sampler.domains.filter(({ name }) => name === wanted).map(({ meter }) => meter);
    expect(readBy('package-1')).toEqual(['rapl-perf', 'rapl-powercap', 'rapl-msr', 'amd-energy']);
    expect(readBy('package-0/dram')).toEqual(['rapl-perf', 'rapl-powercap', 'rapl-msr']);
    expect(readBy('node')).toEqual(['pm-counters', 'ipmi', 'redfish', 'wattmeter']);
    // One counts; the others are second opinions on it.
    for (const { name, meter, index, witnessOf } of sampler.domains) {
      const of = name.replace(/\/(instant|average)$/, '');
      const first = sampler.domains.find((domain) => domain.name === of)?.index;
      expect({ name, meter, witnessOf }).toEqual({ name, meter, witnessOf: first === index ? null : first });
      if (witnessOf === null) continue;
      const [counted, witness] = [witnessOf, index].map((one) => recording.energyBetween(one, fromNs, toNs));
      expect(Math.abs((witness ?? 0) / (counted ?? 0) - 1)).toBeLessThan(
        meter.startsWith('rapl') || meter === 'amd-energy' ? 0.15 : 0.5,
      );
    }
  },
  MINUTES,
);

interface Case {
  readonly meter: NodeMeter;
  readonly fault: NodeFault;
  readonly processor?: Processor;
  readonly domain?: string;
  /** `kept`: nothing is missing, as long as no stall of the machine made a gap of it. */
  readonly then: 'kept' | 'missing' | 'reset';
}

const DOMAIN = 'package-0';

async function suffer(
  node: EmulatedNode,
  seconds: number,
  { meter, fault, processor, domain, then }: Case,
): Promise<void> {
  const sampler = node.sampler([meter], { rateHz: 20, ...(processor && { processor }) });
  const recording = record(sampler);
  const fromNs = await edge(recording);
  await pass(recording, 0.5);
  await node.fault(meter, fault, domain);
  await pass(recording, seconds);
  await node.fault(meter, 'none', domain);
  await pass(recording, 1);
  const toNs = await edge(recording);

  expectTruth(node, sampler, recording, fromNs, toNs);
  const index = sampler.domains.find(({ name }) => name === (domain ?? sampler.domains[0]?.name))?.index ?? -1;
  const health = sampler.stats().domains[index];
  const coverage = recording.coverageBetween(index, fromNs, toNs);
  const wrong = { meter, fault, then, coverage, health, fits: true };
  const fits = {
    kept: coverage > 0.95 || (health?.gaps ?? 0) > 0,
    missing: coverage < 0.8,
    reset: health?.resets === 1,
  }[then];
  expect({ ...wrong, fits }).toEqual(wrong);
}

describe.each<[string, number, readonly Case[]]>([
  [
    'failed reads',
    0.5,
    [
      { meter: 'rapl-perf', fault: 'failed-read', domain: DOMAIN, then: 'kept' },
      { meter: 'rapl-powercap', fault: 'failed-read', domain: DOMAIN, then: 'kept' },
      { meter: 'rapl-msr', fault: 'failed-read', domain: DOMAIN, then: 'kept' },
      { meter: 'amd-energy', fault: 'failed-read', domain: DOMAIN, then: 'kept' },
      { meter: 'pm-counters', fault: 'failed-read', then: 'kept' },
      { meter: 'ipmi', fault: 'failed-read', then: 'kept' },
      { meter: 'redfish', fault: 'error', then: 'kept' },
    ],
  ],
  [
    'answers that are too short, torn or garbage',
    0.5,
    [
      { meter: 'rapl-perf', fault: 'short', domain: DOMAIN, then: 'kept' },
      { meter: 'rapl-powercap', fault: 'garbage', domain: DOMAIN, then: 'kept' },
      { meter: 'amd-energy', fault: 'garbage', domain: DOMAIN, then: 'kept' },
      { meter: 'pm-counters', fault: 'torn', then: 'kept' },
      { meter: 'ipmi', fault: 'garbage', then: 'kept' },
    ],
  ],
  [
    'more garbage, and refusals',
    0.5,
    [
      { meter: 'rapl-perf', fault: 'garbage', domain: DOMAIN, then: 'kept' },
      { meter: 'pm-counters', fault: 'garbage', then: 'kept' },
      { meter: 'ipmi', fault: 'refuse', then: 'kept' },
    ],
  ],
  [
    'counters that stand still while energy flows on',
    3.5,
    [
      { meter: 'rapl-perf', fault: 'frozen', domain: DOMAIN, then: 'missing' },
      { meter: 'rapl-powercap', fault: 'frozen', domain: DOMAIN, then: 'missing' },
      { meter: 'rapl-msr', fault: 'frozen', processor: 'amd', domain: DOMAIN, then: 'missing' },
      { meter: 'amd-energy', fault: 'frozen', domain: DOMAIN, then: 'missing' },
      { meter: 'nvml', fault: 'stalled', then: 'missing' },
      { meter: 'pm-counters', fault: 'frozen', then: 'missing' },
    ],
  ],
  [
    'counters that begin again from 0',
    0.5,
    [
      { meter: 'rapl-perf', fault: 'reset', domain: DOMAIN, then: 'reset' },
      { meter: 'rapl-powercap', fault: 'reset', domain: DOMAIN, then: 'reset' },
      { meter: 'rapl-msr', fault: 'reset', domain: DOMAIN, then: 'reset' },
      { meter: 'amd-energy', fault: 'reset', domain: DOMAIN, then: 'reset' },
      { meter: 'nvml', fault: 'reset', then: 'reset' },
    ],
  ],
  [
    'perf events that lose their CPU, a GPU that is lost, and a controller that begins anew',
    2.5,
    [
      { meter: 'rapl-perf', fault: 'eof', domain: DOMAIN, then: 'missing' },
      { meter: 'nvml', fault: 'lost', then: 'missing' },
      { meter: 'pm-counters', fault: 'reset', then: 'kept' },
    ],
  ],
])('%s', (_, seconds, cases) => {
  test(
    'joules are right, or coverage says that they are missing',
    async () => {
      const node = await start();
      await Promise.all(cases.map((one) => suffer(node, seconds, one)));
    },
    MINUTES,
  );
});

test(
  'a wrap adds one turn of the counter, also one that could not be read meanwhile',
  async () => {
    // A package draws 150 W, so its counter wraps 15 s after the node's start; perf counts from where it was opened, so
    // 15 s after that. So late, because a busy machine takes seconds to get everything started.
    const bornNs = monotonicNs();
    const node = await start({ joulesToWrap: 15 * 150 });
    const samplers = (
      [
        ['rapl-perf', 'intel'],
        ['rapl-powercap', 'intel'],
        ['rapl-msr', 'intel'],
        ['rapl-msr', 'amd'],
      ] as const
    ).map(([meter, processor]) => node.sampler([meter], { rateHz: 20, processor, kinds: ['package'] }));
    const openedNs = monotonicNs();
    const all = samplers.map((sampler) => ({ sampler, recording: record(sampler) }));
    const until = async (ns: number): Promise<void> => {
      await Promise.all(all.map(({ recording }) => recording.until(ns)));
    };
    const from = await Promise.all(all.map(({ recording }) => edge(recording)));
    await until(bornNs + 11 * SECOND);
    // Not perf: it is opened anew where it fails for long.
    for (const meter of ['rapl-powercap', 'rapl-msr'] as const) await node.fault(meter, 'failed-read');
    await until(bornNs + 16 * SECOND);
    for (const meter of ['rapl-powercap', 'rapl-msr'] as const) await node.fault(meter, 'none');
    await until(Math.max(bornNs + 18 * SECOND, openedNs + 17 * SECOND));
    const to = await Promise.all(all.map(({ recording }) => edge(recording)));

    all.forEach(({ sampler, recording }, i) => {
      const [fromNs = 0, toNs = 0] = [from[i], to[i]];
      expectTruth(node, sampler, recording, fromNs, toNs);
      for (const { index, meter } of sampler.domains) {
        const { wraps, resets, gaps } = sampler.stats().domains[index] ?? {};
        expect({ meter, wraps, resets, gaps }).toEqual({ meter, wraps: 1, resets: 0, gaps: 0 });
        expect(recording.coverageBetween(index, fromNs, toNs)).toBeGreaterThan(0.95);
      }
    });
  },
  MINUTES,
);

test(
  'CPUs go and come back: whoever still answers is asked',
  async () => {
    const node = await start();
    const all = (['rapl-perf', 'rapl-msr'] as const).map((meter) => {
      const sampler = node.sampler([meter], { rateHz: 20 });
      return { sampler, recording: record(sampler) };
    });
    const from = await Promise.all(all.map(({ recording }) => edge(recording)));
    // The first CPU of package 0, and all of package 1.
    for (const cpu of [0, 2, 3]) node.unplug(cpu, true);
    await Promise.all(all.map(({ recording }) => pass(recording, 2.5)));
    const during = await Promise.all(all.map(({ recording }) => recording.tickNow()));
    for (const cpu of [0, 2, 3]) node.unplug(cpu, false);
    await Promise.all(all.map(({ recording }) => pass(recording, 2)));
    const to = await Promise.all(all.map(({ recording }) => edge(recording)));

    all.forEach(({ sampler, recording }, i) => {
      const [fromNs = 0, toNs = 0] = [from[i], to[i]];
      expectTruth(node, sampler, recording, fromNs, toNs);
      const index = (name: string): number => sampler.domains.findIndex((domain) => domain.name === name);
      const knownAt = (name: string): number => during[i]?.knownAtNs[index(name)] ?? 0;
      expect(recording.coverageBetween(index('package-0'), fromNs, toNs)).toBeGreaterThan(0.95);
      expect(knownAt('package-0') - knownAt('package-1')).toBeGreaterThan(2 * SECOND);
    });
  },
  MINUTES,
);

test(
  'a controller that hangs for two seconds at each question delays no counter, and its silence is a gap',
  async () => {
    const node = await start();
    const sampler = node.sampler(['rapl-perf', 'ipmi'], { rateHz: 100 });
    const recording = record(sampler);
    const index = (name: string): number => sampler.domains.findIndex((domain) => domain.name === name);
    const readings = (fromNs: number, toNs: number): number =>
      recording.readings(index('package-0')).filter(({ atNs }) => atNs > fromNs && atNs <= toNs).length;
    const fromNs = await edge(recording);
    await pass(recording, 3);
    const healthyNs = monotonicNs();
    await node.fault('ipmi', 'hang');
    const hungNs = monotonicNs();
    await recording.until(hungNs + (healthyNs - fromNs));
    const last = recording.last();
    expect(readings(hungNs, last.monoNs)).toBeGreaterThan(readings(fromNs, healthyNs) / 2);
    expect(last.knownAtNs[index('package-0')]).toBeGreaterThan(hungNs + 2.5 * SECOND);
    expect(last.knownAtNs[index('node')]).toBeLessThan(hungNs + SECOND / 10);

    // A reading stands for 10 s.
    await recording.until(hungNs + 11 * SECOND);
    await node.fault('ipmi', 'none');
    const toNs = await edge(recording);
    expectTruth(node, sampler, recording, fromNs, toNs);
    expect(recording.coverageBetween(index('node'), fromNs, toNs)).toBeLessThan(0.6);
  },
  MINUTES,
);
