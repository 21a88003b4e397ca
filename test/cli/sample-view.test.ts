/** What `wattle sample` reads, works out and shows, without a sampler. */
import { describe, expect, test } from '@jest/globals';
import { hertz, micro } from '../../src/cli/wattle/figures-text.js';
import { CpuFollower, Followers, type DomainFigures } from '../../src/cli/wattle/sample/figures.js';
import { readOptions, withOptions, type SampleArguments } from '../../src/cli/wattle/sample/options.js';
import { ownFigures } from '../../src/cli/wattle/sample/own-figures.js';
import { Screen } from '../../src/cli/wattle/sample/screen.js';
import { fit, isUtf8, sparkline, styleOf, type Style } from '../../src/cli/wattle/sample/style.js';
import { TickLines } from '../../src/cli/wattle/sample/tick-lines.js';
import { liveFrame, plainLine, summary, type SampleState } from '../../src/cli/wattle/sample/view.js';
import { parseConfig } from '../../src/config/index.js';
import type { Domain, DomainReading, GpuStatus, SamplerStats } from '../../src/sampler/index.js';

const PLAIN: Style = { columns: 80, rows: 24, unicode: true, colour: false };

const domain = (index: number, name: string, over: Partial<Domain> = {}): Domain => ({
  index,
  name,
  kind: 'package',
  meter: 'rapl-perf',
  rateHz: 10,
  trustedGapNs: 60e9,
  quality: 'measured',
  parent: null,
  witnessOf: null,
  ...over,
});

const STATS: SamplerStats = {
  ticks: 12_000,
  forced: 1,
  lost: 0,
  late: 3,
  missed: 2,
  firstTickNs: 1,
  requestedHz: 1000,
  rateHz: 1000,
  achievedHz: 999.8,
  slowdowns: 0,
  latenessUs: { p50: 12, p99: 85, max: 1234 },
  timerResolutionUs: 57,
  urgency: 'realtime',
  cpuSeconds: 0.4,
  courierCpuSeconds: 0,
  suspends: 0,
  memoryBytes: 1000,
  domains: [],
};

const figures = (over: Partial<DomainFigures> = {}): DomainFigures => ({
  now: 95.3,
  mean: 100,
  min: 60,
  max: 140,
  history: [0, 70, 140],
  energyUj: 1200e6,
  coverage: 1,
  sinceNs: 1,
  knownAtNs: 2,
  ...over,
});

const state = (over: Partial<SampleState> = {}): SampleState => ({
  node: 'n1',
  elapsedSeconds: 12,
  domains: [domain(0, 'package-0')],
  figures: [figures()],
  stats: STATS,
  own: { samplingThread: 0.04, slowMeters: 0, process: 0.05, joules: 1.5 },
  job: undefined,
  gpus: [],
  problems: [],
  rateChanges: [],
  ...over,
});

