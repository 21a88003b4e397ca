/**
 * Books the node's joules: takes snapshots in order, cuts each window at job events and ledger edges, splits
 * every slice by rule `wattle-1`, and closes segments.
 */
import type { DomainGroup, Quality, Segment } from '../contract/index.js';
import { type JobShare, attribute } from './attribution.js';
import type { IdleFloor } from './idle-floor.js';
import type { ActiveJob, CpuAccount, JobTable } from './jobs.js';
import { OpenSegment } from './segment.js';
import { COUNTED_KINDS, type CountedKind, type Snapshot } from './snapshot.js';

/** A wall clock that moves this much more or less than the monotonic one was set, or the host slept. */
const CLOCK_STEP_MS = 250;

/** Wall clock against monotonic clock over one window, and rounding to milliseconds. */
const MAX_DRIFT_MS = 2;

/** Time is covered where all of it is but for what rounding and clock readings take. */
const FULLY = 0.999;

export interface BookerOptions {
  /** Length of a ledger interval; segments never cross its edges. */
  readonly intervalMs: number;
  /** Cores of the node as Slurm counts them. */
  readonly cores: number;
  readonly gpus: number;
  readonly hasNodeMeter: boolean;
  readonly quality: Quality;
  readonly method: string;
  /** Sampler slots of the CPU time of the whole node, and of all Slurm jobs of the node together. */
  readonly nodeCpu: CpuAccount;
  readonly slurmCpu: CpuAccount;
}

/** A job's CPU time in one window, and how it falls on its steps. */
interface JobCpu {
  readonly job: ActiveJob;
  readonly fromNs: number;
  readonly toNs: number;
  cpuNs: number;
  /** CPU time by step; null where no step burnt any. */
  steps: ReadonlyMap<string, number> | null;
}

/** A cumulative value at a time inside the window, as a whole number so that differences add up. */
function interpolate(from: number, to: number, share: number): number {
  return share >= 1 ? to : from + Math.floor((to - from) * share);
}

function reading(account: CpuAccount, snapshot: Snapshot): number {
  if (account.slot === null || snapshot.monoNs <= account.sinceMonoNs) return NaN;
  return snapshot.cpuNs[account.slot] ?? NaN;
}

/**
 * CPU time since it was last booked. The first reading of an account without a base line only sets one.
 * @param restarts whether a reading below the last one comes from a new group: a job's group goes with its last step
 *   and comes back with the next. The host's own counter is never new; where it falls nothing was burnt.
 */
function takeCpu(account: CpuAccount, snapshot: Snapshot, restarts = true): number | null {
  const value = reading(account, snapshot);
  if (Number.isNaN(value)) return null;
  const { bookedNs, readNs } = account;
  account.readNs = value;
  if (bookedNs === null) {
    account.bookedNs = value;
    return null;
  }
  // Of a new group only that is booked which was booked without a reading.
  const before = restarts && value < readNs ? bookedNs - readNs : bookedNs;
  account.bookedNs = Math.max(value, before);
  return Math.max(0, value - before);
}

function stepCpu(job: ActiveJob, snapshot: Snapshot): ReadonlyMap<string, number> | null {
  let burnt: Map<string, number> | null = null;
  for (const [step, account] of job.steps) {
    const ns = takeCpu(account, snapshot);
    if (ns === null || ns === 0) continue;
    burnt ??= new Map();
    burnt.set(step, ns);
  }
  return burnt;
}

export class Booker {
  readonly #options: BookerOptions;
  readonly #jobs: JobTable;
  readonly #floor: IdleFloor;
  readonly #closed: Segment[] = [];
  #open: OpenSegment | null = null;
  #last: Snapshot | null = null;
  #lastEndMs = 0;
  /** Joules that package, dram and gpu saw beyond the node meter, to be taken from its next readings. */
  #nodeDebt = 0;

  constructor(options: BookerOptions, jobs: JobTable, floor: IdleFloor) {
    this.#options = options;
    this.#jobs = jobs;
    this.#floor = floor;
  }

  /** Up to which monotonic time everything is booked, ns; null before the first snapshot. */
  get horizonNs(): number | null {
    return this.#last?.monoNs ?? null;
  }

