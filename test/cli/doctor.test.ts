/** `wattle doctor`: what it says of meters, domains and their watts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { lookAtNode, type Look, type SeenDomain } from '../../src/cli/wattle/doctor/look.js';
import { opinionFindings } from '../../src/cli/wattle/doctor/opinions.js';
import { doctorJson, domainPage } from '../../src/cli/wattle/doctor/page.js';
import { wattle } from '../../src/cli/wattle/main.js';
import { meterFindings } from '../../src/cli/wattle/meter-findings.js';
import type { Domain, GpuStatus, MeterKind, MeterProbe, SamplerStats } from '../../src/sampler/index.js';
import { startPowercapEmulator, type ZoneOptions } from '../hardware/powercap.js';
import { run } from './run.js';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function scratch(): string {
  const root = mkdtempSync(join(tmpdir(), 'wattle-doctor-'));
  cleanups.push(() => {
    rmSync(root, { recursive: true, force: true });
  });
  return root;
}

const HEALTHY = { failedReads: 0, wraps: 0, resets: 0, gaps: 0, freezes: 0 };
const STATS: SamplerStats = {
  ticks: 120,
  forced: 0,
  lost: 0,
  late: 0,
  missed: 0,
  firstTickNs: 1,
  requestedHz: 100,
  rateHz: 100,
  achievedHz: 99.7,
  slowdowns: 0,
  latenessUs: { p50: 50, p99: 85, max: 90 },
  timerResolutionUs: 57,
  urgency: 'realtime',
  cpuSeconds: 0.01,
  courierCpuSeconds: 0,
  suspends: 0,
  memoryBytes: 1000,
  domains: [],
};

interface Given extends Partial<Omit<SeenDomain, 'domain'>>, Partial<Domain> {}

/** A look at these domains. */
const looked = (domains: readonly Given[], gpus: readonly GpuStatus[] = []): Look => ({
  domains: domains.map(({ watts = 100, coverage = 1, health = HEALTHY, problem = null, ...domain }, index) => ({
    problem,
    watts,
    coverage,
    health,
    domain: {
      index,
      name: 'package-0',
      kind: 'package',
      meter: 'rapl-perf',
      rateHz: 100,
      trustedGapNs: 60e9,
      quality: 'measured',
      parent: null,
      witnessOf: null,
      ...domain,
    },
  })),
  reasons: ['package: rapl-perf, preferred to rapl-powercap by the order of [sampler] meters'],
  gpus,
  stats: STATS,
  seconds: 1.2,
});

describe('second opinions', () => {
  const against = (watts: number, own = 100, meter: MeterKind = 'rapl-powercap') =>
    opinionFindings(looked([{ watts: own }, { watts, meter, witnessOf: 0 }]));

  test('that agree within 5 % or 2 W are none to speak of', () => {
    expect(against(104.9)).toEqual([]);
    expect(against(11.9, 10)).toEqual([]);
  });

  test('that differ by more are a warning that names both, by how much, and a likely cause', () => {
    expect(against(106)).toMatchObject([
      {
        what: 'package-0',
        state: 'warn',
        found: 'rapl-perf says 100 W, rapl-powercap 106 W (+6.0 %)',
        remedy: expect.stringMatching(/another socket.*rapl-perf is what counts/) as unknown,
      },
    ]);
    expect(against(50)[0]).toMatchObject({ found: expect.stringContaining('(-50.0 %)') as unknown });
    expect(against(2, 8)[0]?.remedy).toContain('another unit of energy');
    expect(against(400, 0)[0]?.found).toBe('rapl-perf says 0 W, rapl-powercap 400 W');
  });

  test('of a GPU may lag', () => {
    const gpu = { kind: 'gpu', meter: 'nvml' } as const;
    const look = looked([
      { ...gpu, name: 'gpu-1' },
      { ...gpu, name: 'gpu-1/average', watts: 150, witnessOf: 0 },
    ]);
    expect(opinionFindings(look)[0]).toMatchObject({
      found: 'nvml says 100 W, nvml average 150 W (+50.0 %)',
      remedy: expect.stringContaining('steady load') as unknown,
    });
  });
});

