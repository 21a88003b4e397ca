import { describe, expect, test } from '@jest/globals';
import { USERS, bench, errorOf } from './support.js';

const as = (user: string) => ({ peerUid: USERS[user] ?? -1 });

describe('GET /v1/jobs', () => {
  test('shows users their own jobs, operators all', async () => {
    const { request, ledger } = await bench();
    for (const user of ['ada', 'root', 'opal']) {
      expect((await request('/v1/jobs', undefined, as(user))).status).toBe(200);
    }
    expect(ledger.jobs.mock.calls.map(([query]) => query.users)).toEqual([['ada'], undefined, undefined]);
  });

  test('refuses to show the jobs of others, whatever else is asked', async () => {
    const { request, ledger } = await bench();
    for (const query of ['users=bob', 'users=ada,bob', 'users=bob&jobs=1']) {
      const response = await request(`/v1/jobs?${query}`, undefined, as('ada'));
      expect(await errorOf(response)).toMatchObject({ status: 403, code: 'api.forbidden' });
    }
    expect(ledger.jobs).not.toHaveBeenCalled();
    await request('/v1/jobs?users=&jobs=1', undefined, as('ada'));
    expect(ledger.jobs.mock.calls[0]?.[0].users).toEqual(['ada']);
  });

  test('knows callers on TCP by their credential, once each', async () => {
    const { request, munge, ledger } = await bench();
    const authorization = `MUNGE ${munge.seal('', 1001)}`;
    expect((await request('/v1/jobs', { headers: { authorization } })).status).toBe(200);
    expect(ledger.jobs.mock.calls[0]?.[0].users).toEqual(['bob']);
    expect(await errorOf(await request('/v1/jobs', { headers: { authorization } }))).toMatchObject({
      status: 401,
      code: 'munge.replayed',
    });
  });

  test('on the unix socket the kernel decides, not a credential', async () => {
    const { request, munge, ledger } = await bench();
    await request('/v1/jobs', { headers: { authorization: `MUNGE ${munge.seal('', 0)}` } }, as('ada'));
    expect(ledger.jobs.mock.calls[0]?.[0].users).toEqual(['ada']);
  });

  test.each([[undefined], ['Basic eA=='], ['MUNGE '], [`MUNGE ${'x'.repeat(5000)}`]])(
    'whom it does not know it tells how to be known: %j',
    async (authorization) => {
      const { request } = await bench();
      const response = await request('/v1/jobs', authorization === undefined ? {} : { headers: { authorization } });
      expect(response.headers.get('www-authenticate')).toBe('MUNGE');
      const error = await errorOf(response);
      expect(error).toMatchObject({ status: 401, code: 'api.unauthenticated' });
      expect(error.remedy).toContain('MUNGE');
    },
  );

  test('a uid without a name is refused', async () => {
    const { request } = await bench();
    expect(await errorOf(await request('/v1/jobs', {}, { peerUid: 4242 }))).toMatchObject({ code: 'api.unknown-user' });
  });

  test('reads every condition', async () => {
    const { request, ledger } = await bench();
    const query =
      'jobs=12,12_3,7%2B1&accounts=a,b&partitions=p&nodes=n1&states=completed&since=1000&until=2000&limit=5';
    await request(`/v1/jobs?${query}`, undefined, as('root'));
    expect(ledger.jobs.mock.calls[0]?.[0]).toEqual({
      jobs: [{ displayId: '12', id: 12 }, { displayId: '12_3' }, { displayId: '7+1' }],
      accounts: ['a', 'b'],
      partitions: ['p'],
      nodes: ['n1'],
      states: ['COMPLETED'],
      sinceMs: 1000,
      untilMs: 2000,
      limit: 5,
    });
  });

  test.each([
    'user=ada',
    'since=yesterday',
    'since=-1',
    'until=99999999999999999',
    'jobs=1;2',
    'limit=1e9',
    'jobs=1&jobs=2',
  ])('refuses %s', async (query) => {
    const { request } = await bench();
    expect(await errorOf(await request(`/v1/jobs?${query}`, undefined, as('root')))).toMatchObject({
      status: 400,
      code: 'api.bad-query',
    });
  });
});

describe('GET /v1/conservation', () => {
  test('is for operators', async () => {
    const { request, ledger } = await bench();
    const path = '/v1/conservation?since=1000&until=2000';
    expect((await request(path, undefined, as('ada'))).status).toBe(403);
    expect((await request(path)).status).toBe(401);
    expect(ledger.conservation).not.toHaveBeenCalled();
    const response = await request(path, undefined, as('opal'));
    expect(await response.json()).toEqual({ since: 1000, until: 2000, nodes: [] });
  });

  test.each(['since=2000&until=1000', 'since=0&until=99999999999999', 'jobs=1'])('refuses %s', async (query) => {
    const { request } = await bench();
    expect((await request(`/v1/conservation?${query}`, undefined, as('root'))).status).toBe(400);
  });
});

describe('the rest', () => {
  test('healthz follows the ledger', async () => {
    const { request, ledger } = await bench();
    expect(await (await request('/healthz')).json()).toEqual({ status: 'ok' });
    ledger.ping.mockRejectedValueOnce(new Error('gone'));
    expect((await request('/healthz')).status).toBe(503);
  });

  test('metrics have no label that a stranger can make up', async () => {
    const { request, metric } = await bench();
    await request('/x/1');
    await request('/x/2');
    expect(await metric('wattle_http_requests_total')).toEqual([
      'wattle_http_requests_total{route="other",status="404"} 2',
    ]);
    expect(await metric('wattle_facts_age_seconds')).toEqual(['wattle_facts_age_seconds Nan']);
  });

  test('an unknown path and a failure of our own have the common form', async () => {
    const { request, ledger, log } = await bench();
    expect(await errorOf(await request('/nothing'))).toMatchObject({ status: 404, code: 'api.unknown-path' });
    ledger.jobs.mockImplementationOnce(() => {
      throw new TypeError('secret detail');
    });
    const error = await errorOf(await request('/v1/jobs', undefined, as('ada')));
    expect(error.status).toBeGreaterThanOrEqual(500);
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(log.error).toHaveBeenCalled();
  });
});
