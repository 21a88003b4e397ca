/**
 * CPU time of jobs on nodes where Slurm makes no control groups: processes that carry SLURM_JOB_ID in their
 * environment, and SLURMD_NODENAME of this node where several slurmd share a host.
 *
 * Less exact than control groups: processes that cleared their environment are missed, and so is the time of
 * children that ended between two looks without being waited for. Rows booked this way say `estimated`.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** USER_HZ: the unit of utime and stime on every Linux. */
const NS_PER_TICK = 1e9 / 100;

interface KnownProcess {
  /** Start time in ticks since boot: a pid with another one is another process. */
  readonly startTicks: number;
  readonly jobId: number | null;
}

/** Fields behind the command name, which stands in parentheses and may hold anything. */
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

export class JobProcesses {
  readonly #procfs: string;
  readonly #node: string;
  #known = new Map<string, KnownProcess>();
  /** CPU time per job so far, ns: never falls, although processes end. */
  readonly #cpuNs = new Map<number, number>();

  constructor(procfs: string, node: string) {
    this.#procfs = procfs;
    this.#node = node;
  }

  /** Cumulative CPU time in ns of every job that has a process now. */
  async scan(): Promise<Map<number, number>> {
    const pids = (await readdir(this.#procfs)).filter((name) => /^\d+$/.test(name));
    const seen = new Map<string, KnownProcess>();
    const sums = new Map<number, number>();
    for (const pid of pids) {
      const stat = await readFile(join(this.#procfs, pid, 'stat'), 'utf8').catch(() => null);
      // Ended between the two reads.
      if (stat === null) continue;
      const fields = statFields(stat);
      const startTicks = Number(fields[19]);
      const before = this.#known.get(pid);
      const process = before?.startTicks === startTicks ? before : { startTicks, jobId: await this.#jobOf(pid) };
      seen.set(pid, process);
      if (process.jobId === null) continue;
      // utime, stime, and those of children that were waited for: fields 14 to 17 of proc(5).
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      sums.set(process.jobId, (sums.get(process.jobId) ?? 0) + ticks * NS_PER_TICK);
    }
    this.#known = seen;
    for (const [jobId, ns] of sums) {
      const cpuNs = Math.max(ns, this.#cpuNs.get(jobId) ?? 0);
      this.#cpuNs.set(jobId, cpuNs);
      sums.set(jobId, cpuNs);
    }
    return sums;
  }

  /** The job is over: a later run with its id begins at zero. */
  forget(jobId: number): void {
    this.#cpuNs.delete(jobId);
  }

  async #jobOf(pid: string): Promise<number | null> {
    const environment = await readFile(join(this.#procfs, pid, 'environ'), 'latin1').catch(() => '');
    const value = (name: string): string | undefined => new RegExp(`(?:^|\\0)${name}=([^\\0]*)`).exec(environment)?.[1];
    const jobId = value('SLURM_JOB_ID');
    const node = value('SLURMD_NODENAME');
    if (jobId === undefined || !/^\d{1,10}$/.test(jobId)) return null;
    return node === undefined || node === this.#node ? Number(jobId) : null;
  }
}
