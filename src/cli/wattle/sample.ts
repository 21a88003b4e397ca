/** `wattle sample`: samples this host itself, at any rate, for a time or for a job, and shows it live. */
import { type JobGroup, SlurmCgroups } from '../../agent/index.js';
import type { Config } from '../../config/index.js';
import { EXIT, WattleError, type ExitCode } from '../../contract/errors.js';
import { type MeterProbe, probeMeters, type SamplerOptions } from '../../sampler/index.js';
import { samplerOptions } from '../daemons/agent.js';
import { printable } from '../printable.js';
import { usageError } from '../program.js';
import { configOrDefaults } from './defaults.js';
import { readOptions, withOptions, type SampleArguments, type SampleOptions } from './sample/options.js';
import { Output } from './sample/output.js';
import { Session } from './sample/session.js';

/** What a timer of Node takes. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Also how often a frame is drawn. */
const DRAIN_MS = 250;

export async function sample(args: SampleArguments): Promise<ExitCode> {
  const options = readOptions(args);
  const config = withOptions(configOrDefaults(args.config), options);
  const meters = chosenMeters(config, options);
  const job = options.jobId === undefined ? undefined : findJob(config, options.jobId);
  for (const line of refusals(probeMeters(meters), options.meters.length > 0)) warn(line);
  const session = new Session({ node: config.agent.node, sampler: meters, job });
  const output = await Output.open(options, session.sampler.domains, config.agent.node);
  await run(session, output, options);
  return EXIT.done;
}

/** @throws {WattleError} where a meter of the command line needs more than its name */
function chosenMeters(config: Config, { meters, kinds, witnesses }: SampleOptions): SamplerOptions {
  const options = samplerOptions(config);
  const missing = meters.find(({ name }) => !options.meters.some(({ kind }) => kind === name));
  if (missing !== undefined) {
    throw usageError(
      `--meter ${missing.name}: the configuration does not say what it should read`,
      `Describe it under [sampler.${missing.name}]; docs/configuration.md tells how.`,
    );
  }
  return { ...options, ...(kinds.length === 0 ? {} : { kinds }), witnesses: witnesses ? 'all' : 'own' };
}

/** @throws {WattleError} `sample.no-such-job` */
function findJob(config: Config, jobId: number): JobGroup {
  const { cgroupRoot, procfs } = config.sampler;
  const groups = new SlurmCgroups(cgroupRoot, config.agent.node, procfs);
  const { jobs } = groups.scan();
  const found = jobs.find((job) => job.jobId === jobId);
  if (found !== undefined) return found;
  const others = jobs.length === 0 ? 'no job' : jobs.map((job) => job.jobId).join(', ');
  throw new WattleError(
    'sample.no-such-job',
    `Job ${jobId} has no control group on node ${config.agent.node}: in ${groups.scope} there is ${others}.`,
    `Run it on one of the job's nodes while the job runs: squeue -j ${jobId} -o %N.`,
  );
}

/** A meter that may not be read is told even where another one takes its place; one that is absent only if named. */
function refusals(probes: readonly MeterProbe[], named: boolean): string[] {
  const nothing = probes.every(({ available }) => !available);
  return probes
    .filter(({ available, outcome }) => !available && (outcome !== 'absent' || named || nothing))
    .map(({ kind, reason = '', remedy = '' }) => `meter ${kind}: ${reason}. ${remedy}`);
}

function warn(line: string): void {
  process.stderr.write(`wattle: ${printable(line)}\n`);
}

async function run(session: Session, output: Output, { durationMs = Infinity }: SampleOptions): Promise<void> {
  const interruption = new AbortController();
  const interrupt = (): void => {
    interruption.abort();
  };
  const { signal } = interruption;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, interrupt);
  let timer: NodeJS.Timeout | undefined;
  try {
    session.start();
    // Beside the loop, which stands still while nobody takes what it writes.
    if (durationMs <= LONGEST_TIMER_MS) timer = setTimeout(interrupt, durationMs);
    while (!signal.aborted && !session.jobIsOver && session.elapsedMs < durationMs) {
      await pause(Math.min(DRAIN_MS, durationMs - session.elapsedMs), signal);
      session.drain(output.record);
      await output.flush(signal);
      output.show(() => session.state(), session.elapsedMs);
    }
    await session.finish(output.record);
  } finally {
    clearTimeout(timer);
    await session.stop();
    output.restore();
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, interrupt);
  }
  await output.finish(session.state());
}

/** Resolves after a time, or at once when interrupted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal.addEventListener('abort', done);
  });
}
