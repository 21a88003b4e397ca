/** A whole cluster: Slurm with Wattle on top of it. */
import { execFile } from 'node:child_process';
import { chownSync, mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ConservationAnswer, JobAnswer, JobsAnswer } from '../../src/contract/index.js';
import { createFolder, keepFolder, removeFolder, type Folder } from './folder.js';
import { programs as findPrograms, requireBuilt, type Programs } from './programs.js';
import { startSlurm, type RunAs, type Slurm } from './slurm.js';
import { until } from './waiting.js';
import { WattleDaemons } from './wattle.js';
import { DEMO_TUNING, type Tuning } from './wattle-conf.js';

const run = promisify(execFile);

export interface ClusterOptions {
  readonly progress?: (line: string) => void;
  readonly tuning?: Partial<Tuning>;
}

/** What one job is to be submitted with. */
export interface Submission {
  /** Options of sbatch, without the script. */
  readonly options: readonly string[];
  /** Shell commands, the job's script without its first line. */
  readonly script: string;
}

export class Cluster {
  readonly #folder: Folder;
  readonly #programs: Programs;
  readonly slurm: Slurm;
  readonly wattle: WattleDaemons;

  constructor(folder: Folder, programs: Programs, slurm: Slurm, wattle: WattleDaemons) {
    this.#folder = folder;
    this.#programs = programs;
    this.slurm = slurm;
    this.wattle = wattle;
  }

  get folder(): string {
    return this.#folder.path;
  }

  get nodes(): readonly string[] {
    return this.#folder.nodes;
  }

  /** Submits with sbatch and returns the job's id. */
  async submit(job: Submission, as?: RunAs): Promise<number> {
    const answer = await this.slurm.command(
      'sbatch',
      ['--parsable', '--output=/dev/null', ...job.options, `--wrap=${job.script}`],
      { ...as, ...(as === undefined ? this.asSelf() : {}) } as RunAs,
    );
    return Number.parseInt(answer, 10);
  }

  asSelf(): RunAs {
    return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, cwd: join(this.folder, 'jobs') };
  }

  /** The user `nobody`, with a folder to work in. Only root can act as another user. */
  asNobody(): RunAs {
    const nobody = 65534;
    const cwd = join(this.folder, 'jobs/nobody');
    mkdirSync(cwd, { recursive: true });
    chownSync(cwd, nobody, nobody);
    return { uid: nobody, gid: nobody, cwd };
  }

  /** State of each task of a job as sacct has it. */
  async states(jobId: number): Promise<string[]> {
    const answer = await this.slurm.command('sacct', [
      '--allocations',
      '--noheader',
      '--parsable2',
      '--format=State',
      `--jobs=${jobId}`,
    ]);
    return answer.split('\n').filter(Boolean);
  }

  /** Jobs as the controller answers them to the user who runs this process. */
  async jobs(ids?: readonly number[]): Promise<readonly JobAnswer[]> {
    const query = ids === undefined ? '' : `?jobs=${ids.join(',')}`;
    return ((await this.wattle.get(`/v1/jobs${query}`)) as JobsAnswer).jobs;
  }

  /** What the nodes used against what was booked, since the cluster began. */
  async conservation(): Promise<ConservationAnswer> {
    const query = `since=${Date.now() - 86_400_000}&until=${Date.now() + 60_000}`;
    return (await this.wattle.get(`/v1/conservation?${query}`)) as ConservationAnswer;
  }

  /** Runs `scarbon` as a person would, and returns what it prints. */
  async scarbon(args: readonly string[]): Promise<string> {
    const { stdout } = await run(process.execPath, [this.#programs.scarbon, ...args], {
      env: { ...this.slurm.env, WATTLE_CONFIG: this.wattle.configFile },
      timeout: 30_000,
      cwd: this.folder,
    });
    return stdout;
  }

  /** Leaves the cluster up when this process ends. */
  keep(): void {
    keepFolder(this.#folder);
  }

  async stop(): Promise<void> {
    await this.wattle.stop();
    await this.slurm.stop();
    await removeFolder(this.#folder.path, this.#folder.nodes);
  }
}

/**
 * Starts a cluster and returns once every node has reported to the ledger. Whatever fails on the way is removed.
 * `onFolder` hears of the folder at once, so that an interrupted start can be cleaned up too.
 */
export async function startCluster(
  options: ClusterOptions = {},
  onFolder: (remove: () => Promise<void>) => void = () => undefined,
): Promise<Cluster> {
  const progress = options.progress ?? (() => undefined);
  const programs = findPrograms();
  requireBuilt(programs);
  const folder = createFolder(4);
  const remove = (): Promise<void> => removeFolder(folder.path, folder.nodes);
  onFolder(remove);
  try {
    const user = userInfo().username;
    const slurm = await startSlurm(folder, programs, user, progress);
    const wattle = new WattleDaemons(slurm, programs, { ...DEMO_TUNING, operators: [user], ...options.tuning });
    await wattle.startController();
    progress('the controller answers');
    for (const node of folder.nodes) wattle.startAgent(node);
    const cluster = new Cluster(folder, programs, slurm, wattle);
    await until(
      async () => {
        wattle.checkAgents();
        return (await cluster.conservation()).nodes.length === folder.nodes.length ? true : undefined;
      },
      {
        withinMs: 60_000,
        onTimeout: (error) => (error instanceof Error ? error : new Error('not every agent has reported after 60 s')),
      },
    );
    progress(`${folder.nodes.length} agents report`);
    return cluster;
  } catch (error) {
    await remove();
    throw error;
  }
}
