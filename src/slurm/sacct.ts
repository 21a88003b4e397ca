/** Job facts from slurmdbd by `sacct --parsable2`: the stable form, unlike --json and text for people. */
import { randomUUID } from 'node:crypto';
import { type SlurmCommandOptions, runSlurmCommand } from './command.js';

/** What sacct knows of one run of a job. Times are epoch ms, null where sacct says Unknown or None. */
export interface JobFacts {
  /** As users know it: `12`, `12_3`, `12+1`. */
  readonly jobId: string;
  /** Slurm's own number (JobIDRaw). */
  readonly jobIdRaw: number;
  /** 0 for the first run; a requeued job has a row per run, in order. */
  readonly restartCount: number;
  readonly name: string;
  readonly user: string;
  readonly uid: number | null;
  readonly account: string;
  readonly partition: string;
  readonly qos: string;
  /** First word of sacct's State: `COMPLETED`, `CANCELLED`, `NODE_FAIL`. */
  readonly state: string;
  readonly submitMs: number | null;
  readonly startMs: number | null;
  readonly endMs: number | null;
  readonly elapsedMs: number;
  readonly ncpus: number;
  readonly nnodes: number;
  /** Empty while the job has no nodes. */
  readonly nodelist: string;
  readonly exitCode: string;
  readonly steps: readonly StepFacts[];
}

export interface StepFacts {
  /** Behind the dot: `batch`, `extern`, `interactive`, `0`. */
  readonly step: string;
  readonly name: string;
  readonly state: string;
  readonly startMs: number | null;
  readonly endMs: number | null;
  readonly elapsedMs: number;
  readonly ncpus: number;
  readonly nodelist: string;
  readonly exitCode: string;
}

/** JobName comes last: users choose it, and it may hold the delimiter. */
const FIELDS = [
  'JobIDRaw',
  'JobID',
  'User',
  'UID',
  'Account',
  'Partition',
  'QOS',
  'State',
  'Submit',
  'Start',
  'End',
  'ElapsedRaw',
  'NCPUS',
  'NNodes',
  'NodeList',
  'ExitCode',
  'JobName',
] as const;

/**
 * A delimiter that nobody can have guessed: a job name may hold line breaks, and with a known delimiter it could hold
 * whole rows, with another user's job in them.
 */
const newDelimiter = (): string => `::${randomUUID()}::`;

/** With SLURM_TIME_FORMAT=%s times are epoch seconds; anything else is Unknown or None. */
function time(text: string): number | null {
  return /^\d{1,12}$/.test(text) && text !== '0' ? Number(text) * 1000 : null;
}

function count(text: string): number {
  return /^\d{1,12}$/.test(text) ? Number(text) : 0;
}

/** A job name may hold a line break: a line that does not begin like a row belongs to the row before. */
function* rows(output: string, delimiter: string): Generator<string[]> {
  const isRow = (line: string): boolean =>
    line.includes(delimiter) && /^\d+(\.[a-z0-9]+)?$/.test(line.split(delimiter, 1)[0] ?? '');
  let pending: string | undefined;
  for (const line of output.split('\n')) {
    if (isRow(line)) {
      if (pending !== undefined) yield pending.split(delimiter);
      pending = line;
    } else if (pending !== undefined && line !== '') {
      pending += `\n${line}`;
    }
  }
  if (pending !== undefined) yield pending.split(delimiter);
}

/** Parses sacct's output for FIELDS; rows with too few fields are left out. */
export function parseSacct(output: string, delimiter: string): JobFacts[] {
  const jobs: (Omit<JobFacts, 'steps'> & { steps: StepFacts[] })[] = [];
  const runs = new Map<number, number>();
  let current: (typeof jobs)[number] | undefined;
  for (const fields of rows(output, delimiter)) {
    if (fields.length < FIELDS.length) continue;
    const at = (field: (typeof FIELDS)[number]): string => fields[FIELDS.indexOf(field)] ?? '';
    const [rawId = '', step] = at('JobIDRaw').split('.');
    const nodelist = at('NodeList');
    const common = {
      name: fields.slice(FIELDS.length - 1).join(delimiter),
      // `CANCELLED by 1000` names who; the state is the first word.
      state: at('State').split(' ')[0] ?? '',
      startMs: time(at('Start')),
      endMs: time(at('End')),
      elapsedMs: count(at('ElapsedRaw')) * 1000,
      ncpus: count(at('NCPUS')),
      nodelist: nodelist === 'None assigned' ? '' : nodelist,
      exitCode: at('ExitCode'),
    };
    const jobIdRaw = Number(rawId);
    if (step !== undefined) {
      if (current?.jobIdRaw === jobIdRaw) current.steps.push({ step, ...common });
      continue;
    }
    const restartCount = runs.get(jobIdRaw) ?? 0;
    runs.set(jobIdRaw, restartCount + 1);
    current = {
      jobId: at('JobID'),
      jobIdRaw,
      restartCount,
      user: at('User'),
      uid: /^\d+$/.test(at('UID')) ? Number(at('UID')) : null,
      account: at('Account'),
      partition: at('Partition'),
      qos: at('QOS'),
      submitMs: time(at('Submit')),
      nnodes: count(at('NNodes')),
      steps: [],
      ...common,
    };
    jobs.push(current);
  }
  return jobs;
}

export class Sacct {
  readonly #options: SlurmCommandOptions;

  constructor(options: SlurmCommandOptions = {}) {
    this.#options = options;
  }

  /**
   * Jobs of all users that were in any state since `sinceMs` (default: one day ago), or the named ones.
   * Requeued runs are rows of their own (--duplicates).
   */
  async jobs(query: { sinceMs?: number; jobIds?: readonly number[] } = {}): Promise<JobFacts[]> {
    const since = Math.floor((query.sinceMs ?? Date.now() - 86_400_000) / 1000);
    const delimiter = newDelimiter();
    const args = [
      '--allusers',
      '--duplicates',
      '--noheader',
      '--parsable2',
      `--delimiter=${delimiter}`,
      `--format=${FIELDS.join(',')}`,
      // sacct reads times as local wall-clock: TZ=UTC below makes them UTC on both ways.
      `--starttime=${new Date(since * 1000).toISOString().slice(0, 19)}`,
    ];
    if (query.jobIds) args.push(`--jobs=${query.jobIds.join(',')}`);
    const env = { SLURM_TIME_FORMAT: '%s', TZ: 'UTC' };
    return parseSacct(await runSlurmCommand('sacct', args, this.#options, env), delimiter);
  }
}
