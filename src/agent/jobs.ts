/** The jobs that hold a share of this node now, and the CPU time already booked to each. */
import type { HookEvent } from './events.js';

/** How a job was found: announced by its prolog, or by its control group or processes alone. */
export type JobSource = 'hook' | 'cgroup' | 'process';

/** The CPU time of a job or step: where it is read, and how much of it is booked. */
export interface CpuAccount {
  /** Sampler slot that counts it, null while no control group was found. */
  slot: number | null;
  /** When the slot was taken: older readings in it belong to whoever had it before. */
  sinceMonoNs: number;
  /** The last reading, ns. One below it comes from a new group in the place of the old: it began at zero. */
  readNs: number;
  /** CPU time booked so far, ns, never less than `readNs`; null until a first reading sets the base line. */
  bookedNs: number | null;
  /** When its control group was seen to be gone; the slot is kept until booking has passed that. */
  goneMonoNs: number | null;
}

export const newAccount = (bookedNs: number | null): CpuAccount => ({
  slot: null,
  sinceMonoNs: 0,
  readNs: 0,
  bookedNs,
  goneMonoNs: null,
});

export interface ActiveJob {
  readonly key: string;
  readonly jobId: number;
  readonly restartCount: number;
  readonly cores: number;
  readonly gpus: number;
  readonly startMonoNs: number;
  /** Set by the epilog, or when the control group vanished; the job leaves once booking has passed it. */
  endMonoNs: number | null;
  /** A job that no prolog announced ends when its control group or its last process is gone. */
  readonly source: JobSource;
  /** Whether its CPU time comes from its processes, for want of a control group. */
  byProcesses: boolean;
  groupPath: string | null;
  readonly cpu: CpuAccount;
  /** The step that has all of the job's CPU time, where there is no other: nothing more needs to be read. */
  onlyStep: string | null;
  /** Steps that are read one by one. */
  readonly steps: Map<string, CpuAccount>;
}

/** What survives a restart of the agent. CPU accounts do not: the next reading is a new base line. */
export interface SavedJob {
  readonly jobId: number;
  readonly restartCount: number;
  readonly cores: number;
  readonly gpus: number;
  readonly source: JobSource;
}

export const jobKey = (jobId: number, restartCount: number): string => `${jobId}.${restartCount}`;

export class JobTable {
  /** Two runs of one job are two entries, also where Slurm gives both the same restart count. */
  readonly #jobs = new Set<ActiveJob>();

  get active(): readonly ActiveJob[] {
    return [...this.#jobs];
  }

  get saved(): SavedJob[] {
    return this.active
      .filter((job) => job.endMonoNs === null)
      .map(({ jobId, restartCount, cores, gpus, source }) => ({ jobId, restartCount, cores, gpus, source }));
  }

  /** A job from before this agent started: its share begins now, its CPU time at the next reading. */
  restore(saved: SavedJob, monoNs: number): void {
    this.#add({ ...saved, startMonoNs: monoNs, base: null });
  }

  /** A prolog. @param horizonNs up to here everything is booked: a share cannot begin before it */
  start(event: HookEvent, horizonNs: number): void {
    const known = this.find(event.jobId);
    if (known?.source === 'hook') {
      // Read again after a crash, perhaps when a later run has begun.
      if (event.restartCount <= known.restartCount) return;
      // Its epilog was lost: a requeued job runs again only when its former run is over.
      known.endMonoNs = Math.max(event.monoNs, known.startMonoNs);
    }
    const job = this.#add({
      jobId: event.jobId,
      restartCount: event.restartCount,
      cores: event.cores ?? 1,
      gpus: event.gpus,
      source: 'hook',
      startMonoNs: Math.max(event.monoNs, horizonNs),
      base: 0,
    });
    if (known === undefined || known.source === 'hook') return;
    // Its control group or processes were seen before its event was read: the event knows more.
    this.#jobs.delete(known);
    job.groupPath = known.groupPath;
    job.byProcesses = known.byProcesses;
    Object.assign(job.cpu, known.cpu);
    job.onlyStep = known.onlyStep;
    for (const [step, account] of known.steps) job.steps.set(step, account);
  }

  /** A job that no event announced. @param fresh whether it appeared while the agent ran */
  found(jobId: number, monoNs: number, fresh: boolean, source: 'cgroup' | 'process' = 'cgroup'): ActiveJob {
    return this.#add({
      jobId,
      restartCount: 0,
      cores: 1,
      gpus: 0,
      source,
      startMonoNs: monoNs,
      base: fresh ? 0 : null,
    });
  }

  /** The run of this job that holds its share now. */
  find(jobId: number): ActiveJob | undefined {
    return this.active.filter((job) => job.jobId === jobId && job.endMonoNs === null).at(-1);
  }

  /** An epilog, or a group that vanished. The later of two ends counts. */
  end(jobId: number, restartCount: number, monoNs: number): ActiveJob | undefined {
    // Only a job that its prolog announced knows which run it is: a late epilog must not end the next run.
    const runs = this.active.filter(
      (job) => job.jobId === jobId && (job.source !== 'hook' || job.restartCount === restartCount),
    );
    const job = runs.filter((run) => run.endMonoNs === null).at(-1) ?? runs.at(-1);
    if (job) job.endMonoNs = Math.max(monoNs, job.startMonoNs, job.endMonoNs ?? 0);
    return job;
  }

  /** Takes out the jobs whose end lies before `horizonNs`, up to which everything is booked. */
  retire(horizonNs: number): ActiveJob[] {
    const done = this.active.filter((job) => job.endMonoNs !== null && job.endMonoNs <= horizonNs);
    for (const job of done) this.#jobs.delete(job);
    return done;
  }

  #add(job: SavedJob & { startMonoNs: number; base: number | null }): ActiveJob {
    const { base, ...rest } = job;
    const active: ActiveJob = {
      ...rest,
      key: jobKey(job.jobId, job.restartCount),
      endMonoNs: null,
      byProcesses: false,
      groupPath: null,
      cpu: newAccount(base),
      onlyStep: null,
      steps: new Map(),
    };
    this.#jobs.add(active);
    return active;
  }
}
