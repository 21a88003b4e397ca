/** Starts and stops Slurm with its companions: munged, MariaDB, slurmdbd, slurmctld and one slurmd per node. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, WattleError } from '../../src/contract/index.js';
import { usableCgroups } from './cgroups.js';
import type { Folder } from './folder.js';
import { endProcesses, mark, startDaemon, tailOf, type Daemon } from './processes.js';
import { PROGRAM_PATH, type Programs } from './programs.js';
import { cgroupConf, hookScript, slurmConf, slurmdbdConf, type Site } from './slurm-conf.js';
import { until } from './waiting.js';

const run = promisify(execFile);

/** Slurm on this machine: how to run its commands and how to stop it. */
export interface Slurm {
  readonly site: Site;
  /** Environment of everything that belongs to the cluster. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs a command of Slurm's and returns its standard output. */
  readonly command: (name: string, args: readonly string[], as?: RunAs) => Promise<string>;
  readonly stop: () => Promise<void>;
}

/** Another user to run a command as (only root can), and a folder that the user may enter. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
  readonly cwd: string;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            if (address === null || typeof address === 'string') reject(new Error('no port'));
            else resolve(address.port);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Waits for a daemon to answer; a daemon that ended, or does not answer in time, is shown with its log. */
async function untilReady(daemon: Daemon, withinMs: number, probe: () => Promise<boolean> | boolean): Promise<void> {
  const failed = (why: string): WattleError =>
    new WattleError(
      'demo.start',
      `${daemon.name} ${why}; the end of ${daemon.log}:\n${tailOf(daemon.log)}`,
      'If the log does not tell, run once more: a port may have been taken in between.',
    );
  await until<true>(
    async () => {
      if (daemon.ended() !== undefined) return true;
      return (await probe()) ? true : undefined;
    },
    {
      withinMs,
      onTimeout: (error) => failed(`is not ready after ${withinMs / 1000} s (${messageOf(error ?? 'no answer')})`),
    },
  );
  const ended = daemon.ended();
  if (ended !== undefined) throw failed(`ended with ${ended}`);
}

/** Starts everything and returns once all nodes are idle. On failure what was started is for the caller to remove. */
export async function startSlurm(
  folder: Folder,
  programs: Programs,
  user: string,
  progress: (line: string) => void,
): Promise<Slurm> {
  const [slurmctld = 0, slurmdbd = 0, ...slurmd] = await freePorts(2 + folder.nodes.length);
  const site: Site = {
    folder: folder.path,
    cluster: 'demo',
    host: hostname().split('.')[0] ?? 'localhost',
    user,
    cgroups: usableCgroups(),
    ports: { slurmctld, slurmdbd, slurmd },
    nodes: folder.nodes,
  };
  const env = {
    PATH: PROGRAM_PATH,
    LC_ALL: 'C.UTF-8',
    SLURM_CONF: join(folder.path, 'etc/slurm.conf'),
    ...mark(folder.path),
  };
  writeConfiguration(site, programs);

  const started: Daemon[] = [];
  const start = (name: string, program: string, args: readonly string[], more: Record<string, string> = {}): Daemon => {
    const daemon = startDaemon({
      name,
      command: programs.system(program),
      args,
      env: { ...env, ...more },
      cwd: folder.path,
      // Slurm's daemons in the foreground write to their log file and to their output: two files.
      log: join(folder.path, 'log', `${name}.out`),
    });
    started.unshift(daemon);
    return daemon;
  };
  const command = async (name: string, args: readonly string[], as?: RunAs): Promise<string> => {
    const { stdout } = await run(programs.system(name), [...args], {
      env,
      timeout: 60_000,
      maxBuffer: 64 << 20,
      cwd: folder.path,
      ...as,
    });
    return stdout;
  };

  await startMunge(site, start);
  progress('munged answers');
  await startDatabase(site, programs, env, start);
  progress('MariaDB answers');
  await startAccounting(site, start, command);
  progress('slurmdbd answers');
  const controller = start('slurmctld', 'slurmctld', ['-D', '-f', env.SLURM_CONF]);
  for (const node of site.nodes) start(`slurmd-${node}`, 'slurmd', ['-D', '-N', node, '-f', env.SLURM_CONF]);
  await untilReady(controller, 60_000, async () => {
    const states = (await command('sinfo', ['--noheader', '--Node', '--format=%N %T'])).trim().split('\n');
    return new Set(states.filter((line) => line.endsWith(' idle'))).size === site.nodes.length;
  }).catch((error: unknown) => {
    const lame = started.find((daemon) => daemon.name.startsWith('slurmd-') && daemon.ended() !== undefined);
    if (lame === undefined) throw error;
    throw new WattleError('demo.start', `${lame.name} ended:\n${tailOf(lame.log)}`, 'The log above tells why.');
  });
  progress(`slurmctld and ${site.nodes.length} slurmd answer (control groups: ${site.cgroups})`);

  const stop = async (): Promise<void> => {
    await endJobs(command);
    // In the order of need, last started first: slurmd and slurmctld, then what they write to.
    const daemons = (prefix: string): number[] => started.filter((d) => d.name.startsWith(prefix)).map((d) => d.pid);
    await endProcesses(daemons('slurmd-'), 5_000);
    for (const name of ['slurmctld', 'slurmdbd', 'mariadbd', 'munged']) await endProcesses(daemons(name), 5_000);
  };
  return { site, env, command, stop };
}