describe('options', () => {
  test.each([
    ['10', 10],
    ['100Hz', 100],
    ['1k', 1000],
    ['1kHz', 1000],
    ['2.5khz', 2500],
    ['10 kHz', 10_000],
  ])('--rate %s', (rate, expected) => {
    expect(readOptions({ rate }).rateHz).toBe(expected);
  });

  test.each<[SampleArguments, string]>([
    [{ rate: '20kHz' }, '--rate: expected a rate from 1Hz to 10kHz, found "20kHz"'],
    [{ rate: '0.5' }, '--rate'],
    [{ rate: '' }, '--rate'],
    [{ rate: '1e3' }, '--rate'],
    [{ meter: ['rapl-per'] }, 'found "rapl-per"'],
    [{ meter: ['rapl-perf=fast'] }, '--meter rapl-perf: expected a rate'],
    [{ domain: ['cpu'] }, 'expected one of package, core'],
    [{ for: '10' }, '--for'],
    [{ for: '0s' }, '--for'],
    [{ job: '12_3' }, '--job'],
    [{ csv: 'a', json: 'b' }, 'found both'],
  ])('%j is wrong usage', (args, message) => {
    let thrown: unknown;
    try {
      readOptions(args);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) as unknown });
  });

  test('the rest', () => {
    expect(
      readOptions({
        meter: ['rapl-perf=1kHz,nvml', 'ipmi=0.5'],
        domain: ['gpu,package'],
        for: '5min',
        job: '12',
        json: '',
      }),
    ).toEqual({
      rateHz: undefined,
      meters: [
        { name: 'rapl-perf', rateHz: 1000 },
        { name: 'nvml', rateHz: undefined },
        { name: 'ipmi', rateHz: 0.5 },
      ],
      kinds: ['gpu', 'package'],
      durationMs: 300_000,
      jobId: 12,
      recording: { format: 'json', path: '-' },
      witnesses: false,
    });
  });

  test('meters and rates of the command line take the place of those configured', () => {
    const config = parseConfig(
      '[cluster]\nname = "x"\n[sampler]\nrate_hz = 20\nmeters = ["rapl-perf"]\n[sampler.rates]\nnvml = 5\n',
      'w.toml',
    );
    const sampler = (args: SampleArguments) => withOptions(config, readOptions(args)).sampler;
    expect(sampler({})).toMatchObject({ rateHz: 20, meters: ['rapl-perf'], rates: { nvml: 5 } });
    expect(sampler({ rate: '1k' })).toMatchObject({ rateHz: 1000, meters: ['rapl-perf'], rates: {} });
    expect(sampler({ meter: ['nvml', 'rapl-msr=100'] })).toMatchObject({
      rateHz: 20,
      meters: ['nvml', 'rapl-msr'],
      rates: { nvml: 5, 'rapl-msr': 100 },
    });
  });
});

/** Feeds a domain of constant power, read `everyMs`, to followers that tick at 100 Hz. */
function follow(seconds: number, watts: (second: number) => number, everyMs = 10): DomainFigures {
  const followers = new Followers(1);
  let energyUj = 0;
  let reading: DomainReading = { energyUj: 0, coveredNs: 0, knownAtNs: 0 };
  for (let ms = 0; ms <= seconds * 1000; ms += 10) {
    const monoNs = 1e12 + ms * 1e6;
    if (ms > 0) energyUj += watts((ms - 10) / 1000) * 1e4;
    if (ms % everyMs === 0) reading = { energyUj, coveredNs: ms * 1e6, knownAtNs: monoNs };
    followers.take(monoNs, () => reading);
  }
  const [only] = followers.figures();
  if (only === undefined) throw new Error('no figures');
  return only;
}

