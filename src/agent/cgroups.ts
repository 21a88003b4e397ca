/**
 * Slurm's control groups on this node: which jobs and steps run, and where their CPU time is counted.
 *
 *   v1  <root>/cpuacct/slurm_<node>/uid_<uid>/job_<id>/step_<name>/cpuacct.usage
 *   v2  <root>/system.slice/<node>_slurmstepd.scope/job_<id>/step_<name>/cpu.stat
 *
 * A slurmd built for one node per host leaves `_<node>` or `<node>_` out. Slurm 26.05 names a job's group
 * `s<SLUID>` (13 characters of base 32) instead of `job_<id>`.
 */
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CpuSource } from '../sampler/index.js';

export interface StepGroup {
  /** As behind the dot in sacct: `batch`, `extern`, `interactive`, `0`. */
  readonly step: string;
  readonly cpu: CpuSource;
}

export interface JobGroup {
  readonly jobId: number;
  /** Folder of the group; another folder means another run. */
  readonly path: string;
  readonly cpu: CpuSource;
  readonly steps: readonly StepGroup[];
}

const JOB_NAME = /^job_(\d{1,10})$/;
const SLUID_NAME = /^s([0-9A-HJKMNP-TV-Z]{13})$/i;
const STEP_NAME = /^step_(batch|extern|interactive|\d{1,10})$/;

async function folders(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    // Groups vanish between two looks: that is how jobs end.
    return [];
  }
}

/** Where CPU time of the whole host is counted, exact where control groups are, in clock ticks otherwise. */
export function hostCpuSource(cgroupRoot: string, procfs: string): CpuSource {
  const unified = join(cgroupRoot, 'cpu.stat');
  if (existsSync(unified)) return { format: 'cpu.stat', path: unified };
  const legacy = join(cgroupRoot, 'cpuacct', 'cpuacct.usage');
  if (existsSync(legacy)) return { format: 'cpuacct.usage', path: legacy };
  return { format: 'proc-stat', path: join(procfs, 'stat') };
}

export class SlurmCgroups {
  readonly version: 1 | 2;
  readonly #candidates: readonly string[];
  readonly #procfs: string;
  /** SLUID -> job id, from events or from a process of the group. */
  readonly #sluids = new Map<string, number>();

  /** @param cgroupRoot where control groups are mounted, `/sys/fs/cgroup` on every usual host */
  constructor(cgroupRoot: string, node: string, procfs: string) {
    this.#procfs = procfs;
    this.version = existsSync(join(cgroupRoot, 'cgroup.controllers')) ? 2 : 1;
    this.#candidates =
      this.version === 2
        ? [`${node}_slurmstepd.scope`, 'slurmstepd.scope'].map((scope) => join(cgroupRoot, 'system.slice', scope))
        : [`slurm_${node}`, 'slurm'].map((scope) => join(cgroupRoot, 'cpuacct', scope));
  }

  /** This node's own folder: the one that exists, or the one that slurmd is expected to make. */
  get scope(): string {
    return this.#candidates.find((path) => existsSync(path)) ?? this.#candidates[0] ?? '';
  }

  get exists(): boolean {
    return existsSync(this.scope);
  }

  /** CPU time of all jobs of this node together, also of those that have ended. */
  get scopeCpu(): CpuSource {
    return this.#cpuOf(this.scope);
  }

  /** Folders in which a new sub-folder means a new job or step: what a watcher should watch. */
  async watchable(): Promise<string[]> {
    const scope = this.scope;
    const users = this.version === 1 ? (await folders(scope)).map((name) => join(scope, name)) : [];
    const jobs = await Promise.all((users.length > 0 ? users : [scope]).map((path) => this.#jobFolders(path)));
    return [scope, ...users, ...jobs.flat()].filter((path) => existsSync(path));
  }

  /** Tells which job a SLUID belongs to (SLURM_JOB_SLUID of a hook event). */
  learnSluid(sluid: string, jobId: number): void {
    this.#sluids.set(sluid.replace(/^s/, '').toUpperCase(), jobId);
  }

  async scan(): Promise<JobGroup[]> {
    const scope = this.scope;
    const parents = this.version === 1 ? (await folders(scope)).filter((name) => name.startsWith('uid_')) : [''];
    const found = await Promise.all(
      parents.map(async (parent) => {
        const paths = await this.#jobFolders(join(scope, parent));
        return Promise.all(paths.map((path) => this.#job(path)));
      }),
    );
    return found.flat().filter((job) => job !== undefined);
  }

  async #jobFolders(parent: string): Promise<string[]> {
    const names = await folders(parent);
    return names.filter((name) => JOB_NAME.test(name) || SLUID_NAME.test(name)).map((name) => join(parent, name));
  }

  async #job(path: string): Promise<JobGroup | undefined> {
    const steps = (await folders(path)).flatMap((name) => {
      const step = STEP_NAME.exec(name)?.[1];
      return step === undefined ? [] : [{ step, cpu: this.#cpuOf(join(path, name)) }];
    });
    const name = path.slice(path.lastIndexOf('/') + 1);
    const id = JOB_NAME.exec(name)?.[1];
    const jobId = id === undefined ? await this.#jobOfSluid(name, path) : Number(id);
    return jobId === undefined ? undefined : { jobId, path, cpu: this.#cpuOf(path), steps };
  }

  async #jobOfSluid(name: string, path: string): Promise<number | undefined> {
    const sluid = SLUID_NAME.exec(name)?.[1]?.toUpperCase();
    if (sluid === undefined) return undefined;
    const known = this.#sluids.get(sluid) ?? (await this.#jobOfProcesses(path));
    if (known !== undefined) this.#sluids.set(sluid, known);
    return known;
  }

  /** SLURM_JOB_ID in the environment of a process in the group or below it. */
  async #jobOfProcesses(path: string): Promise<number | undefined> {
    const pids = await readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '');
    for (const pid of pids.split('\n').filter((line) => /^\d+$/.test(line))) {
      const environment = await readFile(join(this.#procfs, pid, 'environ'), 'latin1').catch(() => '');
      const id = /(?:^|\0)SLURM_JOB_ID=(\d{1,10})(?:\0|$)/.exec(environment)?.[1];
      if (id !== undefined) return Number(id);
    }
    for (const name of await folders(path)) {
      const below = await this.#jobOfProcesses(join(path, name));
      if (below !== undefined) return below;
    }
    return undefined;
  }

  #cpuOf(path: string): CpuSource {
    return this.version === 2
      ? { format: 'cpu.stat', path: join(path, 'cpu.stat') }
      : { format: 'cpuacct.usage', path: join(path, 'cpuacct.usage') };
  }
}