test('a domain without a reading is a warning with the reasons', () => {
  const health = { ...HEALTHY, failedReads: 12, gaps: 3 };
  const [finding] = opinionFindings(looked([{ watts: null, health }]));
  expect(finding).toMatchObject({
    what: 'package-0',
    state: 'warn',
    found: 'rapl-perf gave no power within 1.2 s: 12 failed reads, 3 gaps, 0 resets, not frozen',
  });
  expect(finding?.remedy).toContain('dmesg');
  const [frozen] = opinionFindings(looked([{ watts: null, health: { ...HEALTHY, freezes: 1 } }]));
  expect(frozen?.remedy).toContain('stands still');
});

test('a meter outside the node says itself what is wrong; one that is merely slow is no warning', () => {
  const bmc = { name: 'node', kind: 'node', meter: 'redfish', watts: null } as const;
  expect(opinionFindings(looked([{ ...bmc, problem: 'bmc1 refuses the password.' }]))).toMatchObject([
    { what: 'node', state: 'warn', found: 'redfish: bmc1 refuses the password.' },
  ]);
  expect(opinionFindings(looked([{ ...bmc, rateHz: 0.2 }]))).toMatchObject([
    { state: 'info', found: 'redfish has a reading every 5 s: run wattle sample --meter redfish --for 30s' },
  ]);
});

test('a lost GPU is a warning', () => {
  const gpu = { uuid: 'GPU-1', name: 'H100', busId: '3B', lost: true } as GpuStatus;
  expect(opinionFindings(looked([{}], [gpu]))).toMatchObject([
    { what: 'GPU lost', state: 'warn', found: 'GPU-1 (H100, 3B) does not answer any more' },
  ]);
  expect(domainPage(looked([{}], [gpu]))).toContain('GPU-1  H100: LOST');
});

describe('the page', () => {
  const look = looked([
    { name: 'psys', kind: 'psys', watts: 520 },
    { parent: 0, watts: 95.3, coverage: 0.83 },
    { name: 'package-0/core', kind: 'core', parent: 1, watts: null },
    { meter: 'rapl-powercap', witnessOf: 1, watts: 95.7 },
  ]);

  test('shows the tree with watts and second opinions, why it is so, and how time is kept', () => {
    const page = domainPage(look);
    expect(page).toMatch(/^ {2}psys +520 W {2}psys +rapl-perf, measured$/m);
    expect(page).toMatch(/^ {4}package-0 +95\.3 W {2}package +rapl-perf, measured, 83 % covered$/m);
    expect(page).toMatch(/^ {6}also rapl-powercap +95\.7 W {2}\+0\.4 %$/m);
    expect(page).toMatch(/^ {6}core +- {2}core/m);
    expect(page).toContain('Why:\n  package: rapl-perf, preferred to');
    expect(page).toContain('100 Hz asked for, 100 Hz in force, 99.7 Hz achieved');
    expect(page).toContain('a wait of 1 us takes 57 us; scheduling for this user: realtime');
    expect(page).not.toContain('GPUs');
  });

  test('is JSON for programs', () => {
    expect(doctorJson([], look)).toMatchObject({
      version: 1,
      domains: [
        { name: 'psys', watts: 520, parent: null, witnesses: [] },
        { name: 'package-0', parent: 'psys', witnesses: [{ meter: 'rapl-powercap', watts: 95.7 }] },
        { name: 'package-0/core', parent: 'package-0', watts: null },
      ],
      sampler: { urgency: 'realtime' },
    });
    expect(doctorJson([], null)).toMatchObject({ domains: [], sampler: null });
  });

  test('without any meter', () => {
    expect(domainPage(null)).toBe('\nNo meter, no domain.\n');
  });
});

