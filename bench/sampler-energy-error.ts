/**
 * Worst relative error of sampled energy against emulated nodes whose energy is known: every meter at its default rate,
 * every waveform, all at the same time. Windows begin and end at events, as jobs do: each event takes its own time and
 * forces a tick; energy at it is interpolated between the readings around it, by their own times.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicNs, type Sampler } from '../src/sampler/index.js';
import { loadEmulatedAddon, type EmulatedAddon } from '../test/emulation/addon.js';
import { EmulatedNode, type Processor } from '../test/hardware/node.js';
import { Recording } from '../test/hardware/recording.js';
import type { Waveform } from '../test/hardware/waveform.mjs';
import { quantile, type Emit } from './figure.js';

export const name = 'sampler.energy_error';

const RUN_S = 30;
const SECOND = 1e9;

/** Of whole nodes; a package draws 60 % of it, a GPU 10 %. */
const POWERS: readonly Waveform[] = [
  { shape: 'constant', watts: 250 },
  { shape: 'square', lowWatts: 100, highWatts: 400, periodS: 0.37 },
  { shape: 'ramp', lowWatts: 50, highWatts: 500, periodS: 2.3 },
  { shape: 'random', lowWatts: 60, highWatts: 430 },
];
/** Every package gets there within the run: at 150 W about 12 s after its begin. */
const JOULES_TO_WRAP = 2000;
/** A wrap is wrong where the run's energy is off by more than what the edges of the run can explain. */
const WRAP_EDGE_S = 0.1;

/** What is compared: one domain of each meter. */
interface Probe {
  readonly node: EmulatedNode;
  readonly shape: Waveform['shape'];
  readonly sampler: Sampler;
  readonly recording: Recording;
  readonly domain: number;
}

export async function run(emit: Emit): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'wattle-bench-'));
  const addon = await loadEmulatedAddon();
  const nodes: EmulatedNode[] = [];
  let probes = new Map<string, Probe[]>();
  try {
    for (const power of POWERS) nodes.push(await startNode(root, addon, power, nodes.length));
    probes = probesOf(nodes);
    const events = await takeEvents(probes);
    for (const [meter, list] of probes) report(emit, meter, list, events);
  } finally {
    for (const sampler of samplersOf(probes)) {
      sampler.stop();
      await sampler.settled();
    }
    for (const node of nodes) await node.stop();
    addon.emulation.clear();
    rmSync(root, { recursive: true, force: true });
  }
}

function startNode(root: string, addon: EmulatedAddon, power: Waveform, number: number): Promise<EmulatedNode> {
  const folder = join(root, String(number));
  mkdirSync(folder);
  // Most BMCs show power, not energy.
  const shown = { packages: 1, joulesToWrap: JOULES_TO_WRAP, bmc: 'environment' } as const;
  return EmulatedNode.start({ root: folder, addon, power, number, ...shown });
}

/** By meter: two samplers per node, as a node has one kind of processor. */
function probesOf(nodes: readonly EmulatedNode[]): Map<string, Probe[]> {
  const probes = new Map<string, Probe[]>();
  nodes.forEach((node, i) => {
    const shape = POWERS[i]?.shape ?? 'constant';
    const add = (processor: Processor, sampler: Sampler): void => {
      const recording = new Recording(sampler);
      for (const { index, meter, name: domain } of sampler.domains) {
        if (!['package-0', 'node'].includes(domain) && !/^gpu-[^/]*$/.test(domain)) continue;
        const key = meter === 'rapl-msr' ? `${meter}-${processor}` : meter;
        probes.set(key, [...(probes.get(key) ?? []), { node, shape, sampler, recording, domain: index }]);
      }
    };
    const options = { kinds: ['package', 'gpu', 'node'], witnesses: 'all' } as const;
    const counters = ['rapl-perf', 'rapl-powercap', 'rapl-msr', 'amd-energy', 'nvml', 'pm-counters'] as const;
    add('intel', node.sampler([...counters, 'ipmi', 'redfish', 'wattmeter'], options));
    add('amd', node.sampler(['rapl-msr'], { ...options, processor: 'amd', kinds: ['package'] }));
  });
  return probes;
}

