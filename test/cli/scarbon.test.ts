import { userInfo } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DEFAULT_FORMAT } from '../../src/cli/scarbon/columns.js';
import { scarbon } from '../../src/cli/scarbon/main.js';
import { FakeController, job, jobs, step } from './fake-controller.js';
import { run, type Outcome } from './run.js';

const MIDNIGHT_NOV_1 = new Date(2026, 10, 1).getTime();

let controller: FakeController;
beforeEach(async () => {
  controller = await FakeController.start();
  controller.body = jobs(job());
});
afterEach(() => controller.stop());

const ask = (...args: readonly string[]): Promise<Outcome> => run(scarbon, '--controller', controller.address, ...args);
const lines = ({ stdout }: Outcome): string[] => stdout.split('\n').slice(0, -1);

describe('the question', () => {
  test('is about today by default', async () => {
    await ask();
    const today = new Date();
    today.setHours(0, 0, 0, 0);
    expect(controller.requests.at(-1)?.pathname).toBe('/v1/jobs');
    // The test runs as root in a container and as a user elsewhere; sacct shows root everyone's jobs.
    const own = userInfo();
    expect(controller.query).toEqual({
      since: String(today.getTime()),
      ...(own.uid === 0 ? {} : { users: own.username }),
    });
  });

  test('with -j is about all time and everyone', async () => {
    await ask('-j', '12,13_[1-2],14+1,15.batch');
    expect(controller.query).toEqual({ jobs: '12,13_1,13_2,14+1,15' });
  });

  test('carries every condition, however sacct users write it', async () => {
    await ask(
      '-uada,root',
      '-Aphysics',
      '-rbatch,gpu',
      '-sCD,f,out_of_memory',
      '-S2026-11-01',
      '--end=2026-11-01T10:00',
      '-Nn[1-3],m1',
    );
    expect(controller.query).toEqual({
      users: 'ada,root',
      accounts: 'physics',
      partitions: 'batch,gpu',
      states: 'COMPLETED,FAILED,OUT_OF_MEMORY',
      nodes: 'n1,n2,n3,m1',
      since: String(MIDNIGHT_NOV_1),
      until: String(MIDNIGHT_NOV_1 + 36_000_000),
    });
  });

  test('names users by id too', async () => {
    await ask('-u', '0', '-a');
    expect(controller.query['users']).toBe('root');
  });

  test('carries no credential over a unix socket', async () => {
    await ask();
    expect(controller.headers.at(-1)).not.toHaveProperty('authorization');
  });
});

