/** The columns of `scarbon`: names and widths as sacct has them, and what each says of a job and of a step. */
import type { EnergyAnswer, JobAnswer, StepAnswer } from '../../contract/api.js';
import { timestamp } from './quantities.js';

/** One line of output: a job, or one of its steps. */
export interface Row {
  readonly job: JobAnswer;
  readonly step?: StepAnswer;
}

interface CommonColumn {
  readonly name: string;
  readonly width: number;
  readonly leftAligned?: true;
  readonly help: string;
}
/** Text in its final form. */
export interface TextColumn extends CommonColumn {
  readonly kind: 'text';
  readonly value: (row: Row) => string;
}
/** A number, null where it is not known: energy in microjoules, mass in grams, power in watts, a share of 1, time in ms. */
export interface FigureColumn extends CommonColumn {
  readonly kind: 'energy' | 'mass' | 'power' | 'share' | 'time' | 'seconds' | 'count';
  readonly value: (row: Row) => number | null;
  /** Whether the values of several jobs add up to something. */
  readonly sums?: true;
}
export type Column = TextColumn | FigureColumn;

/** A job of which nothing was booked has no energy, which is not an energy of 0. */
function energyOf({ job, step }: Row): EnergyAnswer | null {
  return job.quality === null ? null : (step ?? job).energy;
}

export function totalMicrojoules(row: Row): number | null {
  const energy = energyOf(row);
  return energy === null ? null : energy.package + energy.dram + energy.gpu + energy.other;
}

/**
 * Mean power in watts while it was sampled: of a job over all of its nodes and runs, of a step over its elapsed time.
 * Elapsed time would be wrong for a job that was requeued, whose energy is that of all runs, or suspended.
 */
export function meanWatts(row: Row): number | null {
  const microjoules = totalMicrojoules(row);
  const { sampledNodeMs, nnodes } = row.job;
  const ms = row.step?.elapsedMs ?? sampledNodeMs / Math.max(1, nnodes);
  return microjoules === null || ms <= 0 ? null : microjoules / 1000 / ms;
}

/** sacct's CPUTime: elapsed time times allocated CPUs, busy or not. */
function cpuTime({ job, step }: Row): number {
  const { elapsedMs, ncpus } = step ?? job;
  return elapsedMs * ncpus;
}

const withStep = (id: string, step: StepAnswer | undefined): string => (step === undefined ? id : `${id}.${step.step}`);

/** What sacct tells of jobs only; the field is empty in the line of a step. */
const ofJob =
  (value: (job: JobAnswer) => string) =>
  ({ job, step }: Row): string =>
    step === undefined ? value(job) : '';

function text(name: string, width: number, help: string, value: TextColumn['value']): TextColumn {
  return { kind: 'text', name, width, help, value };
}

function figure(
  kind: FigureColumn['kind'],
  name: string,
  width: number,
  help: string,
  value: FigureColumn['value'],
): FigureColumn {
  return { kind, name, width, help, value };
}

function sum(
  kind: FigureColumn['kind'],
  name: string,
  width: number,
  help: string,
  value: FigureColumn['value'],
): FigureColumn {
  return { ...figure(kind, name, width, help, value), sums: true };
}

function energy(name: string, help: string, value: (energy: EnergyAnswer) => number): FigureColumn {
  const valueOf = (row: Row): number | null => {
    const answer = energyOf(row);
    return answer === null ? null : value(answer);
  };
  return sum('energy', name, 10, help, valueOf);
}

