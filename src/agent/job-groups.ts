/**
 * Keeps sampler slots in step with what runs: a slot per job and step whose CPU time can be read, from control
 * groups where Slurm makes them, from processes elsewhere.
 */
import { type FSWatcher, watch } from 'node:fs';
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

  /** Gives an account a slot that counts `source` from `nowNs` on. */
  attach(account: CpuAccount, source: Parameters<CpuSlots['watchCpu']>[0], nowNs: number): void {
    const slot = this.#sampler.watchCpu(source);
    account.slot = slot;
    account.sinceMonoNs = nowNs;
    this.#highest = Math.max(this.#highest, slot);
  }

  /**
   * Looks which jobs and steps run now. One that no event announced is a job too: sites without the hooks, and
   * jobs from before the hooks were installed.
   * @returns jobs found this way, and jobs found this way before that are gone
   */
  async refresh(nowNs: number): Promise<{ found: ActiveJob[]; vanished: ActiveJob[] }> {
    const changes = this.#cgroups.exists ? this.#refreshGroups(nowNs) : await this.#refreshProcesses(nowNs);
    this.#first = false;
    return changes;
  }

  #refreshGroups(nowNs: number): { found: ActiveJob[]; vanished: ActiveJob[] } {
    this.#pushedAtNs = null;
    const { jobs: groups, folders } = this.#cgroups.scan();
    const found: ActiveJob[] = [];
    for (const group of groups) {
      let job = this.#jobs.find(group.jobId);
      if (!job) {
        // At the first look a group may be hours old, and its CPU time was burnt before our first sample.
        job = this.#jobs.found(group.jobId, nowNs, !this.#first);
        found.push(job);
      }
      this.#follow(job, group, nowNs);
    }
    const present = new Set(groups.map((group) => group.path));
    this.#watchFolders(new Set(folders));
    return {
      found,
      vanished: this.#unannounced((job) => job.groupPath !== null && !present.has(job.groupPath)),
    };
  }

  async #refreshProcesses(nowNs: number): Promise<{ found: ActiveJob[]; vanished: ActiveJob[] }> {
    const cpuByJob = await this.#processes.scan();
    const found: ActiveJob[] = [];
    for (const [jobId, cpuNs] of cpuByJob) {
      let job = this.#jobs.find(jobId);
      if (!job) {
        job = this.#jobs.found(jobId, nowNs, !this.#first, 'process');
        found.push(job);
      }
      job.byProcesses = true;
      if (job.cpu.slot === null) this.attach(job.cpu, { format: 'pushed' }, nowNs);
      if (job.cpu.slot !== null) this.#sampler.pushCpu(job.cpu.slot, cpuNs);
    }
    this.#pushedAtNs = nowNs;
    return { found, vanished: this.#unannounced((job) => job.source === 'process' && !cpuByJob.has(job.jobId)) };
  }

  /** Jobs without a prolog of which nothing is left. Those with one end by their epilog. */
  #unannounced(gone: (job: ActiveJob) => boolean): ActiveJob[] {
    return this.#jobs.active.filter((job) => job.source !== 'hook' && job.endMonoNs === null && gone(job));
  }

  /** The job is booked to its end: its slots are free for others. */
  release(job: ActiveJob): void {
    for (const account of [job.cpu, ...job.steps.values()]) {
      if (account.slot !== null) this.#sampler.unwatchCpu(account.slot);
      account.slot = null;
    }
    this.#processes.forget(job.jobId);
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #follow(job: ActiveJob, group: JobGroup, nowNs: number): void {
    if (job.groupPath === null) {
      job.groupPath = group.path;
      if (job.cpu.slot === null) this.attach(job.cpu, group.cpu, nowNs);
    }
    for (const { step, cpu } of group.steps) {
      if (job.steps.has(step)) continue;
      const account = newAccount(job.cpu.bookedNs === null ? null : 0);
      job.steps.set(step, account);
      this.attach(account, cpu, nowNs);
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