const samplersOf = (probes: ReadonlyMap<string, readonly Probe[]>): Set<Sampler> =>
  new Set([...probes.values()].flat().map(({ sampler }) => sampler));

/** Events at irregular times, each with its forced ticks; returns their times, all of which are known at the end. */
async function takeEvents(probes: ReadonlyMap<string, readonly Probe[]>): Promise<number[]> {
  const samplers = samplersOf(probes);
  const recordings = new Set([...probes.values()].flat().map(({ recording }) => recording));
  for (const sampler of samplers) sampler.start();
  for (const recording of recordings) await recording.known(monotonicNs());
  const events: number[] = [];
  const endNs = monotonicNs() + RUN_S * SECOND;
  while (monotonicNs() < endNs) {
    events.push(monotonicNs());
    for (const sampler of samplers) sampler.forceTick();
    await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 170));
    for (const recording of recordings) recording.drain();
  }
  for (const recording of recordings) await recording.known(monotonicNs());
  return events;
}

function report(emit: Emit, meter: string, probes: readonly Probe[], events: readonly number[]): void {
  const comparedWith = 'emulated counters of one node per waveform, of known integral';
  for (const [figure, seconds, aim] of [
    ['over_10s', 10, 0.005],
    ['at_1s', 1, 0.02],
  ] as const) {
    const errors = probes.map((probe) => ({
      shape: probe.shape,
      errors: windows(events, seconds * SECOND).map(([from, to]) =>
        Math.abs(errorUj(probe, from, to) / truthUj(probe, from, to)),
      ),
    }));
    const all = errors.flatMap((one) => one.errors);
    emit({
      figure: `${meter}_${figure}`,
      value: Math.max(...all),
      unit: 'ratio',
      aim,
      better: 'lower',
      context: {
        windows: all.length,
        median: quantile(all, 0.5),
        p99: quantile(all, 0.99),
        worst: Object.fromEntries(errors.map((one) => [one.shape, Math.max(...one.errors)])),
        rate_hz: rateOf(probes),
        compared_with: comparedWith,
      },
    });
  }

  const wraps = probes.map(wrapsOf);
  const [first, last] = [events[0] ?? 0, events.at(-1) ?? 0];
  // The other meters' counters are 64 bits wide in software, or no counters.
  if (!WRAPPING.has(meter)) return;
  const errors = probes.map((probe) => Math.abs(errorUj(probe, first, last)) / 1e6);
  const right = probes.map(
    (probe, i) => wraps[i] === 1 && (errors[i] ?? 0) < WRAP_EDGE_S * probe.node.peakWatts(domainOf(probe)),
  );
  emit({
    figure: `${meter}_wrap`,
    value: right.filter((one) => !one).length,
    unit: 'wrong wraps',
    aim: 0,
    better: 'lower',
    context: {
      wraps: wraps.reduce((sum, one) => sum + one, 0),
      expected: probes.length,
      worst_error_joules: Math.max(...errors),
      compared_with: comparedWith,
    },
  });
}

const WRAPPING: ReadonlySet<string> = new Set(['rapl-perf', 'rapl-powercap', 'rapl-msr-intel', 'rapl-msr-amd']);

const domainOf = ({ sampler, domain }: Probe): string => sampler.domains[domain]?.name ?? '';

const wrapsOf = ({ sampler, domain }: Probe): number => sampler.stats().domains[domain]?.wraps ?? 0;

const rateOf = ([probe]: readonly Probe[]): number => probe?.sampler.domains[probe.domain]?.rateHz ?? 0;

const truthUj = (probe: Probe, from: number, to: number): number => probe.node.truthUj(domainOf(probe), from, to);

const errorUj = (probe: Probe, from: number, to: number): number =>
  probe.recording.energyBetween(probe.domain, from, to) - truthUj(probe, from, to);

/** For each event the span to the first event that is at least `lengthNs` later. */
function windows(events: readonly number[], lengthNs: number): [number, number][] {
  return events.flatMap((from) => {
    const to = events.find((event) => event - from >= lengthNs);
    return to === undefined ? [] : [[from, to]];
  });
}
