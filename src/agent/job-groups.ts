/**
 * Keeps sampler slots in step with what runs: a slot per job and step whose CPU time can be read, from control
 * groups where Slurm makes them, from processes elsewhere.
 */
import { type FSWatcher, watch } from 'node:fs';
import { WattleError } from '../contract/index.js';
import type { Sampler } from '../sampler/index.js';
import type { JobGroup, SlurmCgroups } from './cgroups.js';
import type { ActiveJob, CpuAccount, JobTable } from './jobs.js';
import { newAccount } from './jobs.js';
import type { JobProcesses } from './processes.js';

type CpuSlots = Pick<Sampler, 'watchCpu' | 'unwatchCpu' | 'pushCpu'>;

export class JobGroups {
  readonly #cgroups: SlurmCgroups;
  readonly #processes: JobProcesses;
  readonly #jobs: JobTable;
  readonly #sampler: CpuSlots;
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  /** Ids of jobs that are over while something of them is still there: a group Slurm could not remove, a process. */
  readonly #over = new Set<number>();
  #scope: { readonly account: CpuAccount; path: string } | null = null;
  /** Slots in use, so that a sampler that outlives this agent has all of them back. */
  readonly #watched = new Set<number>();
  #first = true;
  #highest = -1;
  #pushedAtNs: number | null = null;

  /** @param onChange called, perhaps often, when a folder of Slurm's control groups changed */
  constructor(cgroups: SlurmCgroups, processes: JobProcesses, jobs: JobTable, sampler: CpuSlots, onChange: () => void) {
    this.#cgroups = cgroups;
    this.#processes = processes;
    this.#jobs = jobs;
    this.#sampler = sampler;
    this.#onChange = onChange;
  }

  /** How many slots a snapshot has to carry. */
  get slots(): number {
    return this.#highest + 1;
  }

  /**
   * When CPU times were last pushed; null where control groups are read in every tick. Between two pushes pushed
   * slots stand still, so a window must reach from push to push.
   */
  get pushedAtNs(): number | null {
    return this.#pushedAtNs;
  }

  /**
   * Gives an account a slot that counts `source` from `nowNs` on. Where all slots are in use it goes without: its
   * job gets a share of what Slurm's whole group burnt beyond the groups that are read.
   */
  attach(account: CpuAccount, source: Parameters<CpuSlots['watchCpu']>[0], nowNs: number): void {
    try {
      account.slot = this.#sampler.watchCpu(source);
    } catch (error) {
      if (error instanceof WattleError && error.code === 'sampler.cpu-slots') return;
      throw error;
    }
    account.sinceMonoNs = nowNs;
    this.#watched.add(account.slot);
    this.#highest = Math.max(this.#highest, account.slot);
  }

