/** Whatever outside sends: no parser throws, none gives a value that is no energy, and none remembers without bound. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Condition } from '../../../src/sampler/sources/condition.js';
import { EnergyCounter } from '../../../src/sampler/sources/energy-counter.js';
import { numberOf, type LineFormat } from '../../../src/sampler/sources/lines/format.js';
import { LineClock } from '../../../src/sampler/sources/lines/line-clock.js';
import { OmegawattFrames, OmegawattTable } from '../../../src/sampler/sources/lines/omegawatt.js';
import { SeparatedValues, type SeparatedOptions } from '../../../src/sampler/sources/lines/separated.js';
import { LineSplitter } from '../../../src/sampler/sources/lines/splitter.js';
import { Values } from '../../../src/sampler/sources/lines/values.js';
import { MeanThinning } from '../../../src/sampler/sources/lines/thinning.js';
import { wallTimeMs } from '../../../src/sampler/sources/lines/wall-time.js';
import { SourceProblem } from '../../../src/sampler/sources/problem.js';
import * as answers from '../../../src/sampler/sources/redfish-answers.js';
import { findRoute } from '../../../src/sampler/sources/redfish-route.js';
import { frame, frameHeader } from '../../hardware/wattmeter-frames.mjs';

const FRAME_OPTIONS = { nb: 6, channel: 2, periodNs: 1e7, elapsedNs: 5e9, stampS: 1671527189.25 } as const;
const WAVEFORM = { shape: 'constant', watts: 210.4 } as const;

/** Lines that are almost right: pieces of real ones, put together anew. */
const pieces = fc.constantFrom(
  '#timestamp',
  '#frame_is_ok',
  '#activepow1',
  '#activepow2',
  'true',
  'false',
  '1671527189.294241015',
  '2026-11-27 10:15:30',
  '27/11/2026',
  '10:15:30',
  '-1',
  '1e308',
  '1e999',
  'NaN',
  'Infinity',
  '0x10',
  '20,9',
  '230.1',
  '',
  ' ',
  '__proto__',
  'constructor',
);
const separators = fc.constantFrom(',', ';', '\t');
const nearlyRight = fc.tuple(fc.array(pieces, { maxLength: 20 }), separators).map(([cells, by]) => cells.join(by));
const line = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), nearlyRight);

const formats: readonly [string, () => LineFormat][] = [
  ['frames', () => new OmegawattFrames([1, 2])],
  ['table', () => new OmegawattTable([1])],
  ['table by name', () => new OmegawattTable(['#activepow1'])],
  [
    'separated',
    () => new SeparatedValues({ channels: [1, 3], unit: 'watts', multiplier: 1, separator: ',', timeColumn: 2 }),
  ],
  [
    'separated by name',
    () => new SeparatedValues({ channels: ['__proto__'], unit: 'kWh', multiplier: 1e9, separator: ';' }),
  ],
];

describe.each(formats)('%s', (_name, make) => {
  test('never throws, and gives values that are none below 0', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), (lines) => {
        const format = make();
        for (const text of lines) {
          const parsed = format.parse(text);
          if (parsed.kind !== 'value') continue;
          expect(parsed.value).toBeGreaterThanOrEqual(0);
          if (parsed.stampMs !== undefined) expect(Number.isFinite(parsed.stampMs)).toBe(true);
        }
      }),
    );
  });
});