describe('the table', () => {
  test('looks like sacct', async () => {
    controller.body = jobs(
      job({ steps: [step(), step({ step: '0', name: 'python' })] }),
      job({
        jobId: '13_2',
        jobIdRaw: 15,
        name: 'a-much-longer-name',
        state: 'CANCELLED by 1000',
        elapsedMs: 90_061_000,
      }),
    );
    expect(lines(await ask())).toEqual([
      'JobID           JobName      User  Partition      State    Elapsed NCPUS     Energy      CO2e    Quality',
      '------------ ---------- --------- ---------- ---------- ---------- ----- ---------- --------- ----------',
      '12                train       ada      batch  COMPLETED   01:01:01     4      123 J   12.5 mg   measured',
      '12.batch          batch                       COMPLETED   01:01:01     4      110 J   11.0 mg   measured',
      '12.0             python                       COMPLETED   01:01:01     4      110 J   11.0 mg   measured',
      '13_2         a-much-lo+       ada      batch CANCELLED+ 1-01:01:01     4      123 J   12.5 mg   measured',
    ]);
  });

  test('-X leaves the steps out, and -j 12.batch shows that step alone', async () => {
    controller.body = jobs(job({ steps: [step(), step({ step: '0' })] }));
    expect(lines(await ask('-Xno', 'jobid'))).toEqual(['12']);
    expect(lines(await ask('-no', 'jobid', '-j', '12.batch'))).toEqual(['12.batch']);
    expect(lines(await ask('-no', 'jobid', '-j', '12'))).toEqual(['12', '12.batch', '12.0']);
  });

  test('has the columns and widths of --format', async () => {
    expect(lines(await ask('-o', 'jobname%-8,ENERGY%8,exitc'))).toEqual([
      'JobName    Energy ExitCode',
      '-------- -------- --------',
      'train       123 J      0:0',
    ]);
  });

  test('without jobs is its heading', async () => {
    controller.body = jobs();
    const outcome = await ask();
    expect(lines(outcome)).toHaveLength(2);
    expect(outcome.exitCode).toBe(0);
  });

  test('chooses one family of units for all rows', async () => {
    const energy = (microjoules: number) => job({ energy: { package: microjoules, dram: 0, gpu: 0, other: 0 } });
    controller.body = jobs(energy(5e5), energy(2.5e9));
    expect(lines(await ask('-no', 'energy'))).toEqual(['    500 mJ', '   2.50 kJ']);
    controller.body = jobs(energy(1.8e9), energy(3.6e12));
    expect(lines(await ask('-no', 'energy'))).toEqual(['   500 mWh', '  1.00 kWh']);
  });

  test('marks what is estimated and what was not sampled all through', async () => {
    controller.body = jobs(
      job({ quality: 'estimated' }),
      job({ coverage: 0.999_9 }),
      job({ quality: 'estimated', coverage: 0.5 }),
    );
    expect(lines(await ask('-no', 'energy,co2e,quality,coverage'))).toEqual([
      '    ~123 J  ~12.5 mg  estimated     100%',
      '    *123 J  *12.5 mg   measured    99.9%',
      '   ~*123 J ~*12.5 mg  estimated      50%',
    ]);
  });

  test('explains the marks to a person, on standard error', async () => {
    controller.body = jobs(job({ quality: 'estimated' }));
    Object.defineProperty(process.stderr, 'isTTY', { value: true, configurable: true });
    const outcome = await ask();
    Reflect.deleteProperty(process.stderr, 'isTTY');
    expect(outcome.stderr).toBe('~ estimated from CPU time and a declared power profile, not measured\n');
    expect((await ask()).stderr).toBe('');
  });

  test('does not show an unknown energy as 0', async () => {
    const nothing = { quality: null, coverage: null, co2e: null, energy: { package: 0, dram: 0, gpu: 0, other: 0 } };
    controller.body = jobs(
      job(nothing),
      job({ ...nothing, state: 'PENDING', startMs: null, endMs: null, elapsedMs: 0 }),
      job({ co2e: null }),
    );
    expect(lines(await ask('-no', 'jobid%2,energy,co2e,watts'))).toEqual([
      '12    Unknown   Unknown',
      '12',
      '12      123 J   Unknown   33.7 mW',
    ]);
  });

  test('--total sums jobs, not their steps, and says what is missing', async () => {
    controller.body = jobs(job({ steps: [step()] }), job({ co2e: null, quality: 'estimated' }));
    expect(lines(await ask('-n', '--total', '-o', 'jobid%-8,state,energy,co2e,cputime')).at(-1)).toBe(
      'Total                   ~247 J ~>12.5 mg   08:08:08',
    );
  });

  test('--units gives plain numbers in that unit', async () => {
    const [heading, , row] = lines(await ask('--units=wh', '-o', 'energy%12,package%12'));
    expect(heading).toBe('  Energy(Wh)  Package(Wh)');
    expect(row).toBe('    0.034294     0.027778');
  });

  test('a column that nobody gave a width is as wide as the heading with its unit', async () => {
    const [heading, rule] = lines(await ask('--units=kWh', '-o', 'energy,package,energy%6'));
    expect(heading).toBe('Energy(kWh) Package(kWh) Energ+');
    expect(rule).toBe('----------- ------------ ------');
  });

  test('shows no control character of a hostile name', async () => {
    controller.body = jobs(job({ name: '\u001b[2J\u009b31m\u202egnp\nx' }));
    const { stdout } = await ask('-o', 'jobname%40');
    // eslint-disable-next-line no-control-regex
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(lines({ stdout } as Outcome)).toHaveLength(3);
  });
});

describe('for programs', () => {
  test('--parsable2 has plain numbers in units that the heading names', async () => {
    controller.body = jobs(job({ quality: 'estimated', coverage: 0.25 }));
    expect(lines(await ask('-P', '-o', 'jobid,energy,co2e,watts,coverage,cputimeraw,start,end,totalcpu'))).toEqual([
      'JobID|Energy(J)|CO2e(g)|Watts(W)|Coverage|CPUTimeRAW|Start|End|TotalCPU',
      '12|123.456789|0.0125|0.033722149|0.25|14644|2026-11-01T00:00:01|2026-11-01T01:01:02|02:00:00',
    ]);
    expect(lines(await ask('-P', '--units=kWh', '-no', 'energy'))).toEqual(['0.000034293552']);
  });

  test('--parsable ends lines with a delimiter, which no value can hold', async () => {
    controller.body = jobs(job({ name: 'a|b\nc' }));
    expect(lines(await ask('-pn', '-o', 'jobid,jobname,user'))).toEqual(['12|a?b?c|ada|']);
    expect(lines(await ask('-Pn', '--delimiter=::', '-o', 'jobid,jobname'))).toEqual(['12::a|b?c']);
  });

  test('--csv quotes, and runs no formula', async () => {
    controller.body = jobs(job({ name: 'a "b", c' }), job({ name: '=HYPERLINK("http://x")' }), job({ name: '-1+1' }));
    expect(lines(await ask('--csv', '-o', 'jobname,energy'))).toEqual([
      'JobName,Energy(J)',
      '"a ""b"", c",123.456789',
      `"'=HYPERLINK(""http://x"")",123.456789`,
      `'-1+1,123.456789`,
    ]);
  });

  test('--json is exact, documented and safe to print', async () => {
    const name = '\u001b[2J\u009b31m\u202e"x"';
    controller.body = jobs(job({ name, steps: [step()] }), job({ quality: null, co2e: null }));
    const { stdout } = await ask('--json', '--total');
    // eslint-disable-next-line no-control-regex
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    const document = JSON.parse(stdout) as { jobs: Record<string, unknown>[]; total: unknown };
    expect(document.jobs[0]).toMatchObject({
      jobId: '12',
      name,
      elapsedSeconds: 3661,
      energyJoules: { total: 123.456_789, package: 100, dram: 20, gpu: 0, other: 3.456_789 },
      co2eGrams: 0.0125,
      quality: 'measured',
      start: new Date(MIDNIGHT_NOV_1 + 1000).toISOString(),
      steps: [{ step: 'batch', energyJoules: { total: 110 } }],
    });
    expect(document.jobs[1]).toMatchObject({ energyJoules: null, co2eGrams: null, meanWatts: null });
    expect(document.total).toEqual({
      jobs: 2,
      energyJoules: 123.456_789,
      jobsWithoutEnergy: 1,
      co2eGrams: 0.0125,
      jobsWithoutCo2e: 1,
      quality: 'measured',
    });
  });
});