  /** Lets an account count all of this node's jobs, wherever Slurm makes their common folder. */
  attachScope(account: CpuAccount, nowNs: number): void {
    this.#scope = { account, path: this.#cgroups.scope };
    this.attach(account, this.#cgroups.scopeCpu, nowNs);
  }

  /**
   * Looks which jobs and steps run now. One that no event announced is a job too: sites without the hooks, and
   * jobs from before the hooks were installed.
   * @param bookedNs up to here everything is booked: nobody reads older CPU times any more
   * @returns jobs found this way, and jobs found this way before that are gone
   */
  async refresh(nowNs: number, bookedNs: number): Promise<{ found: ActiveJob[]; vanished: ActiveJob[] }> {
    const changes = this.#cgroups.exists ? this.#refreshGroups(nowNs, bookedNs) : await this.#refreshProcesses(nowNs);
    this.#first = false;
    return changes;
  }

  #refreshGroups(nowNs: number, bookedNs: number): { found: ActiveJob[]; vanished: ActiveJob[] } {
    this.#pushedAtNs = null;
    this.#followScope(nowNs);
    const { jobs: groups, folders } = this.#cgroups.scan();
    this.#forgetOver(new Set(groups.map((group) => group.jobId)));
    const found: ActiveJob[] = [];
    for (const group of groups) {
      let job = this.#jobs.find(group.jobId);
      if (!job) {
        if (this.#isOver(group.jobId)) continue;
        // At the first look a group may be hours old, and its CPU time was burnt before our first sample.
        job = this.#jobs.found(group.jobId, nowNs, !this.#first);
        found.push(job);
      }
      this.#follow(job, group, nowNs);
    }
    const present = new Map(groups.map((group) => [group.path, group]));
    const groupOf = (job: ActiveJob): JobGroup | undefined => present.get(job.groupPath ?? '');
    for (const job of this.#jobs.active) this.#dropSteps(job, groupOf(job), nowNs, bookedNs);
    this.#watchFolders(new Set(folders));
    return { found, vanished: this.#unannounced((job) => groupOf(job) === undefined) };
  }

  async #refreshProcesses(nowNs: number): Promise<{ found: ActiveJob[]; vanished: ActiveJob[] }> {
    const cpuByJob = await this.#processes.scan();
    this.#forgetOver(cpuByJob);
    const found: ActiveJob[] = [];
    for (const [jobId, cpuNs] of cpuByJob) {
      let job = this.#jobs.find(jobId);
      if (!job) {
        if (this.#isOver(jobId)) continue;
        job = this.#jobs.found(jobId, nowNs, !this.#first, 'process');
        found.push(job);
      }
      job.byProcesses ||= job.groupPath === null;
      if (!job.byProcesses) continue;
      if (job.cpu.slot === null) this.attach(job.cpu, { format: 'pushed' }, nowNs);
      if (job.cpu.slot !== null) this.#sampler.pushCpu(job.cpu.slot, cpuNs);
    }
    this.#pushedAtNs = nowNs;
    return { found, vanished: this.#unannounced((job) => !cpuByJob.has(job.jobId)) };
  }

  /** Whether what is left of a job belongs to a run that has ended: it is no new job. */
  #isOver(jobId: number): boolean {
    return this.#over.has(jobId) || this.#jobs.active.some((job) => job.jobId === jobId);
  }

  #forgetOver(present: { has(jobId: number): boolean }): void {
    for (const jobId of this.#over) if (!present.has(jobId)) this.#over.delete(jobId);
  }

  /** Only the first job of a boot shows which name Slurm gives the folder. */
  #followScope(nowNs: number): void {
    const path = this.#cgroups.scope;
    if (!this.#scope || this.#scope.path === path) return;
    this.#scope.path = path;
    this.#detach(this.#scope.account);
    this.attach(this.#scope.account, this.#cgroups.scopeCpu, nowNs);
  }

  /** Jobs without a prolog of which nothing is left. Those with one end by their epilog. */
  #unannounced(gone: (job: ActiveJob) => boolean): ActiveJob[] {
    return this.#jobs.active.filter((job) => job.source !== 'hook' && job.endMonoNs === null && gone(job));
  }

  /** The job is booked to its end: its slots are free for others. */
  release(job: ActiveJob): void {
    for (const account of [job.cpu, ...job.steps.values()]) this.#detach(account);
    this.#over.add(job.jobId);
    this.#processes.forget(job.jobId);
    this.#cgroups.forget(job.jobId);
  }

  #detach(account: CpuAccount): void {
    if (account.slot !== null) this.#unwatch(account.slot);
    account.slot = null;
    account.readNs = 0;
  }

  #unwatch(slot: number): void {
    this.#sampler.unwatchCpu(slot);
    this.#watched.delete(slot);
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    for (const slot of this.#watched) this.#unwatch(slot);
  }

  #follow(job: ActiveJob, group: JobGroup, nowNs: number): void {
    if (job.groupPath === null) {
      // Its processes may have been seen before Slurm made its group: from now on nobody pushes their CPU time.
      this.#detach(job.cpu);
      job.byProcesses = false;
      job.groupPath = group.path;
      this.attach(job.cpu, group.cpu, nowNs);
    }
    this.#followSteps(job, group, nowNs);
  }

  /** Most jobs have one step, whose CPU time is the job's own: half of all reads are saved by not reading it again. */
  #followSteps(job: ActiveJob, group: JobGroup, nowNs: number): void {
    const [first] = group.steps;
    if (first && group.steps.length === 1 && job.steps.size === 0) {
      job.onlyStep = first.step;
      return;
    }
    for (const { step, cpu } of group.steps) {
      if (job.steps.has(step)) continue;
      // What the only step burnt so far is booked with the job's own reading.
      const account = newAccount(job.cpu.bookedNs === null || step === job.onlyStep ? null : 0);
      job.steps.set(step, account);
      this.attach(account, cpu, nowNs);
    }
    if (group.steps.length > 0) job.onlyStep = null;
  }

  /** A job may run thousands of steps, one after the other: those that are over give their slots back. */
  #dropSteps(job: ActiveJob, group: JobGroup | undefined, nowNs: number, bookedNs: number): void {
    const present = new Set(group?.steps.map(({ step }) => step));
    for (const [step, account] of job.steps) {
      if (present.has(step)) {
        account.goneMonoNs = null;
      } else if (account.goneMonoNs === null) {
        account.goneMonoNs = nowNs;
      } else if (account.goneMonoNs < bookedNs) {
        this.#detach(account);
        job.steps.delete(step);
      }
    }
  }

  /** New folders are seen at once, so that the first tenth of a second of a step is read, not estimated. */
  #watchFolders(folders: ReadonlySet<string>): void {
    for (const [path, watcher] of this.#watchers) {
      if (folders.has(path)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
    for (const path of folders) {
      if (this.#watchers.has(path)) continue;
      try {
        const watcher = watch(path, { persistent: false }, this.#onChange);
        watcher.on('error', () => {
          this.#watchers.delete(path);
        });
        this.#watchers.set(path, watcher);
      } catch {
        // Out of inotify watches, or gone meanwhile: the periodic look still finds what is in it.
      }
    }
  }
}