describe('frames of an OmegaWatt box', () => {
  const good = (): OmegawattFrames => {
    const frames = new OmegawattFrames([2]);
    frames.parse(frameHeader(6).trim());
    return frames;
  };

  test('as they are documented', () => {
    const frames = new OmegawattFrames([1]);
    const header = '#timestamp,#frame_is_ok,#U1,#U2,#U3,#current1,#activepow1,#current2,#activepow2';
    expect(frames.parse('open /dev/ttyUSB0')).toMatchObject({ kind: 'unusable' });
    expect(frames.parse(header)).toEqual({ kind: 'names' });
    expect(frames.parse('1671527189.304214184,false,,,,,,,')).toEqual({ kind: 'gap' });
    expect(frames.parse('1671527189.304214184,false,,,,,,,,,,,,,,,')).toEqual({ kind: 'gap' });
    const parsed = frames.parse('1671527189.314471465,true,232.3,0.0,0.0,0.1,20.9,0.0,0.0');
    expect(parsed).toMatchObject({ kind: 'value', value: 20.9 });
    expect(parsed.kind === 'value' ? parsed.stampMs : 0).toBeCloseTo(1671527189314.471, 2);
  });

  test('cut short anywhere give no value', () => {
    const whole = frame({ ...FRAME_OPTIONS, waveform: WAVEFORM }).trim();
    expect(good().parse(whole)).toMatchObject({ kind: 'value', value: 210.4 });
    // The last column's digits may go without a trace; it is not one that is asked for.
    const lastComma = whole.lastIndexOf(',');
    for (let length = 0; length <= lastComma; length++)
      expect(good().parse(whole.slice(0, length)).kind).not.toBe('value');
  });

  test('with one empty socket of several are a gap', () => {
    const frames = new OmegawattFrames([1, 2]);
    frames.parse('#timestamp,#frame_is_ok,#activepow1,#activepow2');
    expect(frames.parse('1671527189.3,true,5,')).toEqual({ kind: 'gap' });
    expect(frames.parse('1671527189.3,true,5,6')).toMatchObject({ value: 11 });
  });
});

test('a table takes decimal commas, European dates, and date and time apart', () => {
  const table = new OmegawattTable([2]);
  expect(table.parse('Date\tHeure\tVoie 1 (W)\tVoie 2 (W)')).toEqual({ kind: 'names' });
  const parsed = table.parse('27/11/2026\t10:15:30\t20\t20,5');
  expect(parsed).toEqual({ kind: 'value', value: 20.5, stampMs: new Date(2026, 10, 27, 10, 15, 30).getTime() });
  expect(table.parse('27/11/2026\t10:15:31\t20')).toMatchObject({ kind: 'unusable' });
  const byName = new OmegawattTable(['Voie 1 (W)']);
  byName.parse('Horodatage\tVoie 1 (W)\tVoie 2 (W)');
  expect(byName.parse('1795774530\t20\t30')).toEqual({ kind: 'value', value: 20, stampMs: 1795774530000 });
});

test.each<[string, number | null]>([
  ['1795774530', 1795774530000],
  ['1795774530123', 1795774530123],
  ['2026-11-27T10:15:30Z', Date.UTC(2026, 10, 27, 10, 15, 30)],
  ['2026/11/27 10:15:30.25+01:00', Date.UTC(2026, 10, 27, 9, 15, 30, 250)],
  ['2026-11-27 10:15:30-0500', Date.UTC(2026, 10, 27, 15, 15, 30)],
  ['2026-13-27 10:15:30', null],
  ['12', null],
  ['-1795774530', null],
  ['9999999999999', null],
  ['', null],
  ['noon', null],
])('wall time %s', (text, expected) => {
  expect(wallTimeMs(text)).toBe(expected);
});

test('a number is what instruments write, and nothing else', () => {
  for (const text of ['1', '+1.5', '.5', '2.', '1e3', '-7']) expect(numberOf(text)).toBe(Number(text));
  for (const text of ['', ' ', '0x10', '1_0', 'Infinity', '1,5', '1 2', '1e', '--1', '٣'])
    expect(numberOf(text)).toBeNull();
});