  /** Books the window that ends with `snapshot`. Snapshots come in order of time. */
  book(snapshot: Snapshot): void {
    const last = this.#last;
    if (!last) {
      this.#last = snapshot;
      this.#setBaseLines(snapshot);
      return;
    }
    if (snapshot.monoNs <= last.monoNs) return;
    this.#last = snapshot;

    const elapsedMs = (snapshot.monoNs - last.monoNs) / 1e6;
    const stepped = Math.abs(snapshot.realMs - last.realMs - elapsedMs) > CLOCK_STEP_MS;
    if (stepped) this.closeSegment();
    // Wall-clock times in the window count back from its end, so a step of the clock lies before it.
    // Whole milliseconds: a slice that ends at a ledger edge must end on it, not a rounding error before it.
    const realAt = (monoNs: number): number => Math.round(snapshot.realMs - (snapshot.monoNs - monoNs) / 1e6);

    const cpu = this.#cpuOfWindow(last, snapshot);
    const cuts = this.#cuts(last.monoNs, snapshot.monoNs, cpu.jobs, realAt);
    let from = last.monoNs;
    for (const to of cuts) {
      this.#bookSlice(last, snapshot, from, to, cpu, realAt);
      from = to;
    }
  }

  /** Closes the open segment, so that what is booked so far can be reported. */
  closeSegment(): void {
    const segment = this.#open?.close(this.#options.quality, this.#options.method);
    this.#open = null;
    if (!segment) return;
    this.#closed.push(segment);
    this.#lastEndMs = segment.endMs;
  }

  /** Closed segments that nobody took yet. */
  takeSegments(): Segment[] {
    return this.#closed.splice(0);
  }

  /** CPU time from before the first snapshot is nobody's here. A job that starts later begins at zero. */
  #setBaseLines(snapshot: Snapshot): void {
    takeCpu(this.#options.nodeCpu, snapshot, false);
    takeCpu(this.#options.slurmCpu, snapshot);
    for (const job of this.#jobs.active) {
      for (const account of [job.cpu, ...job.steps.values()]) if (account.bookedNs === null) takeCpu(account, snapshot);
    }
  }

  #cpuOfWindow(last: Snapshot, snapshot: Snapshot): { jobs: JobCpu[]; systemNs: number } {
    const jobs: JobCpu[] = [];
    const unread: JobCpu[] = [];
    for (const job of this.#jobs.active) {
      const fromNs = Math.max(job.startMonoNs, last.monoNs);
      const toNs = Math.min(job.endMonoNs ?? snapshot.monoNs, snapshot.monoNs);
      if (toNs <= fromNs) continue;
      const cpuNs = takeCpu(job.cpu, snapshot);
      const entry: JobCpu = { job, fromNs, toNs, cpuNs: cpuNs ?? 0, steps: stepCpu(job, snapshot) };
      jobs.push(entry);
      if (Number.isNaN(reading(job.cpu, snapshot))) unread.push(entry);
    }

    const slurmNs = takeCpu(this.#options.slurmCpu, snapshot);
    const nodeNs = takeCpu(this.#options.nodeCpu, snapshot, false);
    if (slurmNs !== null) {
      // What Slurm's group burnt beyond the groups that could be read belongs to jobs whose own group is not
      // there yet, or is gone already: the last tenth of a second of a job, or all of a very short one.
      const known = jobs.reduce((sum, entry) => sum + entry.cpuNs, 0);
      const cores = unread.reduce((sum, entry) => sum + entry.job.cores, 0);
      for (const entry of unread) {
        entry.cpuNs = (Math.max(0, slurmNs - known) * entry.job.cores) / cores;
        entry.job.cpu.bookedNs = (entry.job.cpu.bookedNs ?? 0) + entry.cpuNs;
      }
    }
    for (const entry of jobs) {
      const { onlyStep } = entry.job;
      if (onlyStep !== null && entry.cpuNs > 0) entry.steps = new Map([[onlyStep, entry.cpuNs]]);
    }
    const jobNs = jobs.reduce((sum, entry) => sum + entry.cpuNs, 0);
    return { jobs, systemNs: Math.max(0, (nodeNs ?? 0) - Math.max(jobNs, slurmNs ?? 0)) };
  }

  /** Ends of the slices: job starts and ends, ledger edges, and the window's own end. */
  #cuts(fromNs: number, toNs: number, jobs: readonly JobCpu[], realAt: (ns: number) => number): number[] {
    const cuts = [toNs];
    for (const job of jobs) {
      if (job.fromNs > fromNs) cuts.push(job.fromNs);
      if (job.toNs < toNs) cuts.push(job.toNs);
    }
    const { intervalMs } = this.#options;
    for (
      let edge = (Math.floor(realAt(fromNs) / intervalMs) + 1) * intervalMs;
      edge < realAt(toNs);
      edge += intervalMs
    ) {
      cuts.push(Math.round(fromNs + (edge - realAt(fromNs)) * 1e6));
    }
    // Nearly every window is whole: no event, no edge.
    if (cuts.length === 1) return cuts;
    return [...new Set(cuts)].filter((cut) => cut > fromNs && cut <= toNs).sort((a, b) => a - b);
  }

  #bookSlice(
    last: Snapshot,
    snapshot: Snapshot,
    fromNs: number,
    toNs: number,
    cpu: { jobs: readonly JobCpu[]; systemNs: number },
    realAt: (ns: number) => number,
  ): void {
    const span = snapshot.monoNs - last.monoNs;
    const shareAt = (ns: number): number => (ns - last.monoNs) / span;
    const part = (before: number, after: number): number =>
      interpolate(before, after, shareAt(toNs)) - interpolate(before, after, shareAt(fromNs));
    const between = (kind: CountedKind): number => part(last[kind], snapshot[kind]);
    const durationNs = toNs - fromNs;
    /** The least of the kind's domains; all of the time where it has none. */
    const covered = (kind: CountedKind): number =>
      snapshot.coveredNs[kind].reduce(
        (least, after, index) => Math.min(least, part(last.coveredNs[kind][index] ?? 0, after)),
        durationNs,
      );

    const nodeCovered = covered('node') >= durationNs * FULLY;
    const microjoules = this.#groups(
      between('package'),
      between('dram'),
      between('gpu'),
      nodeCovered ? between('node') : null,
    );
    const coveredNs = Math.min(...COUNTED_KINDS.map(covered));
    const present = cpu.jobs.filter((entry) => entry.fromNs < toNs && entry.toNs > fromNs);
    const partOf = (entry: JobCpu): number => durationNs / (entry.toNs - entry.fromNs);
    const shares: JobShare[] = present.map((entry) => ({
      cores: entry.job.cores,
      gpus: entry.job.gpus,
      cpuNs: entry.cpuNs * partOf(entry),
    }));
    const systemCpuNs = (cpu.systemNs * durationNs) / span;
    const empty = present.length === 0;
    if (covered('package') >= durationNs * FULLY) this.#floor.observe(microjoules.package, durationNs, empty);