describe('meters', () => {
  const probe = (kind: MeterKind, over: Partial<MeterProbe> = {}): MeterProbe => ({
    kind,
    available: false,
    outcome: 'absent',
    reason: `no ${kind}`,
    remedy: `get ${kind}`,
    notes: [],
    domains: [],
    ...over,
  });
  const gives = (kind: MeterKind, name = 'package-0', domainKind: 'package' | 'gpu' = 'package'): MeterProbe =>
    probe(kind, {
      available: true,
      outcome: 'available',
      domains: [{ name, kind: domainKind, quality: 'measured', witnessOf: '' }],
    });
  const states = (...probes: MeterProbe[]) =>
    Object.fromEntries(meterFindings(probes).map(({ what, state }) => [what.replace('meter ', ''), state]));

  test('those that are not on this host do not alarm where another one gives packages', () => {
    expect(states(gives('rapl-perf'), probe('nvml'), gives('rapl-powercap'))).toEqual({
      'rapl-perf': 'ok',
      nvml: 'info',
      'rapl-powercap': 'info',
    });
    expect(meterFindings([gives('rapl-perf'), gives('rapl-powercap')])[1]?.found).toBe('a second opinion on package-0');
    expect(meterFindings([gives('rapl-perf'), probe('nvml')])[1]).not.toHaveProperty('remedy');
    expect(meterFindings([gives('rapl-perf'), gives('model', 'package')])[1]?.found).toContain('not used');
  });

  test('a lack of privilege warns, whatever else there is', () => {
    expect(states(gives('rapl-perf'), probe('rapl-powercap', { outcome: 'forbidden' }))['rapl-powercap']).toBe('warn');
    expect(states(gives('rapl-perf'), probe('nvml', { outcome: 'unreadable' }))['nvml']).toBe('warn');
  });

  test('without packages what is absent warns, and without anything it fails', () => {
    expect(states(gives('nvml', 'gpu-1', 'gpu'), probe('rapl-perf'))).toEqual({ nvml: 'ok', 'rapl-perf': 'warn' });
    expect(states(probe('rapl-perf'), probe('nvml', { outcome: 'forbidden' }))).toEqual({
      'rapl-perf': 'fail',
      nvml: 'fail',
    });
  });

  test('what an administrator should know of one that works is told with it', () => {
    expect(meterFindings([{ ...gives('nvml', 'gpu-1', 'gpu'), notes: ['GPU 1 is split by MIG'] }])[0]).toMatchObject({
      state: 'ok',
      found: 'gpu-1\nGPU 1 is split by MIG',
    });
  });
});