/** In the order of the alphabet: a shortened name means the first column that begins with it, as in sacct. */
export const COLUMNS: readonly Column[] = [
  text('Account', 10, 'account the job ran under', ({ job }) => job.account),
  figure('count', 'AllocCPUS', 9, 'same as NCPUS', ({ job, step }) => (step ?? job).ncpus),
  figure('count', 'AllocNodes', 10, 'same as NNodes', ({ job, step }) => (step === undefined ? job.nnodes : null)),
  text(
    'CISource',
    16,
    'where the carbon intensity comes from',
    ofJob((job) => job.ciSources.join(',')),
  ),
  sum('mass', 'CO2e', 9, 'operational carbon footprint, CO2 equivalent', ({ job, step }) =>
    job.quality === null ? null : (step ?? job).co2e,
  ),
  figure('share', 'Coverage', 8, "share of the job's time that was really sampled", ({ job, step }) =>
    step === undefined ? job.coverage : null,
  ),
  sum('time', 'CPUTime', 10, 'elapsed time times allocated CPUs', cpuTime),
  sum('seconds', 'CPUTimeRAW', 10, 'CPUTime in seconds', cpuTime),
  energy('Dram', 'energy of the memory', ({ dram }) => dram),
  figure('time', 'Elapsed', 10, 'time the job has run', ({ job, step }) => (step ?? job).elapsedMs),
  figure('seconds', 'ElapsedRaw', 10, 'Elapsed in seconds', ({ job, step }) => (step ?? job).elapsedMs),
  text('End', 19, 'end time, local time zone', ({ job, step }) => timestamp((step ?? job).endMs)),
  sum('energy', 'Energy', 10, 'energy of the job, all parts', totalMicrojoules),
  text('ExitCode', 8, 'exit code and signal', ({ job, step }) => (step ?? job).exitCode),
  energy('Gpu', 'energy of the GPUs', ({ gpu }) => gpu),
  {
    ...text('JobID', 12, 'job id; array task, het component and step shown as in sacct', ({ job, step }) =>
      withStep(job.jobId, step),
    ),
    leftAligned: true,
  },
  {
    ...text('JobIDRaw', 12, 'job id without array or het notation', ({ job, step }) =>
      withStep(String(job.jobIdRaw), step),
    ),
    leftAligned: true,
  },
  text('JobName', 10, 'name of the job or of the step', ({ job, step }) => (step ?? job).name),
  figure('count', 'NCPUS', 5, 'allocated CPUs', ({ job, step }) => (step ?? job).ncpus),
  figure('count', 'NNodes', 8, 'allocated nodes', ({ job, step }) => (step === undefined ? job.nnodes : null)),
  text('NodeList', 15, 'nodes the job or step ran on', ({ job, step }) => (step ?? job).nodelist),
  energy('Other', "the job's part of fans, power supplies and network", ({ other }) => other),
  energy('Package', 'energy of the processors', (parts) => parts.package),
  text(
    'Partition',
    10,
    'partition the job ran in',
    ofJob((job) => job.partition),
  ),
  text(
    'QOS',
    10,
    'quality of service',
    ofJob((job) => job.qos),
  ),
  text('Quality', 10, 'how the figures are known: measured, calibrated or estimated', ({ job }) => job.quality ?? ''),
  text(
    'Rule',
    10,
    'attribution rule and version',
    ofJob((job) => job.rules.join(',')),
  ),
  text('Start', 19, 'start time, local time zone', ({ job, step }) => timestamp((step ?? job).startMs)),
  text('State', 10, 'state of the job or step', ({ job, step }) => (step ?? job).state),
  text(
    'Submit',
    19,
    'submit time, local time zone',
    ofJob((job) => timestamp(job.submitMs)),
  ),
  sum('time', 'TotalCPU', 10, 'CPU time really used', ({ job, step }) => (step === undefined ? job.cpuMs : null)),
  text(
    'User',
    9,
    'user who submitted the job',
    ofJob((job) => job.user),
  ),
  figure('power', 'Watts', 9, 'mean power while the job ran', meanWatts),
  text(
    'Zone',
    10,
    'electricity zones the job ran in',
    ofJob((job) => job.zones.join(',')),
  ),
];

export const DEFAULT_FORMAT = 'JobID,JobName,User,Partition,State,Elapsed,NCPUS,Energy,CO2e,Quality';