    const split = attribute({
      durationNs,
      microjoules,
      cores: this.#options.cores,
      gpus: this.#options.gpus,
      systemCpuNs,
      idleFloorWatts: this.#floor.watts,
      jobs: shares,
    });

    const segment = this.#segmentFor(realAt(fromNs));
    const slice = { startMs: segment.endMs, endMs: Math.max(segment.endMs, realAt(toNs)), coveredNs };
    segment.addNode(microjoules, coveredNs, slice.endMs);
    present.forEach((entry, index) => {
      const share = split.jobs[index];
      const cpuNs = shares[index]?.cpuNs ?? 0;
      if (share) segment.addJob(entry.job, { ...slice, share, cpuNs }, entry.steps, partOf(entry));
    });
    segment.addNodeOwner('idle', { ...slice, share: split.idle, cpuNs: 0 });
    segment.addNodeOwner('system', { ...slice, share: split.system, cpuNs: systemCpuNs });
    if (Math.floor(realAt(toNs) / this.#options.intervalMs) > Math.floor(segment.startMs / this.#options.intervalMs)) {
      this.closeSegment();
    }
  }

  /**
   * `other` is what a node meter saw beyond the inner domains; where it lags, the debt is carried, not invented.
   * @param node null where the node meter did not see all of the time: what it missed is no debt
   */
  #groups(pkg: number, dram: number, gpu: number, node: number | null): Record<DomainGroup, number> {
    let other = 0;
    if (this.#options.hasNodeMeter && node !== null) {
      const rest = node - pkg - dram - gpu - this.#nodeDebt;
      other = Math.max(0, rest);
      this.#nodeDebt = Math.max(0, -rest);
    }
    return { package: pkg, dram, gpu, other };
  }

  #segmentFor(startMs: number): OpenSegment {
    // A segment begins where the one before ended: the clocks' drift makes no hole and no overlap.
    const follows = Math.abs(this.#lastEndMs - startMs) <= MAX_DRIFT_MS;
    this.#open ??= new OpenSegment(follows ? this.#lastEndMs : startMs, this.#options.intervalMs);
    return this.#open;
  }
}
