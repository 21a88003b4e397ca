/** From options to the question that goes to the controller. */
import { userInfo } from 'node:os';
import type { JobsQueryKey } from '../../contract/api.js';
import type { EpochMs } from '../../contract/units.js';
import { usageError } from '../program.js';
import { ALL_JOBS, selectJobs, type JobSelection } from './job-ids.js';
import type { Options } from './options.js';
import { expandList, splitList } from './lists.js';
import { stateName } from './states.js';
import { midnightBefore, parseTime } from './time.js';

export interface Question {
  readonly query: Partial<Record<JobsQueryKey, string>>;
  readonly selection: JobSelection;
}

/**
 * Defaults are sacct's: since midnight, or since ever with -j; one's own jobs, or all with -j, -a or as root.
 * @throws {WattleError} wrong usage
 */
export async function questionOf(options: Options, now: EpochMs): Promise<Question> {
  const selection = options.jobs === undefined ? ALL_JOBS : await selectJobs(options.jobs);
  const since = options.starttime === undefined ? undefined : parseTime(options.starttime, now);
  const until = options.endtime === undefined ? undefined : parseTime(options.endtime, now);
  if (since !== undefined && until !== undefined && until < since) {
    throw usageError(
      `the end time ${options.endtime ?? ''} is before the start time ${options.starttime ?? ''}`,
      'Give a start time with -S that is before the end time with -E.',
    );
  }
  const from = since ?? (options.jobs === undefined ? midnightBefore(until ?? now) : undefined);
  const entries: readonly [JobsQueryKey, string | undefined][] = [
    ['jobs', joined(selection.jobIds)],
    ['users', await users(options)],
    ['accounts', list(options.accounts)],
    ['partitions', list(options.partition)],
    ['nodes', await nodes(options.nodelist)],
    ['states', options.state === undefined ? undefined : joined(splitList(options.state).map(stateName))],
    ['since', from === undefined ? undefined : String(Math.max(0, from))],
    ['until', until === undefined ? undefined : String(Math.max(0, until))],
  ];
  return { query: Object.fromEntries(entries.filter(([, value]) => value !== undefined)), selection };
}

const joined = (items: readonly string[]): string | undefined => (items.length === 0 ? undefined : items.join(','));
const list = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : joined(splitList(text));

async function users({ user, uid, allusers, jobs }: Options): Promise<string | undefined> {
  const named = [user, uid].flatMap((text) => (text === undefined ? [] : splitList(text)));
  if (named.length > 0) return joined(await Promise.all(named.map(userName)));
  const own = userInfo();
  return allusers === true || jobs !== undefined || own.uid === 0 ? undefined : own.username;
}

/** The name of a user given by name or by numeric id. */
async function userName(written: string): Promise<string> {
  if (!/^\d+$/.test(written)) return written;
  const { execFile } = await import('node:child_process');
  return new Promise((resolve, reject) => {
    execFile('getent', ['passwd', written], { timeout: 10_000 }, (error, output) => {
      const name = output.split(':', 1)[0] ?? '';
      if (error === null && name !== '') resolve(name);
      else reject(usageError(`no user has the id ${written}`, 'Name the user.'));
    });
  });
}

async function nodes(written: string | undefined): Promise<string | undefined> {
  return written === undefined ? undefined : joined(await expandList(written, 'node names', 'n1,n[3-5]'));
}
