import { expect, test } from '@jest/globals';
import type { HookEvent } from '../../src/agent/events.js';
import { JobTable } from '../../src/agent/jobs.js';

const prolog = (monoNs: number, restartCount = 0): HookEvent => ({
  kind: 'prolog',
  monoNs,
  realNs: 0,
  bootId: '',
  jobId: 7,
  restartCount,
  uid: undefined,
  user: undefined,
  account: undefined,
  partition: undefined,
  cores: 2,
  gpus: 0,
  sluid: undefined,
});

test.each([0, 1])('a second run on the same node (restart count %i) is a job of its own', (restartCount) => {
  const jobs = new JobTable();
  jobs.start(prolog(10), 0);
  jobs.end(7, 0, 20);
  jobs.start(prolog(30, restartCount), 0);
  expect(jobs.active.map((job) => [job.restartCount, job.startMonoNs, job.endMonoNs])).toEqual([
    [0, 10, 20],
    [restartCount, 30, null],
  ]);
  expect(jobs.retire(25).map((job) => job.startMonoNs)).toEqual([10]);
  expect(jobs.find(7)?.startMonoNs).toBe(30);
});

test('an epilog that is read again does not end the run that came after it', () => {
  const jobs = new JobTable();
  jobs.restore({ jobId: 7, restartCount: 1, cores: 2, gpus: 0, source: 'hook' }, 50);
  jobs.start(prolog(10), 0);
  jobs.end(7, 0, 20);
  jobs.start(prolog(30, 1), 0);
  expect(jobs.active.map((job) => [job.restartCount, job.endMonoNs])).toEqual([[1, null]]);
});

test('a run whose epilog was lost ends where the next run of its job begins', () => {
  const jobs = new JobTable();
  jobs.start(prolog(10), 0);
  jobs.start(prolog(30, 1), 0);
  expect(jobs.active.map((job) => [job.restartCount, job.endMonoNs])).toEqual([
    [0, 30],
    [1, null],
  ]);
});

test('a job that was found by its group ends by the epilog of whichever run', () => {
  const jobs = new JobTable();
  jobs.found(7, 10, true);
  jobs.end(7, 3, 20);
  expect(jobs.find(7)).toBeUndefined();
});
