/**
 * Slurm's control groups on this node: which jobs and steps run, and where their CPU time is counted.
 *
 *   v1  <root>/cpuacct/slurm_<node>/uid_<uid>/job_<id>/step_<name>/cpuacct.usage
 *   v2  <root>/system.slice/<node>_slurmstepd.scope/job_<id>/step_<name>/cpu.stat
 *
 * A slurmd built for one node per host leaves `_<node>` or `<node>_` out. Slurm 26.05 names a job's group
 * `s<SLUID>` (13 characters of base 32) instead of `job_<id>`.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
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

export interface GroupScan {
  readonly jobs: readonly JobGroup[];
  /** Folders in which a new sub-folder means a new job or step: what a watcher should watch. */
  readonly folders: readonly string[];
}

const JOB_NAME = /^job_(\d{1,10})$/;
const SLUID_NAME = /^s([0-9A-HJKMNP-TV-Z]{13})$/i;
const STEP_NAME = /^step_(batch|extern|interactive|\d{1,10})$/;

/**
 * Sub-folders of a control group. Read synchronously on purpose: these file systems are in memory, and a detour
 * through the thread pool costs more than the call.
 */
function folders(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    // Groups vanish between two looks: that is how jobs end.
    return [];
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
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

  /** Tells which job a SLUID belongs to (SLURM_JOB_SLUID of a hook event). */
  learnSluid(sluid: string, jobId: number): void {
    this.#sluids.set(sluid.replace(/^s/, '').toUpperCase(), jobId);
  }

  /** The job is over: its SLUID never comes back. */
  forget(jobId: number): void {
    for (const [sluid, id] of this.#sluids) if (id === jobId) this.#sluids.delete(sluid);
  }

  scan(): GroupScan {
    const scope = this.scope;
    const users = this.version === 1 ? folders(scope).filter((name) => name.startsWith('uid_')) : [];
    const parents = this.version === 1 ? users.map((name) => join(scope, name)) : [scope];
    const paths = parents.flatMap((parent) =>
      folders(parent)
        .filter((name) => JOB_NAME.test(name) || SLUID_NAME.test(name))
        .map((name) => join(parent, name)),
    );
    return {
      jobs: paths.map((path) => this.#job(path)).filter((job) => job !== undefined),
      folders: [...new Set([scope, ...parents, ...paths])].filter((path) => existsSync(path)),
    };
  }

  #job(path: string): JobGroup | undefined {
    const steps = folders(path).flatMap((name) => {
      const step = STEP_NAME.exec(name)?.[1];
      return step === undefined ? [] : [{ step, cpu: this.#cpuOf(join(path, name)) }];
    });
    const name = path.slice(path.lastIndexOf('/') + 1);
    const id = JOB_NAME.exec(name)?.[1];
    const jobId = id === undefined ? this.#jobOfSluid(name, path) : Number(id);
    return jobId === undefined ? undefined : { jobId, path, cpu: this.#cpuOf(path), steps };
  }

  #jobOfSluid(name: string, path: string): number | undefined {
    const sluid = SLUID_NAME.exec(name)?.[1]?.toUpperCase();
    if (sluid === undefined) return undefined;
    const known = this.#sluids.get(sluid) ?? this.#jobOfProcesses(path);
    if (known !== undefined) this.#sluids.set(sluid, known);
    return known;
  }

  /** SLURM_JOB_ID in the environment of a process in the group or below it. */
  #jobOfProcesses(path: string): number | undefined {
    for (const pid of readOrEmpty(join(path, 'cgroup.procs')).split('\n')) {
      if (!/^\d+$/.test(pid)) continue;
      const environment = readOrEmpty(join(this.#procfs, pid, 'environ'));
      const id = /(?:^|\0)SLURM_JOB_ID=(\d{1,10})(?:\0|$)/.exec(environment)?.[1];
      if (id !== undefined) return Number(id);
    }
    for (const name of folders(path)) {
      const below = this.#jobOfProcesses(join(path, name));
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
