import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Batch } from '../../src/contract/index.js';
import type { PlacedFacts } from '../../src/controller/ports.js';
import { Ledger, type OpenDatabase } from '../../src/ledger/index.js';
import { INTERVAL_MS, T0, batch, idleRow, jobRow, segment, uj } from './support/batches.js';
import { onBothEngines } from './support/engines.js';

const SITE = { zone: 'FR', pue: 1.2 };
const HOUR = 3_600_000;

function facts(jobIdRaw: number, extra: Partial<PlacedFacts> = {}): PlacedFacts {
  return {
    jobId: String(jobIdRaw),
    jobIdRaw,
    restartCount: 0,
    name: 'train',
    user: 'ada',
    uid: 1000,
    account: 'physics',
    partition: 'cpu',
    qos: 'normal',
    state: 'COMPLETED',
    submitMs: T0 - 5_000,
    startMs: T0,
    endMs: T0 + 10_000,
    elapsedMs: 10_000,
    ncpus: 2,
    nnodes: 1,
    nodelist: 'n1',
    nodes: ['n1'],
    exitCode: '0:0',
    steps: [],
    ...extra,
  };
}

onBothEngines((engine) => {
  let database: OpenDatabase;
  let clusters = 0;

  beforeAll(async () => {
    database = await engine.fresh();
  }, 60_000);
  afterAll(() => database.close());

  /** A ledger of its own for each test: the books of another cluster in the same database. */
  async function openBooks(): Promise<{ ledger: Ledger; of: (b: Batch) => Batch }> {
    const cluster = `c${++clusters}`;
    return { ledger: await Ledger.open(database, cluster), of: (b) => ({ ...b, cluster }) };
  }

  async function jobsOf(ledger: Ledger) {
    return (await ledger.jobs({ limit: 1000 })).jobs;
  }

  async function conservationOf(ledger: Ledger) {
    return (await ledger.conservation(T0 - HOUR, T0 + 24 * HOUR)).nodes;
  }

  test('adds the deltas of one interval to one row per owner', async () => {
    const { ledger, of } = await openBooks();
    await ledger.recordFacts([facts(7)]);
    await ledger.book(of(batch(0, [segment([jobRow(7, 30), idleRow(70)]), segment([jobRow(7, 5)])])), SITE);
    await ledger.book(of(batch(1, [segment([jobRow(7, 1, { quality: 'estimated' }), idleRow(2)])])), SITE);
    const [job] = await jobsOf(ledger);
    expect(job?.energy).toEqual({ package: 36, dram: 0, gpu: 0, other: 0 });
    expect(job?.quality).toBe('estimated');
    expect(job?.cpuMs).toBe(15_000);
    expect(job?.rules).toEqual(['wattle-1']);
    const [row] = await database.query<{ n: bigint }>(
      `select count(*) as n from ledger_row join cluster using (cluster_id) where name = 'c${clusters}'`,
    );
    expect(row?.n).toBe(2n);
  });

  test('keeps sums beyond 2^53 exact', async () => {
    const { ledger, of } = await openBooks();
    const large = Number.MAX_SAFE_INTEGER;
    await ledger.book(of(batch(0, [segment([jobRow(8, large)])])), SITE);
    await ledger.book(of(batch(1, [segment([jobRow(8, large)])])), SITE);
    const [row] = await database.query<{ uj: bigint }>(
      `select sum(uj_package)::bigint as uj from ledger_row join cluster using (cluster_id) where name = 'c${clusters}'`,
    );
    expect(row?.uj).toBe(2n * BigInt(large));
    const nodes = await conservationOf(ledger);
    expect(nodes[0]?.intervalsOff).toBe(0);
  });

  test('the same batches in any order and any number book the same, and every interval adds up', async () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 2 ** 40 })), {
      minLength: 1,
      maxLength: 4,
    });
    const segments = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), rows), { maxLength: 3 });
    const sent = fc
      .array(segments, { minLength: 1, maxLength: 6 })
      .chain((batches) =>
        fc.tuple(
          fc.constant(batches),
          fc.array(fc.nat({ max: batches.length - 1 }), { maxLength: 12 }),
          fc.array(fc.nat(), { minLength: 18, maxLength: 18 }),
        ),
      );
    await fc.assert(
      fc.asyncProperty(sent, async ([contents, repeats, order]) => {
        const { ledger, of } = await openBooks();
        const batches = contents.map((content, sequence) =>
          of(
            batch(
              sequence,
              content.map(([interval, owners]) => {
                const shift = interval * INTERVAL_MS;
                const at = { startMs: T0 + shift, endMs: T0 + shift + 10_000 };
                return segment(
                  owners.map(([job, value]) => (job === 3 ? idleRow(value, at) : jobRow(job, value, at))),
                  { ...at, intervalStartMs: T0 + shift },
                );
              }),
            ),
          ),
        );
        const sending = [...batches.keys(), ...repeats]

          .map((index, place) => ({ index, key: order[place] ?? 0 }))
          .sort((a, b) => a.key - b.key);
        const answers = await Promise.all(
          sending.map(({ index }) => ledger.book(batches[index] ?? batch(0, []), SITE)),
        );
        expect(answers.filter((answer) => answer === 'booked')).toHaveLength(batches.length);
        const expected = contents.flat(2).length
          ? contents
              .flat()
              .flatMap(([, owners]) => owners)
              .reduce((sum, [, value]) => sum + value, 0)
          : 0;
        const nodes = await conservationOf(ledger);
        expect(nodes.reduce((sum, node) => sum + node.total, 0)).toBe(expected);
        for (const node of nodes) {
          expect(node.intervalsOff).toBe(0);
          expect(Object.values(node.owners).reduce((sum: number, value) => sum + value, 0)).toBe(node.total);
        }
      }),
      { numRuns: 25 },
    );
  }, 120_000);

  test('remembers what is booked as ranges, across restarts of the controller', async () => {
    const { ledger, of } = await openBooks();
    for (const sequence of [0, 1, 2, 5, 3]) await ledger.book(of(batch(sequence, [])), SITE);
    const again = await Ledger.open(database, `c${clusters}`);
    await expect(again.book(of(batch(3, [])), SITE)).resolves.toBe('duplicate');
    await expect(again.book(of(batch(4, [])), SITE)).resolves.toBe('booked');
    await expect(again.book(of(batch(0, [], { epoch: 'boot/b' })), SITE)).resolves.toBe('booked');
    const [row] = await database.query<{ booked: string }>(
      `select booked::text from batch_epoch join node using (node_id) join cluster c using (cluster_id)
       where c.name = 'c${clusters}' and epoch = 'boot/a'`,
    );
    expect(row?.booked).toBe('{[0,6)}');
  });

  test('finds an interval whose owners do not add up', async () => {
    const { ledger, of } = await openBooks();
    await ledger.book(of(batch(0, [segment([jobRow(1, 10), idleRow(20)])])), SITE);
    expect((await conservationOf(ledger))[0]).toMatchObject({ intervals: 1, intervalsOff: 0, total: 30 });
    await database.query(
      `update ledger_row set uj_package = uj_package + 1 where owner = 'idle'
       and cluster_id = (select cluster_id from cluster where name = 'c${clusters}')`,
    );
    expect((await conservationOf(ledger))[0]).toMatchObject({ intervalsOff: 1 });
  });

  test('a batch that does not fit is refused whole', async () => {
    const { ledger, of } = await openBooks();
    const bad = of(batch(0, [segment([jobRow(1, 10)]), segment([jobRow(2, 5, { restartCount: 2 ** 40 })])]));
    await expect(ledger.book(bad, SITE)).rejects.toMatchObject({ code: 'ledger.unbookable' });
    expect(await conservationOf(ledger)).toEqual([]);
    // Its number is not used up.
    await expect(ledger.book(of(batch(0, [])), SITE)).resolves.toBe('booked');
  });

  test('derives grams from the intensity and the PUE of each interval', async () => {
    const { ledger, of } = await openBooks();
    const zone = `zone-${clusters}`;
    const at = (fromMs: number, toMs: number, gramsPerKwh: number, extra = {}) => ({
      validFromMs: fromMs,
      validToMs: toMs,
      issuedAtMs: T0,
      gramsPerKwh,
      estimated: false,
      forecast: false,
      ...extra,
    });
    const series = { zone, kind: 'average', basis: 'lifecycle' } as const;
    await ledger.recordFacts([facts(1), facts(2, { endMs: T0 + INTERVAL_MS + 10_000 })]);
    const second = T0 + INTERVAL_MS;
    const later = { startMs: second, endMs: second + 10_000 };
    const kwh = 3_600_000_000_000;
    await ledger.book(
      of(
        batch(0, [
          segment([jobRow(1, kwh), jobRow(2, kwh)]),
          segment([jobRow(2, kwh, later)], { ...later, intervalStartMs: second }),
        ]),
      ),
      { zone, pue: 1.5 },
    );
    const grams = async () => new Map((await jobsOf(ledger)).map((job) => [job.jobIdRaw, job.co2e]));
    // No intensity known: no figure, rather than a part of one.
    expect(await grams()).toEqual(
      new Map([
        [1, null],
        [2, null],
      ]),
    );
    await ledger.storeCarbonSeries([
      { ...series, source: 'yearly', rank: 100, points: [at(T0 - HOUR, Infinity, 100)] },
      { ...series, source: 'other-sense', basis: 'direct', rank: 1, points: [at(T0 - HOUR, Infinity, 7)] },
    ]);
    expect(await grams()).toEqual(
      new Map([
        [1, 150],
        [2, 300],
      ]),
    );
    // A better source for the second interval only, and a forecast that must not count.
    await ledger.storeCarbonSeries([
      {
        ...series,
        source: 'live',
        rank: 10,
        points: [at(second, second + INTERVAL_MS, 20), at(T0, second, 1, { forecast: true })],
      },
    ]);
    expect(await grams()).toEqual(
      new Map([
        [1, 150],
        [2, 180],
      ]),
    );
    // A revision counts from the next question on.
    await ledger.storeCarbonSeries([
      { ...series, source: 'live', rank: 10, points: [at(second, second + INTERVAL_MS, 40, { issuedAtMs: T0 + 1 })] },
    ]);
    expect(await grams()).toEqual(
      new Map([
        [1, 150],
        [2, 210],
      ]),
    );
    expect((await jobsOf(ledger))[1]?.ciSources).toEqual(['live', 'yearly']);
    const [sum] = await database.query<{ g: number }>(
      `select sum(g_co2e) as g from ledger_footprint where cluster = 'c${clusters}'`,
    );
    expect(sum?.g).toBeCloseTo(360, 6);
  });

  test('a changed PUE holds from then on', async () => {
    const { ledger, of } = await openBooks();
    await ledger.book(of(batch(0, [segment([idleRow(1)])])), { zone: 'FR', pue: 1.1 });
    await ledger.book(of(batch(1, [segment([idleRow(1)])])), { zone: 'FR', pue: 1.3 });
    const rows = await database.query<{ pue: number; open: boolean }>(
      `select pue, valid_to = 'infinity' as open from pue_assignment join node using (node_id)
       join cluster c using (cluster_id) where c.name = 'c${clusters}' order by valid_from`,
    );
    expect(rows).toEqual([
      { pue: 1.1, open: false },
      { pue: 1.3, open: true },
    ]);
    expect((await ledger.conservation(T0, T0 + HOUR)).nodes[0]?.total).toBe(2);
  });

  test('a job known by events only is RUNNING, then UNKNOWN, until Slurm speaks of it', async () => {
    const { ledger, of } = await openBooks();
    const event = {
      jobId: 40,
      restartCount: 0,
      source: 'hook',
      user: 'ada',
      account: 'physics',
      partition: 'cpu',
    } as const;
    await ledger.book(of(batch(0, [], { events: [{ ...event, kind: 'start', atMs: T0 }] })), SITE);
    await ledger.book(of(batch(0, [], { node: 'n2', events: [{ ...event, kind: 'start', atMs: T0 + 5 }] })), SITE);
    const only = async () => (await ledger.jobs({ limit: 9, users: ['ada'] })).jobs[0];
    expect(await only()).toMatchObject({ jobId: '40', state: 'RUNNING', account: 'physics', nnodes: 2, endMs: null });
    await ledger.book(of(batch(1, [], { events: [{ ...event, kind: 'end', atMs: T0 + 8_000 }] })), SITE);
    expect(await only()).toMatchObject({ state: 'RUNNING' });
    await ledger.book(of(batch(1, [], { node: 'n2', events: [{ ...event, kind: 'end', atMs: T0 + 9_000 }] })), SITE);
    expect(await only()).toMatchObject({ state: 'UNKNOWN', startMs: T0, endMs: T0 + 9_000, elapsedMs: 9_000 });
    await ledger.recordFacts([facts(40, { jobId: '38_2', state: 'FAILED', nodelist: 'n[1-2]', nnodes: 2 })]);
    expect(await only()).toMatchObject({ jobId: '38_2', state: 'FAILED', nodelist: 'n[1-2]' });
  });

  test('asks Slurm again only of jobs that are not over', async () => {
    const { ledger, of } = await openBooks();
    const atMs = Date.now();
    const start = (jobId: number) => ({ kind: 'start', jobId, restartCount: 0, atMs, source: 'hook' }) as const;
    await ledger.book(of(batch(0, [], { events: [start(1), start(2), start(3)] })), SITE);
    await ledger.recordFacts([facts(2), facts(3, { state: 'RUNNING', endMs: null })]);
    expect(await ledger.unresolvedJobs(10)).toEqual([3, 1]);
    expect(await ledger.unresolvedJobs(1)).toEqual([3]);
  });

  test("knows which of an agent's jobs are over, by their latest run", async () => {
    const { ledger, of } = await openBooks();
    await ledger.recordFacts([
      facts(1),
      facts(2, { state: 'RUNNING', endMs: null }),
      facts(3, { state: 'NODE_FAIL' }),
      facts(3, { restartCount: 1, state: 'RUNNING', endMs: null }),
    ]);
    const endMs = facts(1).endMs ?? 0;
    expect(await ledger.endedJobs([1, 2, 3, 99], endMs + 1)).toEqual([1]);
    expect(await ledger.endedJobs([1, 2, 3, 99], endMs)).toEqual([]);
    // Requeued, and running again before Slurm's accounting says so.
    const start = { kind: 'start', jobId: 1, restartCount: 1, atMs: endMs + 1000, source: 'hook' } as const;
    await ledger.book(of(batch(0, [], { events: [start] })), SITE);
    expect(await ledger.endedJobs([1], endMs + 5000)).toEqual([]);
  });

  test('answers the latest run of a requeued job with the energy of all runs', async () => {
    const { ledger, of } = await openBooks();
    await ledger.recordFacts([
      facts(5, { state: 'NODE_FAIL' }),
      facts(5, { restartCount: 1, submitMs: T0 + 10_000, startMs: T0 + 10_000, endMs: T0 + 30_000, elapsedMs: 20_000 }),
    ]);
    await ledger.recordFacts([facts(5, { state: 'NODE_FAIL' })]);
    const second = { restartCount: 1, startMs: T0 + 10_000, endMs: T0 + 30_000, coveredMs: 5_000 };
    await ledger.book(of(batch(0, [segment([jobRow(5, 3), jobRow(5, 4, second)], { endMs: T0 + 30_000 })])), SITE);
    const [job] = await jobsOf(ledger);
    expect(job).toMatchObject({ state: 'COMPLETED', elapsedMs: 20_000, energy: { package: 7 } });
    expect(job?.coverage).toBeCloseTo(0.25, 9);
    expect(job?.sampledNodeMs).toBe(jobRow(5, 3).coveredMs + 5_000);
  });

  test('the hooks know how long a short job was there better than whole seconds do', async () => {
    const { ledger, of } = await openBooks();
    const at = (kind: 'start' | 'end', atMs: number) =>
      ({ kind, atMs, jobId: 8, restartCount: 0, source: 'hook' }) as const;
    const row = (coveredMs: number) => jobRow(8, 3, { startMs: T0 + 400, endMs: T0 + 1_300, coveredMs });
    const events = [at('start', T0 + 400), at('end', T0 + 1_300)];
    await ledger.recordFacts([facts(8, { endMs: T0 + 2_000, elapsedMs: 2_000 })]);
    await ledger.book(of(batch(0, [segment([row(450)])], { events })), SITE);
    expect((await jobsOf(ledger))[0]?.coverage).toBeCloseTo(0.5, 9);
    await ledger.book(of(batch(1, [segment([row(449)])])), SITE);
    expect((await jobsOf(ledger))[0]?.coverage).toBe(1);
  });

  test('a node that never reports lowers the coverage of its job', async () => {
    const { ledger, of } = await openBooks();
    await ledger.recordFacts([facts(6, { nnodes: 4 })]);
    await ledger.book(of(batch(0, [segment([jobRow(6, 3)])])), SITE);
    expect((await jobsOf(ledger))[0]?.coverage).toBeCloseTo(0.25, 9);
  });

  test('selects jobs as sacct does', async () => {
    const { ledger } = await openBooks();
    const late = { submitMs: T0 + HOUR, startMs: T0 + HOUR, endMs: T0 + 2 * HOUR };
    await ledger.recordFacts([
      facts(11),
      facts(12, { jobId: '10_1', user: 'bob', nodes: ['n2'] }),
      facts(13, { jobId: '10_2', account: 'bio', state: 'FAILED' }),
      // Slurm gives the last task the job id of the array.
      facts(10, { jobId: '10_10' }),
      facts(14, { jobId: '14+0', partition: 'gpu', ...late }),
      facts(15, { jobId: '14+1', ...late }),
      facts(16, { state: 'PENDING', startMs: null, endMs: null, nodelist: '', nodes: [], submitMs: T0 + 3 * HOUR }),
    ]);
    const ids = async (query: object) => (await ledger.jobs({ limit: 99, ...query })).jobs.map((job) => job.jobId);
    expect(await ids({})).toEqual(['10_1', '10_2', '10_10', '11', '14+0', '14+1', '16']);
    expect(await ids({ jobs: [{ displayId: '10', id: 10 }] })).toEqual(['10_1', '10_2', '10_10']);
    expect(await ids({ jobs: [{ displayId: '10_2' }, { displayId: '14+1' }] })).toEqual(['10_2', '14+1']);
    expect(await ids({ jobs: [{ displayId: '12', id: 12 }] })).toEqual(['10_1']);
    expect(await ids({ users: ['bob'] })).toEqual(['10_1']);
    expect(await ids({ accounts: ['bio'] })).toEqual(['10_2']);
    expect(await ids({ partitions: ['gpu'] })).toEqual(['14+0']);
    expect(await ids({ states: ['FAILED', 'PENDING'] })).toEqual(['10_2', '16']);
    expect(await ids({ nodes: ['n2'] })).toEqual(['10_1']);
    expect(await ids({ sinceMs: T0 + HOUR })).toEqual(['14+0', '14+1', '16']);
    expect(await ids({ untilMs: T0 + HOUR - 1 })).toEqual(['10_1', '10_2', '10_10', '11']);
    const page = await ledger.jobs({ limit: 2 });
    expect(page.jobs.map((job) => job.jobId)).toEqual(['14+1', '16']);
    expect(page.truncated).toBe(true);
  });

  test('answers steps with their share', async () => {
    const { ledger, of } = await openBooks();
    const step = {
      state: 'COMPLETED',
      startMs: T0,
      endMs: T0 + 1,
      elapsedMs: 1,
      ncpus: 1,
      nodelist: 'n1',
      exitCode: '0:0',
    };
    await ledger.recordFacts([
      facts(20, { steps: ['0', '10', '2', 'batch', 'extern'].map((name) => ({ ...step, step: name, name })) }),
    ]);
    const steps = [
      { step: 'batch', microjoules: uj(5), cpuMs: 2 },
      { step: '0', microjoules: uj(7), cpuMs: 3 },
      { step: 'extern', microjoules: uj(0), cpuMs: 0 },
    ];
    await ledger.book(of(batch(0, [segment([jobRow(20, 12, { steps })]), segment([jobRow(20, 12, { steps })])])), SITE);
    const [job] = await jobsOf(ledger);
    expect(job?.steps.map((one) => [one.step, one.energy.package])).toEqual([
      ['batch', 10],
      ['extern', 0],
      ['0', 14],
      ['2', 0],
      ['10', 0],
    ]);
  });

  test('survives hostile text in facts', async () => {
    const { ledger } = await openBooks();
    const name = `a\0b'; drop table job; --\n{"\\",} \u{1F600}`;
    await ledger.recordFacts([facts(30, { name })]);
    expect((await jobsOf(ledger))[0]?.name).toBe(name.replace('\0', ''));
  });

  test('remembers the partitions of nodes', async () => {
    const { ledger } = await openBooks();
    await ledger.recordPartitions(
      new Map([
        ['n1', ['a', 'b']],
        ['n2', []],
      ]),
    );
    await ledger.recordPartitions(new Map([['n1', ['b']]]));
    expect(await ledger.partitions()).toEqual(new Map([['n1', ['b']]]));
  });

  describe('transactions', () => {
    test('roll back whole', async () => {
      await database.query('create table scratch (a integer)');
      const failing = database.transaction(async (tx) => {
        await tx.query('insert into scratch values (1)');
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await database.query('select * from scratch')).toEqual([]);
      await database.query('drop table scratch');
    });
  });
});