describe('lines', () => {
  const split = (chunks: readonly Buffer[]): string[] => {
    const lines: string[] = [];
    const splitter = new LineSplitter((text) => lines.push(text));
    for (const chunk of chunks) splitter.push(chunk);
    return lines;
  };

  test('are the same however the bytes are cut', () => {
    const bytes = fc.array(fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 255 }) }, fc.constant(10)));
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(40)), (all, cuts) => {
        const whole = Buffer.from(all);
        const chunks: Buffer[] = [];
        let from = 0;
        for (const cut of cuts) chunks.push(whole.subarray(from, (from += cut)));
        chunks.push(whole.subarray(from));
        const expected = whole.toString('latin1').split('\n').slice(0, -1);
        expect(split(chunks)).toEqual(
          expected.map((text) => text.replace(/\r$/, '')).filter((_, i) => expected[i] !== ''),
        );
      }),
    );
  });

  test('that are too long are passed over, and the next one is whole', () => {
    const long = Buffer.alloc(40_000, 'x');
    expect(split([Buffer.from('a\n'), long, long, Buffer.from('\nb\n')])).toEqual(['a', 'b']);
    expect(split([Buffer.alloc(65_536, 'x'), Buffer.from('\n')])).toHaveLength(1);
    expect(split([Buffer.alloc(65_537, 'x'), Buffer.from('\n')])).toHaveLength(0);
  });
});

describe('the clock of lines', () => {
  test('never places a line after its arrival, nor a minute before', () => {
    const step = fc.record({ stamp: fc.double({ min: -1e6, max: 1e6, noNaN: true }), arrival: fc.nat(2_000_000_000) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const clock = new LineClock();
        let [stampMs, arrivalNs] = [1.7e12, 1e15];
        for (const { stamp, arrival } of steps) {
          stampMs += stamp;
          arrivalNs += arrival;
          const at = clock.at(stampMs, arrivalNs);
          expect(at).toBeLessThanOrEqual(arrivalNs);
          expect(at).toBeGreaterThanOrEqual(arrivalNs - 60e9 - 1000);
        }
      }),
    );
  });

  test('gives lines of one bundle their distance, whatever the two clocks show', () => {
    const clock = new LineClock();
    const at: number[] = [];
    // Bundles of ten lines, 10 ms apart, that arrive with their last.
    for (let n = 0; n < 200; n++) at.push(clock.at(5e11 + n * 10, 1e12 + (Math.floor(n / 10) * 10 + 9) * 1e7));
    const steady = at.slice(10);
    steady.slice(1).forEach((ns, index) => {
      expect(Math.abs(ns - (steady[index] ?? 0) - 1e7)).toBeLessThan(2000);
    });
  });

  test('goes on when the clock of the meter is set, either way', () => {
    const clock = new LineClock();
    for (const jumpMs of [0, 3_600_000, -7_200_000]) {
      for (let n = 1; n <= 5; n++) {
        const arrivalNs = 1e12 + Math.abs(jumpMs) * 1e6 + n * 1e7;
        expect(Math.abs(clock.at(1.7e12 + jumpMs + n * 10, arrivalNs) - arrivalNs)).toBeLessThan(2e6);
      }
    }
  });
});

test('means keep the energy: what comes out integrates to what went in', () => {
  const readings = fc.array(
    fc.record({ value: fc.double({ min: 0, max: 1000, noNaN: true }), gapMs: fc.integer({ min: 1, max: 250 }) }),
    {
      minLength: 1,
    },
  );
  fc.assert(
    fc.property(readings, fc.constantFrom(0, 100), (all, everyMs) => {
      const means = new MeanThinning(everyMs);
      let atMs = 0;
      const inputs = all.map(({ value, gapMs }) => ({ value, monoNs: (atMs += gapMs) * 1e6 }));
      const out = [...inputs.flatMap((reading) => means.add(reading)), ...means.flush()];
      const [least, most] = [
        Math.min(...inputs.map(({ value }) => value)),
        Math.max(...inputs.map(({ value }) => value)),
      ];
      for (const { value } of out) {
        expect(value).toBeGreaterThanOrEqual(least * (1 - 1e-9));
        expect(value).toBeLessThanOrEqual(most * (1 + 1e-9));
      }
      for (const [index, { monoNs }] of out.entries()) expect(monoNs).toBeGreaterThan(out[index - 1]?.monoNs ?? 0);
      if (everyMs === 0) expect(out).toEqual(inputs);
    }),
  );
});