type Start = (name: string, program: string, args: readonly string[], env?: Record<string, string>) => Daemon;

function writeConfiguration(site: Site, programs: Programs): void {
  const etc = join(site.folder, 'etc');
  mkdirSync(join(site.folder, 'slurm/slurmctld'), { mode: 0o700 });
  for (const node of site.nodes) mkdirSync(join(site.folder, 'slurm', node), { mode: 0o755 });
  writeFileSync(join(etc, 'slurm.conf'), slurmConf(site), { mode: 0o644 });
  writeFileSync(join(etc, 'cgroup.conf'), cgroupConf(site), { mode: 0o644 });
  writeFileSync(join(etc, 'slurmdbd.conf'), slurmdbdConf(site), { mode: 0o600 });
  for (const kind of ['prolog', 'epilog'] as const) {
    writeFileSync(join(etc, kind), hookScript(site, programs[kind], programs.hook), { mode: 0o755 });
  }
}

async function startMunge(site: Site, start: Start): Promise<void> {
  const socket = join(site.folder, 'run/munge.socket');
  const key = join(site.folder, 'slurm/munge.key');
  writeFileSync(key, randomBytes(128), { mode: 0o600 });
  const daemon = start('munged', 'munged', [
    '--foreground',
    // Its checks of folder modes expect /run and /var; here everything is in one private folder.
    '--force',
    `--key-file=${key}`,
    `--socket=${socket}`,
    `--pid-file=${site.folder}/slurm/munged.pid`,
    `--log-file=${site.folder}/log/munged.log`,
    `--seed-file=${site.folder}/slurm/munged.seed`,
    '--num-threads=2',
  ]);
  await untilReady(daemon, 20_000, () => existsSync(socket));
}

const databaseSocket = (site: Site): string => join(site.folder, 'database/socket');

async function startDatabase(
  site: Site,
  programs: Programs,
  env: Readonly<Record<string, string>>,
  start: Start,
): Promise<void> {
  const data = join(site.folder, 'database/data');
  const log = join(site.folder, 'log/mariadb-install-db.log');
  await run(
    programs.system('mariadb-install-db'),
    ['--no-defaults', `--datadir=${data}`, `--user=${site.user}`, '--skip-test-db', '--skip-name-resolve'],
    { env: { ...env }, timeout: 120_000, maxBuffer: 16 << 20, cwd: site.folder },
  ).catch((error: unknown) => {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    writeFileSync(log, `${messageOf(error)}\n${stdout}${stderr}`);
    throw new WattleError('demo.start', `mariadb-install-db failed:\n${tailOf(log)}`, 'The log above tells why.');
  });
  const daemon = start('mariadbd', 'mariadbd', [
    '--no-defaults',
    `--datadir=${data}`,
    `--user=${site.user}`,
    `--socket=${databaseSocket(site)}`,
    `--pid-file=${site.folder}/database/pid`,
    '--skip-networking',
    '--innodb-buffer-pool-size=64M',
    '--innodb-log-file-size=16M',
    '--innodb-lock-wait-timeout=900',
    // Nothing here outlives the folder, so nothing need survive a power cut.
    '--innodb-flush-log-at-trx-commit=0',
  ]);
  await untilReady(daemon, 60_000, () => existsSync(databaseSocket(site)));
}

async function startAccounting(site: Site, start: Start, command: Slurm['command']): Promise<void> {
  const daemon = start('slurmdbd', 'slurmdbd', ['-D'], { MYSQL_UNIX_PORT: databaseSocket(site) });
  await untilReady(daemon, 60_000, async () => {
    await command('sacctmgr', ['--noheader', '--parsable2', 'show', 'cluster']);
    return true;
  });
  const register = (...words: string[]): Promise<string> => command('sacctmgr', ['--immediate', 'add', ...words]);
  await register('cluster', site.cluster);
  await register('account', 'research', `cluster=${site.cluster}`, 'description=demo', 'organization=demo');
  for (const user of new Set([site.user, 'nobody'])) {
    // root exists from the start and only needs the account; sacctmgr calls that "nothing new" with an error.
    await register('user', user, 'account=research', 'defaultaccount=research').catch(() => '');
  }
}

async function endJobs(command: Slurm['command']): Promise<void> {
  const running = async (): Promise<string[]> =>
    (await command('squeue', ['--noheader', '--format=%A'])).split('\n').filter(Boolean);
  try {
    const jobs = [...new Set(await running())];
    if (jobs.length === 0) return;
    await command('scancel', jobs);
    await until(async () => ((await running()).length === 0 ? true : undefined), {
      withinMs: 8_000,
      onTimeout: () => new Error('jobs left'),
    });
  } catch {
    // A slurmctld that does not answer is one more thing that the removal of the folder ends by force.
  }
}
