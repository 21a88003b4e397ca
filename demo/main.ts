/**
 * `npm run demo`: a real Slurm cluster on this machine, real jobs, and what each cost in joules and grams.
 * `--keep` leaves it up to play with, `--stop` ends what was left up.
 */
import { join } from 'node:path';
import { EXIT, messageOf, WattleError, type ExitCode } from '../src/contract/index.js';
import {
  removeStaleClusters,
  repositoryRoot,
  sleep,
  startCluster,
  stopKeptClusters,
  type Cluster,
} from './cluster/index.js';
import { JOB_KINDS, LEARN_IDLE_MS, submitAll, untilAllCounted, untilAllEnded } from './jobs.js';
import { conservationTable, isConserved, jobBars, styleOf } from './picture.js';

const USAGE = `npm run demo [-- OPTION]
  starts a real Slurm cluster of four nodes in one temporary folder, runs jobs on it and shows their energy and carbon
  --keep   leave the cluster up, and say how to play with it
  --stop   stop clusters that were left up
  --help   this text`;

const began = performance.now();
const seconds = (): string => `${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s`;
const say = (line: string): void => {
  console.log(line);
};
const step = (line: string): void => {
  say(`${seconds()}  ${line}`);
};

/** One line that renews itself on a terminal; in a log, a line whenever it says something new. */
function progressLine(): { show: (text: string) => void; end: () => void } {
  let last = '';
  return {
    show: (text) => {
      if (process.stdout.isTTY) process.stdout.write(`\r\u001B[K${seconds()}  ${text}`);
      else if (text !== last) step(text);
      last = text;
    },
    end: () => {
      if (process.stdout.isTTY) process.stdout.write('\n');
    },
  };
}

async function runJobs(cluster: Cluster): Promise<void> {
  step('leaving the nodes empty for a moment: the agents learn what they draw when idle');
  await sleep(LEARN_IDLE_MS);
  step(`submitting ${JOB_KINDS.length} jobs:`);
  for (const kind of JOB_KINDS) say(`          ${kind.name.padEnd(12)} ${kind.about}`);
  const jobs = await submitAll(cluster);
  const line = progressLine();
  await untilAllEnded(cluster, jobs, ({ waiting, running, done }) => {
    line.show(`jobs and array tasks: ${done} done, ${running} running, ${waiting} waiting`);
  });
  line.end();
  await untilAllCounted(cluster, jobs);
  step('all jobs ended and counted');

  say('\n$ scarbon -X --total');
  say((await cluster.scarbon(['-X', '--total'])).trimEnd());
  say('\nEnergy of each job (declared power of a model, not counters: see Quality)\n');
  const answers = await cluster.jobs(jobs.map((job) => job.id));
  say(jobBars(answers, styleOf(process.stdout, process.env)));
}

async function showConservation(cluster: Cluster): Promise<boolean> {
  const answer = await cluster.conservation();
  say('\nWhere every joule went\n');
  say(conservationTable(answer));
  const conserved = isConserved(answer);
  say(
    conserved ? '\n  Conserved: nothing lost, nothing invented.\n' : '\n  NOT CONSERVED: this is a fault of Wattle.\n',
  );
  return conserved;
}

function explainKept(cluster: Cluster): void {
  const root = repositoryRoot();
  say('The cluster stays up. In this or any other terminal:\n');
  say(`  export SLURM_CONF=${cluster.slurm.env['SLURM_CONF'] ?? ''} WATTLE_CONFIG=${cluster.wattle.configFile}`);
  say(`  sbatch --chdir=${cluster.folder}/jobs --wrap="timeout 20 sh -c 'while :; do :; done'; true"`);
  say(`  node ${join(root, 'dist/bin/scarbon.js')}\n`);
  say(`Logs: ${cluster.folder}/log   Stop it: npm run demo -- --stop`);
}

/** Aborted by Ctrl-C or SIGTERM: from then on everything fails because it is being removed, and no one wants to read it. */
const interruption = new AbortController();

/** Runs the demo, with a clean-up that Ctrl-C and SIGTERM reach too. */
async function demo(keep: boolean): Promise<ExitCode> {
  for (const folder of await removeStaleClusters()) step(`removed what an earlier run left: ${folder}`);
  let remove: (() => Promise<void>) | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    interruption.abort();
    process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM');
    say(`\n${name}: stopping and removing everything (again to leave at once)`);
    void (remove?.() ?? Promise.resolve()).finally(() => process.exit(name === 'SIGINT' ? 130 : 143));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);

  step('starting a cluster of four nodes in two partitions');
  const cluster = await startCluster({ progress: step }, (removeFolder) => (remove = removeFolder));
  try {
    step(`cluster ready in ${cluster.folder}`);
    await runJobs(cluster);
    const conserved = await showConservation(cluster);
    if (keep) {
      cluster.keep();
      explainKept(cluster);
    }
    return conserved ? EXIT.done : EXIT.failed;
  } catch (error) {
    keep = false;
    throw error;
  } finally {
    if (!keep && !interruption.signal.aborted) {
      await cluster.stop();
      step('everything stopped and removed');
    }
  }
}

async function main(args: readonly string[]): Promise<ExitCode> {
  const unknown = args.find((arg) => !['--keep', '--stop', '--help'].includes(arg));
  if (unknown !== undefined) {
    console.error(`demo: unknown option ${unknown}\n${USAGE}`);
    return EXIT.usage;
  }
  if (args.includes('--help')) {
    say(USAGE);
    return EXIT.done;
  }
  if (args.includes('--stop')) {
    const stopped = await stopKeptClusters();
    say(stopped.length > 0 ? `stopped and removed: ${stopped.join(', ')}` : 'no cluster was left up');
    return EXIT.done;
  }
  return demo(args.includes('--keep'));
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!interruption.signal.aborted) {
    console.error(`demo: ${messageOf(error)}`);
    if (error instanceof WattleError) console.error(error.remedy);
  }
  process.exitCode = EXIT.failed;
}
