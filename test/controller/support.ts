/** A controller's API over a fake munged and a fake name service, on a ledger held in memory. */
import { jest } from '@jest/globals';
import { type Batch, SEALED_CONTENT_TYPE, WattleError } from '../../src/contract/index.js';
import { Access } from '../../src/controller/access.js';
import { type Connection, createApp } from '../../src/controller/app.js';
import { Ingest } from '../../src/controller/ingest.js';
import type { Log } from '../../src/controller/log.js';
import { Metrics } from '../../src/controller/metrics.js';
import { NodeMap } from '../../src/controller/node-map.js';
import type { CredentialOpener, LedgerPort, Site } from '../../src/controller/ports.js';
import { Sites } from '../../src/controller/sites.js';
import { UserDirectory } from '../../src/controller/users.js';

export const USERS: Readonly<Record<string, number>> = { root: 0, ada: 1000, bob: 1001, opal: 1002 };

export const silent: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** munged as tests need it: seals under any uid, opens each credential once. */
export class FakeMunge implements CredentialOpener {
  readonly #opened = new Set<string>();
  #count = 0;

  seal(payload: string | Uint8Array, uid: number): string {
    const nonce = ++this.#count;
    return `MUNGE:${Buffer.from(JSON.stringify({ uid, nonce })).toString('base64')}:${Buffer.from(payload).toString('base64')}`;
  }

  open(credential: string) {
    const [word, head = '', payload = ''] = credential.split(':');
    if (word !== 'MUNGE') return Promise.reject(new WattleError('munge.invalid', 'Invalid credential', 'x'));
    if (this.#opened.has(credential)) return Promise.reject(new WattleError('munge.replayed', 'Replayed', 'x'));
    this.#opened.add(credential);
    const { uid } = JSON.parse(Buffer.from(head, 'base64').toString()) as { uid: number };
    return Promise.resolve({ payload: new Uint8Array(Buffer.from(payload, 'base64')), uid, gid: uid });
  }
}

const fakeUsers = () =>
  new UserDirectory((key) => {
    const entry = Object.entries(USERS).find(([name, uid]) => key === name || key === String(uid));
    return Promise.resolve(entry && `${entry[0]}:x:${entry[1]}:${entry[1]}::/:/bin/sh\n`);
  });

/** Remembers what it was given, books by sequence alone. */
export class FakeLedger implements LedgerPort {
  readonly booked: { batch: Batch; site: Site }[] = [];
  readonly book = jest.fn((batch: Batch, site: Site) => {
    if (this.booked.some((known) => known.batch.sequence === batch.sequence))
      return Promise.resolve('duplicate' as const);
    this.booked.push({ batch, site });
    return Promise.resolve('booked' as const);
  });
  readonly recordFacts = jest.fn<LedgerPort['recordFacts']>(() => Promise.resolve());
  readonly unresolvedJobs = jest.fn<LedgerPort['unresolvedJobs']>(() => Promise.resolve([]));
  readonly endedJobs = jest.fn<LedgerPort['endedJobs']>(() => Promise.resolve([]));
  readonly recordPartitions = jest.fn<LedgerPort['recordPartitions']>(() => Promise.resolve());
  readonly partitions = jest.fn<LedgerPort['partitions']>(() => Promise.resolve(new Map()));
  readonly jobs = jest.fn<LedgerPort['jobs']>(() => Promise.resolve({ jobs: [], truncated: false }));
  readonly conservation = jest.fn<LedgerPort['conservation']>((since, until) =>
    Promise.resolve({ since, until, nodes: [] } as never),
  );
  readonly ping = jest.fn<LedgerPort['ping']>(() => Promise.resolve());
}

export interface Bench {
  readonly ledger: FakeLedger;
  readonly munge: FakeMunge;
  readonly metrics: Metrics;
  readonly nodes: NodeMap;
  readonly ended: number[];
  readonly log: { [K in keyof Log]: jest.Mock<Log[K]> };
  /** A request as the listener hands it on. */
  readonly request: (path: string, init?: RequestInit, connection?: Connection) => Promise<Response>;
  readonly ingest: (body: string, headers?: Record<string, string>) => Promise<Response>;
  readonly metric: (name: string) => Promise<string[]>;
}

export async function bench(askNodes?: () => Promise<ReadonlyMap<string, readonly string[]>>): Promise<Bench> {
  const ledger = new FakeLedger();
  const munge = new FakeMunge();
  const metrics = new Metrics();
  const nodes = new NodeMap(ledger, askNodes);
  const log = { info: jest.fn<Log['info']>(), warn: jest.fn<Log['warn']>(), error: jest.fn<Log['error']>() };
  const access = await Access.create({ agentUsers: ['root'], operators: ['root'] }, fakeUsers(), () =>
    Promise.resolve(new Set(['opal'])),
  );
  const sites = new Sites({
    zone: 'FR',
    pue: 1.2,
    partitions: { green: { zone: 'SE3' }, warm: { pue: 1.6 } },
    nodes: { 'n[8-9]': { zone: 'DE' } },
  });
  const ended: number[] = [];
  const ingest = new Ingest({
    cluster: 'test',
    access,
    opener: munge,
    ledger,
    nodes,
    metrics,
    siteOf: (node) => sites.of(node, nodes.partitionsOf(node)),
    onJobsEnded: (jobIds) => ended.push(...jobIds),
  });
  const app = createApp({ cluster: 'test', access, opener: munge, ledger, ingest, metrics, log });
  const request: Bench['request'] = async (path, init, connection = {}) => app.request(path, init, connection);
  return {
    ledger,
    munge,
    metrics,
    nodes,
    ended,
    log,
    request,
    ingest: (body, headers = {}) =>
      request('/v1/ingest', { method: 'POST', body, headers: { 'content-type': SEALED_CONTENT_TYPE, ...headers } }),
    async metric(name) {
      const text = await (await request('/metrics')).text();
      return text.split('\n').filter((line) => line.startsWith(name));
    },
  };
}

export async function errorOf(
  response: Response,
): Promise<{ status: number; code: string; message: string; remedy: string }> {
  const body = (await response.json()) as { error: { code: string; message: string; remedy: string } };
  return { status: response.status, ...body.error };
}