describe('figures', () => {
  test('of a power that steps from 100 to 200 W', () => {
    const found = follow(10, (second) => (second < 5 ? 100 : 200));
    expect(found).toMatchObject({ coverage: 1, energyUj: 1500e6 });
    expect(found.now).toBeCloseTo(200, 6);
    expect(found.mean).toBeCloseTo(150, 6);
    expect(found.min).toBeCloseTo(100, 6);
    expect(found.max).toBeCloseTo(200, 6);
    expect(found.history).toHaveLength(20);
    expect(found.history[0]).toBeCloseTo(100, 6);
    expect(found.history.at(-1)).toBeCloseTo(200, 6);
  });

  test('of a slow meter come from its own times, not from the ticks', () => {
    const found = follow(5.5, () => 300, 1000);
    expect(found.now).toBeCloseTo(300, 6);
    expect(found.min).toBeCloseTo(300, 6);
    expect(found.max).toBeCloseTo(300, 6);
    // Half a second more has passed; what it used is not known yet, and nothing is missing.
    expect(found).toMatchObject({ energyUj: 1500e6, coverage: 1 });
  });

  test('of a domain that fell silent: no power now, and the silence is not covered', () => {
    const followers = new Followers(1);
    for (let s = 0; s <= 10; s += 0.1) {
      const known = Math.min(s, 5);
      const reading = { energyUj: known * 100e6, coveredNs: known * 1e9, knownAtNs: 1e12 + known * 1e9 };
      followers.take(1e12 + s * 1e9, () => reading);
    }
    const [found] = followers.figures();
    expect(found?.now).toBeNull();
    expect(found?.mean).toBeCloseTo(100, 6);
    expect(found?.coverage).toBeCloseTo(0.5, 2);
    expect(found?.history.at(-1)).toBeNull();
  });

  test('of a domain that was never read are unknown, not 0', () => {
    const followers = new Followers(1);
    followers.take(1e12, () => ({ energyUj: 0, coveredNs: 0, knownAtNs: 0 }));
    expect(followers.figures()).toMatchObject([{ now: null, mean: null, min: null, coverage: 0 }]);
  });

  test('the last tick counts, due or not', () => {
    const followers = new Followers(1);
    const at = (ms: number) => ({ energyUj: ms * 1e5, coveredNs: ms * 1e6, knownAtNs: 1e12 + ms * 1e6 });
    followers.take(1e12, () => at(0));
    followers.take(1e12 + 100e6, () => at(100));
    followers.take(1e12 + 130e6, () => at(130));
    expect(followers.figures()[0]?.energyUj).toBe(100e5);
    followers.take(1e12 + 150e6, () => at(150), true);
    expect(followers.figures()[0]?.energyUj).toBe(150e5);
  });

  test('cores of a job, from ticks that read its counter', () => {
    const cpu = new CpuFollower();
    expect(cpu.figures()).toBeNull();
    for (let ms = 0; ms <= 2000; ms += 10) {
      cpu.step(ms % 100 === 0 ? (ms < 1000 ? ms : 3 * ms - 2000) * 1e6 : Number.NaN, ms * 1e6);
    }
    expect(cpu.figures()).toEqual({ now: 3, mean: 2, cpuSeconds: 4 });
  });

  test("own energy is the packages' share of own CPU time", () => {
    const domains = [
      domain(0, 'psys', { kind: 'psys' }),
      domain(1, 'package-0'),
      domain(2, 'package-1'),
      domain(3, 'package-0', { meter: 'rapl-msr', witnessOf: 1 }),
    ];
    const time = {
      stats: { cpuSeconds: 0.1, courierCpuSeconds: 0.02 },
      processCpuSeconds: 0.4,
      elapsedSeconds: 10,
      onlineCpus: 8,
    };
    const found = ownFigures(
      time,
      domains,
      [1000, 300, 500, 300].map((joules) => figures({ energyUj: joules * 1e6 })),
    );
    // (300 + 500) J x 0.4 s / (8 x 10 s)
    expect(found.joules).toBeCloseTo(4, 9);
    expect(found.samplingThread).toBeCloseTo(0.01, 9);
    expect(found.slowMeters).toBeCloseTo(0.002, 9);
    expect(found.process).toBeCloseTo(0.04, 9);
    expect(ownFigures(time, domains.slice(0, 1), [figures()]).joules).toBeNull();
  });
});

describe('what a terminal can show', () => {
  test.each([
    [{ LANG: 'C.UTF-8' }, true],
    [{ LANG: 'de_DE.utf8' }, true],
    [{ LC_ALL: 'C', LANG: 'C.UTF-8' }, false],
    [{ LC_ALL: '', LANG: 'C.UTF-8' }, true],
    [{}, false],
  ])('%j', (env, expected) => {
    expect(isUtf8(env)).toBe(expected);
  });

  test('colours and blocks only where they are wanted and known', () => {
    const utf8 = { LANG: 'C.UTF-8' };
    expect(styleOf({ ...utf8, TERM: 'xterm' }, 80, 24)).toMatchObject({ unicode: true, colour: true });
    expect(styleOf({ ...utf8, TERM: 'xterm', NO_COLOR: '1' }, 80, 24)).toMatchObject({ unicode: true, colour: false });
    expect(styleOf({ ...utf8, TERM: 'dumb' }, 80, 24)).toMatchObject({ unicode: false, colour: false });
    expect(styleOf({ TERM: 'xterm' }, 80, 24)).toMatchObject({ unicode: false, colour: true });
  });

  test('a history is drawn from 0 to its largest, the latest at the end', () => {
    expect(sparkline([0, 25, 50, 75, 100], 8, { unicode: true })).toBe('▁▃▅▇█');
    expect(sparkline([0, 25, 50, 75, 100], 8, { unicode: false })).toBe('.-+#@');
    expect(sparkline([1, 2, 3, null, 4], 2, { unicode: true })).toBe(' █');
    expect(sparkline([0, 0], 4, { unicode: true })).toBe('▁▁');
    expect(sparkline([], 4, { unicode: true })).toBe('');
  });

  test('a long name keeps both ends', () => {
    expect(fit('gpu-4f2c11aa-93', 9, { unicode: true })).toBe('gpu-…a-93');
    expect(fit('short', 9, { unicode: true })).toBe('short');
    expect(fit('abcdef', 1, { unicode: false })).toHaveLength(1);
  });
});

