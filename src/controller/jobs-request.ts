/** The query string of GET /v1/jobs, read strictly: a misspelt condition must not show more than was asked for. */
import { JOBS_QUERY_KEYS, type JobsQueryKey, WattleError } from '../contract/index.js';
import type { Caller } from './access.js';
import type { JobName, JobsQuery } from './ports.js';

const DEFAULT_LIMIT = 10_000;
const MAX_LIMIT = 100_000;
const MAX_LIST = 10_000;
/** 12, 12_3 (array task), 12+1 (het component). */
const JOB_NAME = /^(\d{1,10})([_+]\d{1,10})?$/;

function bad(message: string, remedy: string): WattleError {
  return new WattleError('api.bad-query', message, remedy);
}

/** @throws WattleError `api.bad-query` */
export function parseJobsQuery(params: URLSearchParams): JobsQuery {
  for (const key of new Set(params.keys())) {
    if (!(JOBS_QUERY_KEYS as readonly string[]).includes(key)) {
      throw bad(`unknown parameter ${JSON.stringify(key)}`, `known are ${JOBS_QUERY_KEYS.join(', ')}`);
    }
    if (params.getAll(key).length > 1) throw bad(`${key} is given twice`, 'separate values by commas');
  }
  const list = (key: JobsQueryKey): string[] | undefined => {
    const text = params.get(key);
    if (text === null) return undefined;
    const values = text.split(',').filter((value) => value !== '');
    if (values.length > MAX_LIST) throw bad(`${key} has more than ${MAX_LIST} values`, 'ask in parts');
    return values;
  };
  const count = (key: JobsQueryKey, max: number): number | undefined => {
    const text = params.get(key);
    if (text === null) return undefined;
    if (/^\d{1,16}$/.test(text) && Number(text) <= max) return Number(text);
    throw bad(`${key} is ${JSON.stringify(text.slice(0, 40))}`, `expected a whole number up to ${max}`);
  };
  const jobs = list('jobs')?.map(parseJobName);
  const states = list('states')?.map((state) => state.toUpperCase());
  const lists = { users: list('users'), accounts: list('accounts'), partitions: list('partitions') };
  const times = { sinceMs: count('since', 8.64e15), untilMs: count('until', 8.64e15) };
  return {
    ...withoutUndefined({ jobs, states, nodes: list('nodes'), ...lists, ...times }),
    limit: count('limit', MAX_LIMIT) ?? DEFAULT_LIMIT,
  };
}

function parseJobName(text: string): JobName {
  const match = JOB_NAME.exec(text);
  if (!match) throw bad(`${JSON.stringify(text.slice(0, 40))} is not a job`, 'expected 12, 12_3 or 12+1');
  return match[2] === undefined ? { displayId: text, id: Number(text) } : { displayId: text };
}

/** exactOptionalPropertyTypes: an absent list and an undefined one are not the same. */
function withoutUndefined<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}

/** Narrows a query to what the caller may see. @throws WattleError `api.forbidden` */
export function forCaller(query: JobsQuery, caller: Caller): JobsQuery {
  if (caller.operator) return query;
  const foreign = query.users?.find((user) => user !== caller.user);
  if (foreign !== undefined) {
    throw new WattleError(
      'api.forbidden',
      `${caller.user} may not see jobs of ${JSON.stringify(foreign.slice(0, 64))}`,
      'ask for your own jobs, or become an operator ([controller] operators, or AdminLevel in Slurm)',
    );
  }
  return { ...query, users: [caller.user] };
}
