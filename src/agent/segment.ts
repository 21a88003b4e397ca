/** An open segment: shares of owners pile up until it is closed into whole microjoules that add up exactly. */
import {
  DOMAIN_GROUPS,
  type DomainGroup,
  type GroupMicrojoules,
  type LedgerDelta,
  type Quality,
  type Segment,
} from '../contract/index.js';
import { NODE_OWNERS, type OwnerShare, RULE, roundToTotal } from './attribution.js';

const noMicrojoules = (): Record<DomainGroup, number> => ({ package: 0, dram: 0, gpu: 0, other: 0 });

/** What one owner has got in the open segment. */
interface Account {
  readonly share: Record<DomainGroup, number>;
  startMs: number;
  endMs: number;
  coveredNs: number;
  cpuNs: number;
  cores: number;
  readonly steps: Map<string, number>;
}

export interface JobIdentity {
  readonly key: string;
  readonly jobId: number;
  readonly restartCount: number;
  readonly cores: number;
  /** CPU time taken from processes: the job's share is an estimate, however good the meter. */
  readonly byProcesses: boolean;
}

export interface OwnerSlice {
  readonly share: OwnerShare;
  readonly startMs: number;
  readonly endMs: number;
  readonly coveredNs: number;
  readonly cpuNs: number;
}

export class OpenSegment {
  readonly #intervalMs: number;
  readonly #startMs: number;
  #endMs: number;
  readonly #total = noMicrojoules();
  #coveredNs = 0;
  readonly #jobs = new Map<string, { readonly job: JobIdentity; readonly account: Account }>();
  readonly #nodeOwners: Readonly<Record<(typeof NODE_OWNERS)[number], Account>>;

  constructor(startMs: number, intervalMs: number) {
    this.#startMs = startMs;
    this.#endMs = startMs;
    this.#intervalMs = intervalMs;
    this.#nodeOwners = { idle: this.#account(startMs), system: this.#account(startMs) };
  }

  get startMs(): number {
    return this.#startMs;
  }

  get endMs(): number {
    return this.#endMs;
  }

  /** The node's own whole microjoules of a slice. Every slice's owners must be added too. */
  addNode(microjoules: Readonly<Record<DomainGroup, number>>, coveredNs: number, endMs: number): void {
    for (const group of DOMAIN_GROUPS) this.#total[group] += microjoules[group];
    this.#coveredNs += coveredNs;
    this.#endMs = Math.max(this.#endMs, endMs);
  }

  addNodeOwner(owner: (typeof NODE_OWNERS)[number], slice: OwnerSlice): void {
    this.#add(this.#nodeOwners[owner], slice);
  }

  /** @param stepCpuNs CPU time by step over the whole window, of which the slice is `part` */
  addJob(job: JobIdentity, slice: OwnerSlice, stepCpuNs: ReadonlyMap<string, number> | null, part: number): void {
    let entry = this.#jobs.get(job.key);
    if (!entry) {
      entry = { job, account: this.#account(slice.startMs) };
      this.#jobs.set(job.key, entry);
    }
    const { account } = entry;
    account.cores = job.cores;
    this.#add(account, slice);
    if (stepCpuNs === null) return;
    for (const [step, cpuNs] of stepCpuNs) account.steps.set(step, (account.steps.get(step) ?? 0) + cpuNs * part);
  }

  /** @returns null where no time passed and nothing was booked */
  close(quality: Quality, method: string): Segment | null {
    const startMs = this.#startMs;
    const intervalStartMs = Math.floor(startMs / this.#intervalMs) * this.#intervalMs;
    const endMs = Math.min(this.#endMs, intervalStartMs + this.#intervalMs);
    const empty = DOMAIN_GROUPS.every((group) => this.#total[group] === 0);
    if (endMs <= startMs && empty) return null;

    const jobs = [...this.#jobs.values()];
    const accounts = [...jobs.map((entry) => entry.account), ...NODE_OWNERS.map((owner) => this.#nodeOwners[owner])];
    const microjoules = accounts.map(() => noMicrojoules());
    for (const group of DOMAIN_GROUPS) {
      const rounded = roundToTotal(
        accounts.map((account) => account.share[group]),
        this.#total[group],
      );
      rounded.forEach((value, index) => {
        const target = microjoules[index];
        if (target) target[group] = value;
      });
    }
    const clamp = (ms: number): number => Math.min(Math.max(ms, startMs), endMs);
    const delta = (account: Account, index: number): Omit<LedgerDelta, 'owner'> => {
      const from = clamp(account.startMs);
      const to = clamp(account.endMs);
      return {
        startMs: from,
        endMs: to,
        microjoules: microjoules[index] ?? noMicrojoules(),
        coveredMs: Math.min(Math.round(account.coveredNs / 1e6), to - from),
        cpuMs: Math.round(account.cpuNs / 1e6),
        cores: account.cores,
        quality,
      };
    };
    const rows: LedgerDelta[] = [
      ...jobs.map(({ job, account }, index) => {
        const row = delta(account, index);
        const steps = splitOverSteps(row.microjoules, account.steps);
        return {
          owner: 'job' as const,
          jobId: job.jobId,
          restartCount: job.restartCount,
          ...row,
          quality: job.byProcesses ? 'estimated' : quality,
          ...(steps.length > 0 ? { steps } : {}),
        };
      }),
      ...NODE_OWNERS.map((owner, index) => ({ owner, ...delta(this.#nodeOwners[owner], jobs.length + index) })),
    ];
    return {
      startMs,
      endMs,
      intervalStartMs,
      intervalMs: this.#intervalMs,
      microjoules: { ...this.#total },
      coveredMs: Math.min(Math.round(this.#coveredNs / 1e6), endMs - startMs),
      quality,
      rule: RULE,
      method,
      rows,
    };
  }

  #account(startMs: number): Account {
    const share = noMicrojoules();
    return { share, startMs, endMs: startMs, coveredNs: 0, cpuNs: 0, cores: 0, steps: new Map() };
  }

  #add(account: Account, slice: OwnerSlice): void {
    for (const group of DOMAIN_GROUPS) account.share[group] += slice.share[group];
    account.startMs = Math.min(account.startMs, slice.startMs);
    account.endMs = Math.max(account.endMs, slice.endMs);
    account.coveredNs += slice.coveredNs;
    account.cpuNs += slice.cpuNs;
  }
}

/** A job's microjoules over its steps by CPU time; a job whose steps burnt none has no step rows. */
function splitOverSteps(
  microjoules: GroupMicrojoules,
  cpuByStep: ReadonlyMap<string, number>,
): NonNullable<LedgerDelta['steps']> {
  const steps = [...cpuByStep];
  const cpuNs = steps.reduce((sum, [, ns]) => sum + ns, 0);
  if (cpuNs <= 0) return [];
  const out = steps.map(([step, ns]) => ({ step, microjoules: noMicrojoules(), cpuMs: Math.round(ns / 1e6) }));
  for (const group of DOMAIN_GROUPS) {
    const rounded = roundToTotal(
      steps.map(([, ns]) => (microjoules[group] * ns) / cpuNs),
      microjoules[group],
    );
    out.forEach((step, index) => {
      step.microjoules[group] = rounded[index] ?? 0;
    });
  }
  return out;
}