const TREE = [
  domain(0, 'psys', { kind: 'psys' }),
  domain(1, 'package-0', { parent: 0 }),
  domain(2, 'package-0/core', { kind: 'core', parent: 1 }),
  domain(3, 'package-0', { meter: 'rapl-powercap', witnessOf: 1 }),
  domain(4, 'gpu-4f2c11aa-9315-4a6f-b5c6-51f0a36f9f10', { kind: 'gpu', meter: 'nvml' }),
];
const tree = state({
  domains: TREE,
  figures: [figures(), figures(), figures({ now: null, mean: null }), figures({ mean: 99.5 }), figures()],
});

describe('a frame', () => {
  test('shows the tree, with second opinions below', () => {
    const lines = liveFrame(tree, { ...PLAIN, columns: 90 });
    expect(lines[0]).toMatch(/^wattle sample {2}n1 {2}00:12 +Ctrl-C ends$/);
    expect(lines[1]).toBe('1000 Hz, 12000 ticks, 2 missed, 0 lost, p99 85 us late, 5.0 % of a core');
    expect(lines[3]).toMatch(/^domain +now +mean +min +max {2}last \d+ s$/);
    expect(lines[4]).toMatch(/^psys +95\.3 W +100 W +60\.0 W +140 W {2}▁▅█$/);
    expect(lines[5]).toMatch(/^ {2}package-0 +95\.3 W/);
    expect(lines[6]).toMatch(/^ {4}also rapl-powercap +95\.3 W +99\.5 W +-0\.5 %$/);
    expect(lines[7]).toMatch(/^ {4}core +- +-/);
    expect(lines[8]).toMatch(/^gpu-4f2.*9f10 /);
  });

  test.each([200, 120, 80, 60, 44, 30, 20])('is never wider than %d columns, nor higher than its rows', (columns) => {
    for (const rows of [3, 8, 24]) {
      const lines = liveFrame({ ...tree, job: { jobId: 1, cpu: null } }, { ...PLAIN, columns, rows });
      expect(lines.length).toBeLessThanOrEqual(rows);
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(columns);
      expect(lines[0]).toContain('wattle sample');
    }
  });

  test('counts what does not fit, and keeps the job', () => {
    const job = { jobId: 4711, cpu: { now: 3.98, mean: 3.5, cpuSeconds: 40 } };
    const text = liveFrame({ ...tree, job }, { ...PLAIN, rows: 9 }).join('\n');
    expect(text).toContain('3 more: make the window higher');
    expect(text).toContain('job 4711: 3.98 cores in use, 3.50 on the mean');
  });

  test('marks estimates and gaps', () => {
    const [, , , , row] = liveFrame(
      state({ domains: [domain(0, 'package', { quality: 'estimated' })], figures: [figures({ coverage: 0.5 })] }),
      PLAIN,
    );
    expect(row).toMatch(/^package +~95\.3 W +\*~100 W/);
  });

  test('says at once that the machine cannot hold the rate', () => {
    expect(liveFrame(state({ stats: { ...STATS, rateHz: 500 } }), PLAIN)[1]).toContain('500 Hz (asked for 1000 Hz)');
  });

  test('without colour holds no escape sequence, with colour only such', () => {
    expect(liveFrame(tree, PLAIN).join('')).not.toContain('\u001b');
    const coloured = liveFrame(tree, { ...PLAIN, colour: true }).join('');
    // eslint-disable-next-line no-control-regex
    expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(liveFrame(tree, PLAIN).join(''));
  });

  test('a name from outside cannot move the cursor', () => {
    expect(liveFrame(state({ domains: [domain(0, 'a\u001b[2Jb')] }), PLAIN).join('\n')).toContain('a?[2Jb');
  });

  test('tells what a GPU does', () => {
    const gpu: GpuStatus = {
      uuid: 'GPU-4f2c11aa-9315-4a6f-b5c6-51f0a36f9f10',
      busId: '',
      name: 'H100',
      lost: false,
      atNs: 1,
      busyRatio: 0.5,
      busySeconds: 1,
      busyKnownSeconds: 2,
      memoryUsedBytes: 2 ** 30,
      memoryBytes: 80 * 2 ** 30,
      powerLimitWatts: 700,
      mig: true,
      instances: [
        {
          uuid: 'MIG-1',
          gpuInstance: 1,
          computeInstance: 0,
          slices: 3,
          memoryBytes: 2 ** 31,
          memoryUsedBytes: 0,
          busyRatio: null,
        },
      ],
      processes: [],
    };
    const text = liveFrame(state({ gpus: [gpu] }), PLAIN).join('\n');
    expect(text).toContain('gpu-4f2c11aa: busy 50 %, 1.0 of 80.0 GiB, limit 700 W, MIG instances: 1');
    expect(text).toContain('  MIG-1: 3 slices, busy share not told, 0.0 of 2.0 GiB');
    expect(liveFrame(state({ gpus: [{ ...gpu, lost: true }] }), PLAIN).join('\n')).toContain('LOST');
  });
});

