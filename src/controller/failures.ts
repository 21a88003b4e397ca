/** Errors as HTTP answers: one table of statuses, one shape of body. */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { type ErrorAnswer, WattleError } from '../contract/index.js';

/**
 * Codes that a caller can meet. What is not here is our own failure: 500.
 * An agent gives a batch up on 400, 413 and 422, where no later try can help; what a person can mend is none of them.
 */
const STATUS: Readonly<Record<string, ContentfulStatusCode>> = {
  'api.bad-query': 400,
  'api.unauthenticated': 401,
  'api.unknown-user': 403,
  'api.forbidden': 403,
  'api.unknown-path': 404,
  'ingest.malformed': 400,
  'ingest.forbidden': 403,
  'ingest.cut-short': 408,
  'ingest.too-large': 413,
  'ingest.content-type': 415,
  'ingest.unsupported-version': 409,
  'ingest.wrong-cluster': 409,
  'ingest.unknown-node': 409,
  'ingest.implausible': 422,
  'ledger.unbookable': 422,
  'munge.invalid': 401,
  'munge.expired': 401,
  'munge.replayed': 401,
  'munge.unauthorized': 401,
  'munge.too-large': 413,
  'munge.unreachable': 503,
  'munge.missing': 503,
  'ingest.busy': 503,
  'ledger.unavailable': 503,
  'users.unavailable': 503,
};

/** How long a caller should wait where the fault may pass. */
const RETRY_AFTER_S = '2';

export function failureAnswer(c: Context, thrown: unknown): Response {
  const status = (thrown instanceof WattleError ? STATUS[thrown.code] : undefined) ?? 500;
  if (status === 503) c.header('Retry-After', RETRY_AFTER_S);
  if (status === 401) c.header('WWW-Authenticate', 'MUNGE');
  return c.json(bodyOf(thrown, status), status);
}

function bodyOf(thrown: unknown, status: number): ErrorAnswer {
  if (thrown instanceof WattleError && status !== 500) {
    return { error: { code: thrown.code, message: thrown.message, remedy: thrown.remedy } };
  }
  // What went wrong inside is for the log, not for whoever asked.
  const remedy = "look into the controller's log";
  return { error: { code: 'internal', message: 'the controller failed to answer', remedy } };
}

/** Whether the fault lies with us, so that it belongs into the log. */
export function isOurFault(thrown: unknown): boolean {
  const status = thrown instanceof WattleError ? STATUS[thrown.code] : undefined;
  return status === undefined || status === 503;
}