describe('what goes wrong', () => {
  test.each([
    [['--forma=x'], 'unknown column "x"'],
    [['--jsn'], '--json'],
    [['--st=x'], '--state'],
    [['-y'], '-j -u -A'],
    [['12'], 'Name jobs with -j'],
    [['-o', 'enrgy'], 'nearest known column is Energy'],
    [['-o', 'jobid%x'], 'width from 1'],
    [['-o', 'jobid%0'], 'width from 1'],
    [['-o', ','], 'found none'],
    [['-s', 'COMPLETE'], 'nearest known state is COMPLETED'],
    [['-s', 'foo'], 'Known are BF, CA, CD'],
    [['-o', 'foo'], 'unknown column "foo"\ncommand: scarbon --helpformat'],
    [['--noconvert'], "'--noconvert'\ncommand: scarbon --help lists"],
    [['-S', 'now-5m'], 'expected a time, found "now-5m"'],
    [['-S', '2026-11-02', '-E', '2026-11-01'], 'before the start time'],
    [['-j', '12;rm'], 'expected a job id, found "12;rm"'],
    [['-j', '6_[1-'], 'expected job ids, found "6_[1-"'],
    [['-j', '6_[1-999999999]'], 'Write for example 12,12_[1-3]'],
    [['-N', 'n[3'], 'expected node names, found "n[3"'],
    [['--units=MJ'], 'expected J, Wh, kWh'],
    [['-j'], "'-j"],
  ])('%j is wrong usage', async (args, expected) => {
    const outcome = await ask(...args);
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr).toContain(expected);
    expect(controller.requests).toHaveLength(0);
  });

  test('no controller: exit code 3, the address and a remedy', async () => {
    const outcome = await run(scarbon, '--controller', 'unix:/nowhere/controller.sock');
    expect(outcome.exitCode).toBe(3);
    expect(outcome.stderr).toContain('unix:/nowhere/controller.sock');
    expect(outcome.stderr).toContain('--controller');
  });

  test('the controller refuses: its own words', async () => {
    controller.status = 403;
    controller.body = { error: { code: 'api.forbidden', message: 'ada may not see this', remedy: 'ask an operator' } };
    expect(await ask()).toMatchObject({
      exitCode: 1,
      stderr: 'command: ada may not see this\ncommand: ask an operator\n',
    });
    controller.status = 503;
    expect(await ask()).toMatchObject({ exitCode: 3 });
  });

  test.each([
    ['text', 'hello'],
    ['another shape', { jobs: [{}], cluster: 'x', truncated: false }],
    ['a negative energy', jobs(job({ energy: { package: -1, dram: 0, gpu: 0, other: 0 } }))],
    ['a coverage over 1', jobs(job({ coverage: 1.5 }))],
  ])('an answer that is none: %s', async (_, body) => {
    controller.body = body;
    const outcome = await ask();
    expect(outcome).toMatchObject({ exitCode: 1, stdout: '' });
    expect(outcome.stderr).toContain('expected the answer of a Wattle controller');
  });

  test('a list that was cut says so', async () => {
    controller.body = { ...jobs(job()), truncated: true };
    expect((await ask()).stderr).toContain('the list was cut');
  });
});

test('--helpformat names every default column', async () => {
  const { stdout } = await run(scarbon, '--helpformat');
  for (const column of DEFAULT_FORMAT.split(',')) expect(stdout).toContain(column);
});