test('what is wrong with a meter outside the node is told, now and in the end', () => {
  const failing = state({ problems: [{ meter: 'redfish', problem: 'bmc1 refuses\u0007 the password.' }] });
  expect(liveFrame(failing, PLAIN).at(-1)).toBe('redfish: bmc1 refuses? the password.');
  expect(summary(failing)).toContain('redfish: bmc1 refuses? the password.');
});

test('a line of text', () => {
  expect(plainLine({ ...tree, job: { jobId: 7, cpu: { now: 1, mean: 1, cpuSeconds: 1 } } })).toBe(
    '   12.0 s  psys 95.3 W  package-0 95.3 W  package-0/core -  gpu-4f2c11aa-9315-4a6f-b5c6-51f0a36f9f10 95.3 W  job 7 1.00 cores',
  );
});

test('the summary: energy, coverage, quality, and what sampling took', () => {
  const lines = summary({
    ...tree,
    figures: [figures({ coverage: 0.4567 }), ...tree.figures.slice(1)],
    stats: { ...STATS, requestedHz: 10_000, rateHz: 10_000, slowdowns: 1, suspends: 2 },
    rateChanges: [
      { atSeconds: 3.21, rateHz: 5000 },
      { atSeconds: 9, rateHz: 10_000 },
    ],
    job: { jobId: 7, cpu: { now: 1, mean: 3.5, cpuSeconds: 42 } },
  });
  const text = lines.join('\n');
  expect(lines[0]).toBe('Sampled n1 for 12.0 s at 10000 Hz');
  expect(text).toMatch(/^psys +\*1\.20 kJ +\*100 W +45\.6 % +measured +rapl-perf, 10 Hz$/m);
  expect(text).toMatch(/^ {4}also rapl-powercap +1\.20 kJ +99\.5 W +100\.0 % +measured +-0\.5 %$/m);
  expect(text).toContain('(* less than all of the time was sampled)');
  expect(text).toContain('Job 7: 42.0 CPU seconds, 3.50 cores in use on the mean');
  expect(text).toContain('this machine cannot hold 10000 Hz: sampled at 5000 Hz from 3.2 s on');
  expect(text).toContain('back at 10000 Hz from 9.0 s on');
  expect(text).toContain('12000 taken, 1 more on request; 3 late, 2 missed, 0 lost');
  expect(text).toContain('p50 12 us, p99 85 us, max 1.2 ms');
  expect(text).toContain('the host slept 2 times');
  expect(text).toContain('~1.50 J (estimated');
});

