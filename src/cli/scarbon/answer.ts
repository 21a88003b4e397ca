/** The controller's answer is outside input: its shape is checked before a figure of it is shown. */
import * as v from 'valibot';
import type { JobsAnswer } from '../../contract/api.js';
import { QUALITIES } from '../../contract/vocabulary.js';
import { badAnswer } from '../controller-client.js';
import type { Endpoint } from '../endpoint.js';

const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const time = v.nullable(v.pipe(v.number(), v.finite()));
const energy = v.object({ package: amount, dram: amount, gpu: amount, other: amount });

const common = {
  name: v.string(),
  state: v.string(),
  startMs: time,
  endMs: time,
  elapsedMs: amount,
  ncpus: amount,
  nodelist: v.string(),
  exitCode: v.string(),
  energy,
  co2e: v.nullable(amount),
};

/** New fields may come with a newer controller and are passed over. */
const jobsAnswer = v.object({
  cluster: v.string(),
  truncated: v.boolean(),
  jobs: v.array(
    v.object({
      ...common,
      jobId: v.string(),
      jobIdRaw: amount,
      user: v.string(),
      account: v.string(),
      partition: v.string(),
      qos: v.string(),
      submitMs: time,
      nnodes: amount,
      coverage: v.nullable(v.pipe(amount, v.maxValue(1))),
      quality: v.nullable(v.picklist(QUALITIES)),
      cpuMs: amount,
      sampledNodeMs: amount,
      zones: v.array(v.string()),
      ciSources: v.array(v.string()),
      rules: v.array(v.string()),
      steps: v.array(v.object({ ...common, step: v.string() })),
    }),
  ),
});

/** @throws {WattleError} `controller.bad-answer` */
export function checkJobsAnswer(answer: unknown, endpoint: Endpoint): JobsAnswer {
  const result = v.safeParse(jobsAnswer, answer, { abortEarly: true });
  // Units are brands without a value of their own: the numbers become joules and grams by this declaration.
  if (result.success) return result.output as unknown as JobsAnswer;
  const [issue] = result.issues;
  throw badAnswer(endpoint, `${v.getDotPath(issue) ?? 'a value'}: ${issue.message}`);
}
