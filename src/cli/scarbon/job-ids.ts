/** Job ids as sacct takes them: `12`, `12_3`, `12_[1-3]`, `12+1`, each with a step behind a dot if wanted. */
import type { JobAnswer } from '../../contract/api.js';
import { usageError } from '../program.js';
import { expandList } from './lists.js';

type JobIdentity = Pick<JobAnswer, 'jobId' | 'jobIdRaw'>;

export interface JobSelection {
  /** Job ids to ask for, without steps. */
  readonly jobIds: readonly string[];
  readonly wantsJob: (job: JobIdentity) => boolean;
  readonly wantsStep: (job: JobIdentity, step: string) => boolean;
}

const JOB_ID = /^(\d{1,10}(?:_\d{1,10}|\+\d{1,10})?)(?:\.(batch|extern|interactive|\d{1,10}))?$/;

export const ALL_JOBS: JobSelection = { jobIds: [], wantsJob: () => true, wantsStep: () => true };

/**
 * A job id without a step wants the job with all its steps, one with a step wants that step alone.
 * @throws {WattleError} wrong usage
 */
export async function selectJobs(written: string): Promise<JobSelection> {
  const whole = new Set<string>();
  const steps = new Map<string, Set<string>>();
  for (const text of await expandList(written, 'job ids', '12,12_[1-3]')) {
    const [, jobId, step] = JOB_ID.exec(text) ?? [];
    if (jobId === undefined) {
      throw usageError(
        `expected a job id, found ${JSON.stringify(text)}`,
        'Write for example 12, 12_3, 12+1 or 12.batch.',
      );
    }
    if (step === undefined) whole.add(jobId);
    else steps.set(jobId, (steps.get(jobId) ?? new Set()).add(step));
  }
  const wantsJob = (job: JobIdentity): boolean => namesOf(job).some((name) => whole.has(name));
  return {
    jobIds: [...new Set([...whole, ...steps.keys()])],
    wantsJob,
    wantsStep: (job, step) => wantsJob(job) || namesOf(job).some((name) => steps.get(name)?.has(step) === true),
  };
}

/** `12_3` is also meant by `12`, its array, and by its raw job id. */
function namesOf({ jobId, jobIdRaw }: JobIdentity): string[] {
  return [jobId, jobId.split(/[_+]/, 1)[0] ?? jobId, String(jobIdRaw)];
}