test('rates and times', () => {
  expect([9.984, 10, 99.97, 1000.4].map(hertz)).toEqual(['9.98 Hz', '10 Hz', '100 Hz', '1000 Hz']);
  expect([0.5, 9.96, 57.4, 999.6, 12_000].map(micro)).toEqual(['0.5 us', '10 us', '57 us', '1.0 ms', '12.0 ms']);
});

describe('every tick as text', () => {
  const domains = [domain(0, 'package-0'), domain(1, 'package-0', { meter: 'rapl-msr', witnessOf: 0 })];
  const ticks = [0, 1, 2].map((n) => ({
    monoNs: 5e9 + n * 1e9,
    realMs: 1000 + n * 1000,
    readings: [
      { energyUj: 7e6 + n * 100e6, coveredNs: n * 1e9, knownAtNs: 5e9 + n * 1e9 },
      // Read every other tick, and not at the first.
      { energyUj: n === 2 ? 50e6 : 0, coveredNs: 0, knownAtNs: n === 0 ? 0 : n === 1 ? 6e9 : 7e9 },
    ],
    cpuNs: n === 1 ? Number.NaN : n * 3e9,
  }));
  const lines = (format: 'csv' | 'json', jobId?: number): string[] => {
    const text = new TickLines({ format, node: 'n1', domains, jobId });
    return [text.heading(), ...ticks.map((tick) => text.tick(tick))];
  };

  test('CSV', () => {
    expect(lines('csv', 9)).toEqual([
      'unix(s),elapsed(s),package-0(J),package-0(W),package-0@rapl-msr(J),package-0@rapl-msr(W),job-9(CPU s)\n',
      '1.000000,0.000000,0.000000,,,,0.000000\n',
      '2.000000,1.000000,100.000000,100.000,0.000000,,\n',
      '3.000000,2.000000,200.000000,100.000,50.000000,50.000,6.000000\n',
    ]);
  });

  test('JSON', () => {
    const [heading, ...rest] = lines('json').map((line) => JSON.parse(line) as object);
    expect(heading).toMatchObject({ version: 1, node: 'n1', domains: [{ name: 'package-0' }, { witnessOf: 0 }] });
    expect(rest).toEqual([
      { elapsedSeconds: 0, unixMs: 1000, joules: [0, null], watts: [null, null] },
      { elapsedSeconds: 1, unixMs: 2000, joules: [100, 0], watts: [100, null] },
      { elapsedSeconds: 2, unixMs: 3000, joules: [200, 50], watts: [100, 50] },
    ]);
  });
});

describe('the screen', () => {
  const written: string[] = [];
  const out = { columns: 80, write: (text: string) => written.push(text) > 0 };

  test('draws over the former frame, also where a narrower window has wrapped it, and shows the cursor again', () => {
    const screen = new Screen(out);
    screen.draw(['a'.repeat(70), 'b', '']);
    expect(written.splice(0)).toEqual(['\u001b[?25l', `\r${'a'.repeat(70)}\u001b[K\nb\u001b[K\n\u001b[K\n\u001b[J`]);
    out.columns = 40;
    screen.draw(['c']);
    expect(written.splice(0)).toEqual(['\r\u001b[4Ac\u001b[K\n\u001b[J']);
    screen.close();
    screen.close();
    expect(written.splice(0)).toEqual(['\u001b[?25h']);
  });

  test('one that was never drawn leaves nothing', () => {
    new Screen(out).close();
    expect(written).toEqual([]);
  });
});
