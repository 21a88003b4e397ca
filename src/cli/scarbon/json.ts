/** `--json`: every figure at full precision under a name that states its unit. docs/scarbon.md documents the shape. */
import type { EnergyAnswer, JobAnswer, JobsAnswer, StepAnswer } from '../../contract/api.js';
import { MICROJOULES_PER_JOULE, type EpochMs } from '../../contract/units.js';
import { printableJson } from '../printable.js';
import { meanWatts, totalMicrojoules, type Row } from './columns.js';
import { worstOf } from './total.js';

/** Raised when a name goes or changes its meaning; new names may come at any time. */
const JSON_VERSION = 1;

export function renderJson(
  answer: JobsAnswer,
  rows: readonly Row[],
  jobs: readonly JobAnswer[],
  total: boolean,
): string {
  const stepsOf = new Map<JobAnswer, StepAnswer[]>();
  for (const { job, step } of rows) {
    const steps = stepsOf.get(job) ?? [];
    stepsOf.set(job, step === undefined ? steps : [...steps, step]);
  }
  const document = {
    version: JSON_VERSION,
    cluster: answer.cluster,
    truncated: answer.truncated,
    jobs: [...stepsOf].map(([job, steps]) => ({ ...jobJson(job), steps: steps.map((step) => stepJson(job, step)) })),
    ...(total ? { total: totalJson(jobs) } : {}),
  };
  return `${printableJson(document)}\n`;
}

function jobJson(job: JobAnswer) {
  return {
    jobId: job.jobId,
    jobIdRaw: job.jobIdRaw,
    name: job.name,
    user: job.user,
    account: job.account,
    partition: job.partition,
    qos: job.qos,
    state: job.state,
    submit: isoTime(job.submitMs),
    start: isoTime(job.startMs),
    end: isoTime(job.endMs),
    elapsedSeconds: job.elapsedMs / 1000,
    ncpus: job.ncpus,
    nnodes: job.nnodes,
    nodelist: job.nodelist,
    exitCode: job.exitCode,
    energyJoules: energyJson({ job }, job.energy),
    co2eGrams: job.quality === null ? null : job.co2e,
    meanWatts: meanWatts({ job }),
    coverage: job.coverage,
    quality: job.quality,
    cpuSeconds: job.cpuMs / 1000,
    zones: job.zones,
    ciSources: job.ciSources,
    rules: job.rules,
  };
}

function stepJson(job: JobAnswer, step: StepAnswer) {
  return {
    step: step.step,
    name: step.name,
    state: step.state,
    start: isoTime(step.startMs),
    end: isoTime(step.endMs),
    elapsedSeconds: step.elapsedMs / 1000,
    ncpus: step.ncpus,
    nodelist: step.nodelist,
    exitCode: step.exitCode,
    energyJoules: energyJson({ job, step }, step.energy),
    co2eGrams: job.quality === null ? null : step.co2e,
    meanWatts: meanWatts({ job, step }),
  };
}

/** null where nothing was booked: that is not an energy of 0. */
function energyJson(row: Row, parts: EnergyAnswer) {
  const total = totalMicrojoules(row);
  if (total === null) return null;
  return {
    total: total / MICROJOULES_PER_JOULE,
    package: parts.package / MICROJOULES_PER_JOULE,
    dram: parts.dram / MICROJOULES_PER_JOULE,
    gpu: parts.gpu / MICROJOULES_PER_JOULE,
    other: parts.other / MICROJOULES_PER_JOULE,
  };
}

function totalJson(jobs: readonly JobAnswer[]) {
  const energies = jobs.map((job) => totalMicrojoules({ job }));
  const footprints = jobs.map((job) => (job.quality === null ? null : job.co2e));
  const sum = (values: readonly (number | null)[]): number =>
    values.reduce<number>((all, value) => all + (value ?? 0), 0);
  const unknown = (values: readonly (number | null)[]): number => values.filter((value) => value === null).length;
  return {
    jobs: jobs.length,
    energyJoules: sum(energies) / MICROJOULES_PER_JOULE,
    jobsWithoutEnergy: unknown(energies),
    co2eGrams: sum(footprints),
    jobsWithoutCo2e: unknown(footprints),
    quality: worstOf(jobs),
  };
}

function isoTime(time: EpochMs | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
