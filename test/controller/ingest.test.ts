import { describe, expect, test } from '@jest/globals';
import { MAX_BATCH_BYTES } from '../../src/contract/index.js';
import { T0, batch, idleRow, jobRow, segment } from '../ledger/support/batches.js';
import { bench, errorOf } from './support.js';

const good = (sequence = 0) => batch(sequence, [segment([jobRow(1, 2_000_000), idleRow(3_000_000)])]);
const json = (value: unknown) => JSON.stringify(value);

describe('POST /v1/ingest', () => {
  test('books a batch that root sealed, and says so', async () => {
    const { ingest, munge, ledger, metric } = await bench();
    const response = await ingest(munge.seal(json(good()), 0));
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'booked', sequence: 0 });
    expect(ledger.booked).toEqual([{ batch: good(), site: { zone: 'FR', pue: 1.2 } }]);
    expect(await metric('wattle_ingest_rows_total')).toEqual(['wattle_ingest_rows_total 2']);
    expect(await metric('wattle_booked_joules_total')).toEqual([
      'wattle_booked_joules_total{owner="job"} 2',
      'wattle_booked_joules_total{owner="idle"} 3',
    ]);
  });

  test('answers a batch sealed again as duplicate, and counts its joules once', async () => {
    const { ingest, munge, metric } = await bench();
    await ingest(munge.seal(json(good()), 0));
    const again = await ingest(munge.seal(json(good()), 0));
    expect(again.status).toBe(200);
    expect(await again.json()).toEqual({ status: 'duplicate', sequence: 0 });
    expect(await metric('wattle_booked_joules_total{owner="job"}')).toEqual([
      'wattle_booked_joules_total{owner="job"} 2',
    ]);
    expect(await metric('wattle_ingest_batches_total{result="duplicate"}')).toHaveLength(1);
  });

  test('refuses a credential sent twice', async () => {
    const { ingest, munge, ledger } = await bench();
    const credential = munge.seal(json(good()), 0);
    await ingest(credential);
    expect(await errorOf(await ingest(credential))).toMatchObject({ status: 401, code: 'munge.replayed' });
    expect(ledger.book).toHaveBeenCalledTimes(1);
  });

  test('tells the agent which of its jobs ended long ago, so that a lost epilog does not book for ever', async () => {
    const { ingest, munge, ledger } = await bench();
    ledger.endedJobs.mockResolvedValueOnce([1]);
    const response = await ingest(munge.seal(json(good()), 0));
    expect(await response.json()).toEqual({ status: 'booked', sequence: 0, overdueJobs: [1] });
    expect(ledger.endedJobs).toHaveBeenCalledWith([1], good().sentAtMs - 900_000);
  });

  test('tells of jobs that ended, once', async () => {
    const { ingest, munge, ended } = await bench();
    const events = (['start', 'end'] as const).map((kind, i) => ({
      kind,
      jobId: 5 + i,
      restartCount: 0,
      atMs: T0,
      source: 'hook' as const,
    }));
    await ingest(munge.seal(json(batch(0, [], { events })), 0));
    await ingest(munge.seal(json(batch(0, [], { events })), 0));
    expect(ended).toEqual([6]);
  });

  test.each<[string, (b: Awaited<ReturnType<typeof bench>>) => Promise<Response>, number, string]>([
    ['of another user', (b) => b.ingest(b.munge.seal(json(good()), 1000)), 403, 'ingest.forbidden'],
    ['that munged does not know', (b) => b.ingest('rubbish'), 401, 'munge.invalid'],
    [
      'of no content type',
      (b) => b.ingest(b.munge.seal(json(good()), 0), { 'content-type': 'text/plain' }),
      415,
      'ingest.content-type',
    ],
    [
      'in plain JSON over TCP',
      (b) => b.ingest(json(good()), { 'content-type': 'application/json' }),
      415,
      'ingest.content-type',
    ],
    ['that says it is too large', (b) => b.ingest('x', { 'content-length': '99999999' }), 413, 'ingest.too-large'],
    ['that is too large', (b) => b.ingest('x'.repeat(2 * MAX_BATCH_BYTES)), 413, 'ingest.too-large'],
    [
      'with too large a payload',
      (b) => b.ingest(b.munge.seal('x'.repeat(MAX_BATCH_BYTES + 1), 0)),
      413,
      'ingest.too-large',
    ],
    ['that is not JSON', (b) => b.ingest(b.munge.seal('{', 0)), 400, 'ingest.malformed'],
    ['that is not UTF-8', (b) => b.ingest(b.munge.seal(new Uint8Array([0xff]), 0)), 400, 'ingest.malformed'],
    ['that is null', (b) => b.ingest(b.munge.seal('null', 0)), 400, 'ingest.malformed'],
    [
      'of a later version',
      (b) => b.ingest(b.munge.seal(json({ version: 2, whatever: 1 }), 0)),
      409,
      'ingest.unsupported-version',
    ],
    ['with an unknown field', (b) => b.ingest(b.munge.seal(json({ ...good(), extra: 1 }), 0)), 400, 'ingest.malformed'],
    [
      'whose joules do not add up',
      (b) => b.ingest(b.munge.seal(json(batch(0, [{ ...segment([idleRow(3)]), rows: [idleRow(2)] }])), 0)),
      400,
      'ingest.malformed',
    ],
    [
      'of another cluster',
      (b) => b.ingest(b.munge.seal(json({ ...good(), cluster: 'other' }), 0)),
      409,
      'ingest.wrong-cluster',
    ],
    [
      'from before clocks were set',
      (b) => b.ingest(b.munge.seal(json(batch(0, [segment([], { startMs: 0, endMs: 1, intervalStartMs: 0 })])), 0)),
      422,
      'ingest.implausible',
    ],
    [
      'from the far future',
      (b) =>
        b.ingest(
          b.munge.seal(
            json(
              batch(0, [], { events: [{ kind: 'end', jobId: 1, restartCount: 0, atMs: 2 ** 53 - 1, source: 'hook' }] }),
            ),
            0,
          ),
        ),
      422,
      'ingest.implausible',
    ],
    [
      'with a crooked interval',
      (b) => b.ingest(b.munge.seal(json(batch(0, [segment([], { intervalStartMs: T0 - 1 })])), 0)),
      422,
      'ingest.implausible',
    ],
  ])('refuses a batch %s', async (_, send, status, code) => {
    const b = await bench();
    const error = await errorOf(await send(b));
    expect(error).toMatchObject({ status, code });
    expect(error.remedy).not.toBe('');
    expect(b.ledger.book).not.toHaveBeenCalled();
    expect(await b.metric(`wattle_ingest_refused_total{code="${code}"}`)).toHaveLength(1);
    // And goes on working.
    expect((await b.ingest(b.munge.seal(json(good()), 0))).status).toBe(200);
  });

  test('takes plain JSON on the unix socket, from whom the kernel vouches for', async () => {
    const { request, ledger } = await bench();
    const init = { method: 'POST', body: json(good()), headers: { 'content-type': 'application/json' } };
    expect((await request('/v1/ingest', init, { peerUid: 1000 })).status).toBe(403);
    expect(ledger.book).not.toHaveBeenCalled();
    expect((await request('/v1/ingest', init, { peerUid: 0 })).status).toBe(200);
  });

  test('an unsupported version names both versions', async () => {
    const { ingest, munge } = await bench();
    const error = await errorOf(await ingest(munge.seal(json({ version: 7 }), 0)));
    expect(error.message).toMatch(/version 7.*version 1/);
  });

  test('books a node to the zone of its partition, a named node to its own', async () => {
    const partitions = new Map([
      ['n1', ['green']],
      ['n2', ['other', 'warm']],
      ['n9', ['green', 'warm']],
    ]);
    const { ingest, munge, ledger, nodes } = await bench(() => Promise.resolve(partitions));
    await nodes.refresh();
    for (const [sequence, node] of ['n1', 'n2', 'n9'].entries()) {
      await ingest(munge.seal(json(batch(sequence, [], { node })), 0));
    }
    expect(ledger.booked.map(({ site }) => site)).toEqual([
      { zone: 'SE3', pue: 1.2 },
      { zone: 'FR', pue: 1.6 },
      { zone: 'DE', pue: 1.2 },
    ]);
  });

  test('refuses a node that Slurm does not have, after asking once; believes it while Slurm is away', async () => {
    let asked = 0;
    const { ingest, munge } = await bench(() => {
      asked++;
      return Promise.resolve(new Map([['n7', ['a']]]));
    });
    expect(await errorOf(await ingest(munge.seal(json(good()), 0)))).toMatchObject({
      status: 409,
      code: 'ingest.unknown-node',
    });
    await ingest(munge.seal(json(good()), 0));
    expect(asked).toBe(1);
    const away = await bench(() => Promise.reject(new Error('slurmctld is away')));
    expect((await away.ingest(away.munge.seal(json(good()), 0))).status).toBe(200);
  });

  test('while the ledger is away answers 503, tells the log why and the agent to come again', async () => {
    const { ingest, munge, ledger, log } = await bench();
    ledger.book.mockRejectedValueOnce(Object.assign(new Error('password=hush'), { code: '57P01' }));
    const response = await ingest(munge.seal(json(good()), 0));
    expect(response.headers.get('retry-after')).not.toBeNull();
    const error = await errorOf(response);
    expect(error).toMatchObject({ status: 503, code: 'ledger.unavailable' });
    expect(JSON.stringify(error)).not.toContain('hush');
    expect(log.error).toHaveBeenCalledTimes(1);
  });
});
