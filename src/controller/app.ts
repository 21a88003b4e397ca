/** The HTTP API as a pure function of requests: no socket, no clock of its own, everything injected. */
import { Hono } from 'hono';
import { type ConservationAnswer, type JobsAnswer, WattleError } from '../contract/index.js';
import type { Access, Caller } from './access.js';
import { askLedger } from './ask-ledger.js';
import { failureAnswer, isOurFault } from './failures.js';
import type { Ingest } from './ingest.js';
import { forCaller, parseJobsQuery } from './jobs-request.js';
import type { Log } from './log.js';
import type { Metrics } from './metrics.js';
import type { CredentialOpener, LedgerPort } from './ports.js';

export interface AppOptions {
  readonly cluster: string;
  readonly access: Access;
  readonly opener: CredentialOpener;
  readonly ledger: Pick<LedgerPort, 'jobs' | 'conservation' | 'ping'>;
  readonly ingest: Ingest;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** What the listener knows of a connection. */
export interface Connection {
  /** Set on the unix socket. */
  readonly peerUid?: number;
}

/** A credential without payload is some 250 bytes. */
const MAX_CREDENTIAL = 4096;
/** The longest span that one conservation check may cover. */
const MAX_CHECK_MS = 400 * 86_400_000;
const DAY_MS = 86_400_000;

export function createApp(options: AppOptions) {
  const { cluster, ingest, ledger, log, metrics } = options;
  const app = new Hono<{ Bindings: Connection }>();

  app.use(async (c, next) => {
    await next();
    metrics.requests.inc({ route: routeOf(c.req.path), status: c.res.status });
  });

  app.get('/healthz', async (c) => {
    await askLedger(metrics, 'ping', () => ledger.ping());
    return c.json({ status: 'ok' });
  });

  app.get('/metrics', async (c) => {
    c.header('Content-Type', metrics.registry.contentType);
    return c.body(await metrics.registry.metrics());
  });

  app.post('/v1/ingest', async (c) => c.json(await ingest.take(c.req.raw, connectionOf(c.env).peerUid)));

  app.get('/v1/jobs', async (c) => {
    const caller = await identify(options, connectionOf(c.env), c.req.header('authorization'));
    const query = forCaller(parseJobsQuery(new URL(c.req.url).searchParams), caller);
    const answer: JobsAnswer = { cluster, ...(await askLedger(metrics, 'jobs', () => ledger.jobs(query))) };
    return c.json(answer);
  });

  app.get('/v1/conservation', async (c) => {
    const caller = await identify(options, connectionOf(c.env), c.req.header('authorization'));
    if (!caller.operator) {
      const remedy = 'ask an operator ([controller] operators, or AdminLevel in Slurm)';
      throw new WattleError('api.forbidden', `${caller.user} may not see the books of all nodes`, remedy);
    }
    const { sinceMs = Date.now() - DAY_MS, untilMs = Date.now() } = timesOf(new URL(c.req.url).searchParams);
    if (untilMs <= sinceMs || untilMs - sinceMs > MAX_CHECK_MS) {
      const remedy = `expected since before until, at most ${MAX_CHECK_MS / DAY_MS} days apart`;
      throw new WattleError('api.bad-query', `since=${sinceMs} until=${untilMs}`, remedy);
    }
    const answer: ConservationAnswer = await askLedger(metrics, 'conservation', () =>
      ledger.conservation(sinceMs, untilMs),
    );
    return c.json(answer);
  });

  app.notFound((c) =>
    failureAnswer(
      c,
      new WattleError(
        'api.unknown-path',
        `nothing at ${c.req.method} ${c.req.path.slice(0, 100)}`,
        `paths are ${[...ROUTES].join(', ')}`,
      ),
    ),
  );

  app.onError((error, c) => {
    if (isOurFault(error)) log.error({ err: error, path: c.req.path }, 'request failed');
    return failureAnswer(c, error);
  });

  return app;
}

const ROUTES = new Set(['/healthz', '/metrics', '/v1/ingest', '/v1/jobs', '/v1/conservation']);

/** Only known paths become label values: a stranger must not make up time series. */
const routeOf = (path: string): string => (ROUTES.has(path) ? path : 'other');

/** Absent where a test calls the app without a listener. */
const connectionOf = (env: Connection | undefined): Connection => env ?? {};

/** Times as GET /v1/jobs takes them; the other conditions have no meaning here. */
function timesOf(params: URLSearchParams): { sinceMs?: number; untilMs?: number } {
  const known = new URLSearchParams([...params].filter(([key]) => key === 'since' || key === 'until'));
  if (known.size !== params.size) {
    throw new WattleError('api.bad-query', 'unknown parameter', 'known are since, until');
  }
  return parseJobsQuery(known);
}

/** @throws WattleError `api.unauthenticated`, `api.unknown-user`, `munge.*` */
async function identify(
  { access, opener }: Pick<AppOptions, 'access' | 'opener'>,
  connection: Connection,
  authorization: string | undefined,
): Promise<Caller> {
  if (connection.peerUid !== undefined) return access.caller(connection.peerUid);
  const credential = /^MUNGE (\S+)$/i.exec(authorization ?? '')?.[1];
  if (credential === undefined || credential.length > MAX_CREDENTIAL) {
    throw new WattleError(
      'api.unauthenticated',
      'the controller does not know who asks',
      'send Authorization: MUNGE <credential> (munge -n), or ask on the unix socket of the controller',
    );
  }
  return access.caller((await opener.open(credential)).uid);
}