describe('on emulated counters', () => {
  const zones: ZoneOptions[] = [
    { name: 'package-0', kind: 'package', waveform: { shape: 'constant', watts: 180 } },
    { name: 'package-0/core', kind: 'core', waveform: { shape: 'constant', watts: 90 } },
    { name: 'package-0/dram', kind: 'dram', waveform: { shape: 'constant', watts: 30 } },
  ];
  async function emulated(): Promise<Awaited<ReturnType<typeof startPowercapEmulator>>> {
    const emulator = await startPowercapEmulator({ root: scratch(), zones });
    cleanups.push(() => emulator.stop());
    return emulator;
  }
  /** Counters of a busy test machine may be updated late: by a good part of the time that is looked. */
  const about = (watts: number) => [watts * 0.6, watts * 1.5] as const;

  test('it finds the watts, and a domain whose reads fail, while another one reads the same counters', async () => {
    const emulator = await emulated();
    const options = { sysfs: emulator.root, meters: [{ kind: 'rapl-powercap' }] } as const;
    const [look, other] = await Promise.all([lookAtNode(options), lookAtNode(options)]);
    for (const { domains } of [look, other]) {
      for (const [index, watts] of [180, 90, 30].entries()) {
        const [least, most] = about(watts);
        expect(domains[index]?.watts).toBeGreaterThan(least);
        expect(domains[index]?.watts).toBeLessThan(most);
      }
    }
    expect(opinionFindings(look)).toEqual([]);
    expect(look.seconds).toBeGreaterThanOrEqual(1.2);
  });

  test('a domain that gives nothing is waited for, but not for long', async () => {
    const emulator = await emulated();
    await emulator.fault('package-0/dram', 'frozen');
    const look = await lookAtNode({ sysfs: emulator.root, meters: [{ kind: 'rapl-powercap' }] });
    expect(look.domains.map(({ watts }) => watts === null)).toEqual([false, false, true]);
    expect(look.seconds).toBeGreaterThanOrEqual(3.5);
    expect(opinionFindings(look)).toMatchObject([
      { what: 'package-0/dram', found: expect.stringMatching(/, frozen$/) as unknown },
    ]);
  });

  test('two meters of one package that disagree are both named, and only one counts', async () => {
    const { root } = await emulated();
    const sensor = join(root, 'class/hwmon/hwmon0');
    for (const folder of [
      sensor,
      join(root, 'devices/system/node/node0'),
      join(root, 'devices/system/cpu/cpu0/topology'),
    ]) {
      mkdirSync(folder, { recursive: true });
    }
    writeFileSync(join(sensor, 'name'), 'amd_energy\n');
    writeFileSync(join(sensor, 'energy1_label'), 'Esocket0\n');
    writeFileSync(join(root, 'devices/system/cpu/online'), '0\n');
    writeFileSync(join(root, 'devices/system/node/node0/cpulist'), '0\n');
    writeFileSync(join(root, 'devices/system/cpu/cpu0/topology/physical_package_id'), '0\n');
    const began = performance.now();
    // Twice the watts that powercap shows.
    const drive = (): void => {
      const uj = Math.round((performance.now() - began) * 360e3);
      writeFileSync(join(sensor, 'energy1_input'), `${String(uj).padStart(20, '0')}\n`, { flag: 'r+' });
    };
    writeFileSync(join(sensor, 'energy1_input'), `${'0'.padStart(20, '0')}\n`);
    const driving = setInterval(drive, 10);
    cleanups.push(() => {
      clearInterval(driving);
    });
    const look = await lookAtNode({ sysfs: root, meters: [{ kind: 'rapl-powercap' }, { kind: 'amd-energy' }] });
    expect(opinionFindings(look)).toMatchObject([
      {
        what: 'package-0',
        state: 'warn',
        found: expect.stringMatching(/^rapl-powercap says .* W, amd-energy .* W/) as unknown,
      },
    ]);
    expect(look.domains.filter(({ domain }) => domain.kind === 'package' && domain.witnessOf === null)).toHaveLength(1);
    expect(look.reasons.join()).toContain('package: rapl-powercap, preferred to amd-energy');
  });

  test('the whole command, for people and for programs', async () => {
    const emulator = await emulated();
    const config = join(scratch(), 'wattle.toml');
    writeFileSync(
      config,
      `[cluster]\nname = "x"\n[sampler]\nsysfs = "${emulator.root}"\n[sampler.redfish]\nurl = "https://b"\ncredentials_file = "/b"\n[slurm]\nbin_dir = "/nowhere"\n[munge]\nsocket = "/nowhere/munge"\n`,
    );
    const page = await run(wattle, 'doctor', '--config', config);
    // There is no munged.
    expect(page.exitCode).toBe(1);
    expect(page.stdout).toMatch(/^ok {4}meter rapl-powercap {2}package-0, package-0\/core, package-0\/dram$/m);
    expect(page.stdout).toMatch(/^- {5}meter nvml/m);
    expect(page.stdout).toMatch(/^warn {2}meter redfish +declared in .* but not named/m);
    expect(page.stdout).toMatch(/^fail {2}MUNGE/m);
    expect(page.stdout).toMatch(/^ {2}package-0 +[\d.]+ W {2}package {2}rapl-powercap, measured/m);
    const json = JSON.parse((await run(wattle, 'doctor', '--json', '--config', config)).stdout) as object;
    expect(json).toMatchObject({ version: 1, domains: [{ name: 'package-0', kind: 'package' }, {}, {}] });
  });
});
