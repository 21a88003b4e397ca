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
  /** CPU time booked so far, ns; null until a first reading sets the base line. */
  bookedNs: number | null;
}

export const newAccount = (bookedNs: number | null): CpuAccount => ({ slot: null, sinceMonoNs: 0, bookedNs });

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
  readonly #jobs = new Map<string, ActiveJob>();

  get active(): readonly ActiveJob[] {
    return [...this.#jobs.values()];
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
    const known = this.#jobs.get(jobKey(event.jobId, event.restartCount)) ?? this.#byId(event.jobId);
    if (known?.source === 'hook' && known.restartCount === event.restartCount) return;
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
    if (known.key !== job.key) this.#jobs.delete(known.key);
    job.groupPath = known.groupPath;
    job.byProcesses = known.byProcesses;
    Object.assign(job.cpu, known.cpu);
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
    return this.#byId(jobId);
  }

  /** An epilog, or a group that vanished. The later of two ends counts. */
  end(jobId: number, restartCount: number, monoNs: number): ActiveJob | undefined {
    const job = this.#jobs.get(jobKey(jobId, restartCount)) ?? this.#byId(jobId);
    if (job) job.endMonoNs = Math.max(monoNs, job.startMonoNs);
    return job;
  }

  /** Takes out the jobs whose end lies before `horizonNs`, up to which everything is booked. */
  retire(horizonNs: number): ActiveJob[] {
    const done = this.active.filter((job) => job.endMonoNs !== null && job.endMonoNs <= horizonNs);
    for (const job of done) this.#jobs.delete(job.key);
    return done;
  }

  #byId(jobId: number): ActiveJob | undefined {
    return this.active.filter((job) => job.jobId === jobId && job.endMonoNs === null).at(-1);
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
      steps: new Map(),
    };
    this.#jobs.set(active.key, active);
    return active;
  }
}