test('readings further apart than the mean are not held back', () => {
  const means = new MeanThinning(100);
  const counts = [0, 1000, 2000, 3000].map((ms) => means.add({ value: 1, monoNs: ms * 1e6 }).length);
  expect(counts).toEqual([0, 2, 1, 1]);
});

test('an energy counter starts at 0, ignores what is no energy, and never gives one for a reset', () => {
  fc.assert(
    fc.property(fc.array(fc.double()), (values) => {
      const counter = new EnergyCounter();
      let raw: number | undefined;
      let last = 0;
      for (const value of values) {
        const step = counter.step(value);
        if (step === null) continue;
        expect(step).toBeGreaterThanOrEqual(0);
        if (step > last) expect(step - last).toBeLessThanOrEqual(value - (raw ?? value) + 1e-3 * Math.abs(value));
        raw = value;
        last = step;
      }
    }),
  );
});

test('an energy counter goes on from where it was when it had only dipped', () => {
  const through = (values: readonly number[]) => {
    const counter = new EnergyCounter();
    return values.map((value) => counter.step(value));
  };
  expect(through([1000, 1010, 0, 1030])).toEqual([0, 10, 0, 30]);
  expect(through([1000, 1010, 500, 510, 20, 1030, 1040])).toEqual([0, 10, 0, 10, 0, 30, 40]);
  // A true reset, and another one that is far below the first.
  expect(through([1000, 1010, 0, 300, 2, 302])).toEqual([0, 10, 0, 300, 0, 302]);
});

describe('separated values', () => {
  /** What is reported of lines that come 50 ms apart. */
  function through(
    options: Partial<SeparatedOptions>,
    lines: readonly string[],
  ): { values: number[]; dropped: number } {
    const format = new SeparatedValues({ channels: [1], unit: 'watts', multiplier: 1, separator: ',', ...options });
    const reported: number[] = [];
    const limits = { unit: format.unit, everyMs: 0, maxWatts: 20_000 };
    const values = new Values(limits, new Condition(5000, { watts: 10_000, joules: 300_000 }), ({ value }) =>
      reported.push(value),
    );
    lines.forEach((text, index) => {
      const parsed = format.parse(text);
      if (parsed.kind === 'value') values.take(parsed.value, index * 50e6);
      if (parsed.kind === 'unusable') values.drop(parsed.why, text);
    });
    return { values: reported, dropped: values.dropped };
  }

  test('of which more than one in a hundred cannot be used are complained of, though readings come', () => {
    const values = new Values(
      { unit: 'watts', everyMs: 0, maxWatts: 20_000 },
      new Condition(5000, { watts: 10_000, joules: 300_000 }),
      () => undefined,
    );
    let atNs = 0;
    const take = (count: number): void => {
      for (let i = 0; i < count; i++) values.take(100, (atNs += 1e6));
    };
    take(100);
    for (let i = 0; i < 9; i++) values.drop('it is junk', 'x');
    expect(values.complaint).toBeNull();
    values.take(30_000, (atNs += 1e6));
    expect(values.complaint).toMatch(/^10 of 110 lines could not be used, the last: it shows 30000 watts/);
    take(890);
    expect(values.complaint).toBeNull();
  });

  test('in joules are counted from the first, over a reset of the counter', () => {
    const lines = ['1000', '1500', '1500', '2000', '10', '60'];
    expect(through({ unit: 'joules' }, lines).values).toEqual([0, 500, 1000, 0, 50]);
  });

  test('in kWh, and with a multiplier', () => {
    const [first, second = 0] = through({ unit: 'kWh', multiplier: 0.001 }, ['10', '11']).values;
    expect(first).toBe(0);
    expect(second).toBeCloseTo(3600, 6);
  });

  test('what is no power of a node is dropped and counted', () => {
    const lines = ['300', '-5', 'nan', '1e9', '', '3 junk', '0x10', '301'];
    expect(through({}, lines)).toEqual({ values: [300, 301], dropped: 5 });
  });

  test('a header in mid-stream moves the columns; a line that is cut short is none', () => {
    expect(through({ channels: ['w'] }, ['299,230', 'w,v', '300,230', 'v,w', '231,305', '23'])).toEqual({
      values: [300, 305],
      dropped: 2,
    });
  });

  test('words of a program between the lines do no harm', () => {
    expect(through({ channels: [2] }, ['starting', 'x,300', 'done', 'x,301']).values).toEqual([300, 301]);
  });
});

