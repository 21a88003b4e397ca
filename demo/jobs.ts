/** The jobs that the demo submits and the cluster tests count: one of each kind that a site sees every day. */
import type { Cluster } from './cluster/index.js';
import { until } from './cluster/index.js';
import { joulesOf } from './picture.js';

export interface JobKind {
  readonly name: string;
  /** What a reader of the demo should know about it. */
  readonly about: string;
  /** Options of sbatch besides the name; a shared job names its node by index. */
  readonly options: readonly string[];
  readonly onNode?: number;
  readonly script: string;
  /** State of each of its tasks in the end, as sacct spells it. */
  readonly state: 'COMPLETED' | 'FAILED' | 'CANCELLED';
  readonly tasks: number;
  /** Cancelled once it has run for this long. */
  readonly cancelAfterMs?: number;
}

/** Keeps `cores` cores busy for `seconds`, with nothing but a shell and coreutils. */
function burn(cores: number, seconds: number): string {
  const one = `timeout ${seconds} sh -c 'while :; do :; done' &`;
  return `${Array.from({ length: cores }, () => one).join(' ')} wait`;
}

const one = { state: 'COMPLETED', tasks: 1 } as const;

export const JOB_KINDS: readonly JobKind[] = [
  { ...one, name: 'one-core', about: 'one core', options: ['--partition=green'], script: burn(1, 12) },
  {
    ...one,
    name: 'four-cores',
    about: 'a whole node of the other partition',
    options: ['--partition=coal', '--cpus-per-task=4'],
    script: burn(4, 8),
  },
  {
    ...one,
    name: 'shared-busy',
    about: 'half a node, busy',
    options: ['--partition=green', '--cpus-per-task=2'],
    onNode: 1,
    script: burn(2, 8),
  },
  {
    ...one,
    name: 'shared-lazy',
    about: 'the other half of that node, asleep',
    options: ['--partition=green', '--cpus-per-task=2'],
    onNode: 1,
    script: 'sleep 8',
  },
  {
    ...one,
    name: 'two-nodes',
    about: 'two nodes in one step',
    options: ['--partition=coal', '--nodes=2', '--ntasks-per-node=1', '--cpus-per-task=2'],
    script: `srun sh -c ${JSON.stringify(burn(1, 6))}`,
  },
  {
    ...one,
    name: 'array',
    about: 'an array of three',
    options: ['--partition=green', '--array=1-3'],
    script: burn(1, 4),
    tasks: 3,
  },
  {
    name: 'fails',
    about: 'ends with exit code 3',
    options: ['--partition=green'],
    script: `${burn(1, 3)}; exit 3`,
    state: 'FAILED',
    tasks: 1,
  },
  {
    name: 'cancelled',
    about: 'cancelled on the way',
    options: ['--partition=coal'],
    script: burn(1, 300),
    state: 'CANCELLED',
    tasks: 1,
    cancelAfterMs: 4_000,
  },
  { ...one, name: 'one-second', about: 'over after a second', options: ['--partition=green'], script: burn(1, 1) },
];

/** An agent knows a node's idle power after it has seen the node empty for ten seconds. */
export const LEARN_IDLE_MS = 12_000;

export interface SubmittedJob {
  readonly kind: JobKind;
  readonly id: number;
}

/** Submits one job of each kind. */
export async function submitAll(cluster: Cluster): Promise<SubmittedJob[]> {
  const submitted: SubmittedJob[] = [];
  for (const kind of JOB_KINDS) {
    const node = kind.onNode === undefined ? undefined : cluster.nodes[kind.onNode];
    const placed = node === undefined ? [] : [`--nodelist=${node}`];
    const options = [`--job-name=${kind.name}`, ...kind.options, ...placed];
    submitted.push({ kind, id: await cluster.submit({ options, script: kind.script }) });
  }
  return submitted;
}

const ACTIVE = /^(PENDING|RUNNING|COMPLETING|CONFIGURING|REQUEUED)/;

/** How far the jobs have come, counted in tasks. */
export interface Progress {
  readonly waiting: number;
  readonly running: number;
  readonly done: number;
}

/** Cancels the jobs that are to be cancelled, and returns once sacct has an end for every job. */
export async function untilAllEnded(
  cluster: Cluster,
  jobs: readonly SubmittedJob[],
  progress: (state: Progress) => void = () => undefined,
): Promise<void> {
  const runningSince = new Map<number, number>();
  const cancelled = new Set<number>();
  await until(
    async () => {
      const states = await Promise.all(jobs.map((job) => cluster.states(job.id)));
      for (const [index, job] of jobs.entries()) {
        if (job.kind.cancelAfterMs === undefined || cancelled.has(job.id)) continue;
        if (states[index]?.[0] !== 'RUNNING') continue;
        const since = runningSince.get(job.id) ?? performance.now();
        runningSince.set(job.id, since);
        if (performance.now() - since < job.kind.cancelAfterMs) continue;
        cancelled.add(job.id);
        await cluster.slurm.command('scancel', [String(job.id)]);
      }
      const all = states.flat();
      const total = jobs.reduce((sum, job) => sum + job.kind.tasks, 0);
      const running = all.filter((state) => state === 'RUNNING').length;
      const done = all.filter((state) => !ACTIVE.test(state)).length;
      progress({ waiting: total - running - done, running, done });
      return done === total ? true : undefined;
    },
    { withinMs: 150_000, everyMs: 700, onTimeout: () => new Error('the jobs have not ended after 150 s') },
  );
}

/** Longer than an agent takes to report (DEMO_TUNING): what has not changed for so long is complete. */
const SETTLED_MS = 3_500;

/** Returns once the controller tells the final state of every task, and its energy grows no more. */
export async function untilAllCounted(cluster: Cluster, jobs: readonly SubmittedJob[]): Promise<void> {
  const ids = jobs.map((job) => job.id);
  const total = jobs.reduce((sum, job) => sum + job.kind.tasks, 0);
  let lastSeen = '';
  let unchangedSince = performance.now();
  await until(
    async () => {
      const answers = await cluster.jobs(ids);
      const seen = JSON.stringify(answers.map((job) => [job.jobId, job.state, job.energy]));
      if (seen !== lastSeen) unchangedSince = performance.now();
      lastSeen = seen;
      const counted = answers.filter(
        (job) => job.endMs !== null && !ACTIVE.test(job.state) && joulesOf(job.energy) > 0,
      );
      return counted.length === total && performance.now() - unchangedSince > SETTLED_MS ? true : undefined;
    },
    {
      withinMs: 60_000,
      everyMs: 500,
      onTimeout: (error) =>
        error instanceof Error
          ? error
          : new Error(`60 s after the last job there is no end to it in the ledger: ${lastSeen}`),
    },
  );
}