describe('answers of a BMC', () => {
  const parsers = Object.entries(answers).filter(([, parse]) => typeof parse === 'function') as [
    string,
    (json: unknown) => unknown,
  ][];
  const names = fc.constantFrom(
    'Members',
    '@odata.id',
    'Links',
    'ComputerSystems',
    'EnvironmentMetrics',
    'PowerWatts',
    'EnergyJoules',
    'EnergykWh',
    'LifetimeReading',
    'Reading',
    'ReadingType',
    'ReadingTime',
    'DataSourceUri',
    'PowerSubsystem',
    'PowerSupplies',
    'Metrics',
    'Status',
    'State',
    'InputPowerWatts',
    'Power',
    'PowerControl',
    'PowerConsumedWatts',
    '__proto__',
  );
  const leaves = fc.oneof(
    fc.double(),
    fc.constantFrom(
      null,
      true,
      -1,
      0,
      300,
      1e308,
      'Power',
      'EnergyJoules',
      'Absent',
      '300',
      '/redfish/v1/Chassis/1',
      '/redfish/v1/../../x',
    ),
    fc.constantFrom(
      'http://evil.test/redfish/',
      '//evil.test/redfish/',
      '/redfish/\\evil.test',
      '/redfish/v1?x=1',
      '/other',
    ),
  );
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaves,
      fc.dictionary(names, tie('tree'), { maxKeys: 6 }),
      fc.array(tie('tree'), { maxLength: 3 }),
    ),
  }));

  test.each(parsers)('%s throws nothing but the declared problem, and gives no number below 0', (_name, parse) => {
    fc.assert(
      fc.property(fc.oneof(tree, fc.jsonValue()), (json) => {
        try {
          expectSound(parse(json));
        } catch (error) {
          expect(error).toBeInstanceOf(SourceProblem);
        }
      }),
    );
  });

  /** Numbers are amounts, and paths lead nowhere but into the service. */
  function expectSound(value: unknown): void {
    if (typeof value === 'number') expect(value >= 0 && Number.isFinite(value)).toBe(true);
    if (typeof value === 'string' && value.includes('/')) {
      expect(new URL(value, 'https://bmc.test').origin).toBe('https://bmc.test');
      expect(new URL(value, 'https://bmc.test').pathname.startsWith('/redfish/')).toBe(true);
    }
    if (typeof value === 'object' && value !== null) {
      // The time is shown as the BMC writes it, and never followed.
      for (const [name, part] of Object.entries(value)) if (name !== 'readingTime') expectSound(part);
    }
  }

  test('that lead in circles or on for ever end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(tree), async (trees) => {
        let asked = 0;
        const get = (): Promise<unknown> => {
          asked++;
          return Promise.resolve(trees.next().value);
        };
        try {
          const route = await findRoute(get);
          const reading = await route.read(get);
          if (reading !== null) expect(reading.value).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(SourceProblem);
        }
        expect(asked).toBeLessThan(20_000);
      }),
    );
  });

  test('with many thousand members are read in part', () => {
    const Members = Array.from({ length: 100_000 }, (_, i) => ({ '@odata.id': `/redfish/v1/Chassis/${i}` }));
    expect(answers.parseMembers({ Members })).toHaveLength(64);
  });
});
