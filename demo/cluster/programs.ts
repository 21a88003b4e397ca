/** Where the programs are that a cluster is made of: Debian's and our own. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WattleError } from '../../src/contract/index.js';

/** Debian package of each program that must be there. */
const PACKAGES: Readonly<Record<string, string>> = {
  munged: 'munge',
  slurmctld: 'slurmctld',
  slurmd: 'slurmd',
  slurmdbd: 'slurmdbd',
  sbatch: 'slurm-client',
  mariadbd: 'mariadb-server-core',
  'mariadb-install-db': 'mariadb-server-core',
  my_print_defaults: 'mariadb-client-core',
};

const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** PATH of everything that a cluster starts: the caller's, and the system folders that a user's PATH lacks. */
export const PROGRAM_PATH = [...new Set([...(process.env['PATH'] ?? '').split(':'), ...SYSTEM_FOLDERS])]
  .filter((folder) => folder.startsWith('/'))
  .join(':');

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function find(program: string): string | undefined {
  return PROGRAM_PATH.split(':')
    .map((folder) => join(folder, program))
    .find(isExecutable);
}

/** The folder that holds Wattle's package.json, from wherever this module was bundled to. */
export function repositoryRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== '/'; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest)) {
      const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: unknown };
      if (name === 'wattle') return folder;
    }
  }
  throw new WattleError('demo.no-root', 'cannot find the folder with Wattle’s package.json', 'Run from a checkout.');
}

export interface Programs {
  /** Absolute path of a program of Slurm, MUNGE or MariaDB. */
  readonly system: (name: string) => string;
  readonly wattle: string;
  readonly scarbon: string;
  readonly hook: string;
  readonly prolog: string;
  readonly epilog: string;
}

/** All programs, or a WattleError that names every missing one and what brings it. */
export function programs(): Programs {
  const missing = Object.keys(PACKAGES).filter((program) => find(program) === undefined);
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((program) => PACKAGES[program]))].join(' ');
    throw new WattleError(
      'demo.missing-program',
      `a real cluster needs ${missing.join(', ')}, not found in ${PROGRAM_PATH}`,
      `Install: apt-get install --no-install-recommends ${packages}`,
    );
  }
  const root = repositoryRoot();
  const own = {
    wattle: join(root, 'dist/bin/wattle.js'),
    scarbon: join(root, 'dist/bin/scarbon.js'),
    hook: join(root, 'build/Release/wattle-hook'),
    prolog: join(root, 'slurm/prolog'),
    epilog: join(root, 'slurm/epilog'),
  };
  return {
    ...own,
    system: (name) => {
      const path = find(name);
      if (path === undefined) throw new WattleError('demo.missing-program', `${name} is gone`, 'Install it again.');
      return path;
    },
  };
}

/** @throws WattleError naming what `npm run build` has not made yet. */
export function requireBuilt({ wattle, scarbon, hook }: Programs): void {
  const unbuilt = [wattle, scarbon, hook].filter((path) => !existsSync(path));
  if (unbuilt.length > 0) {
    throw new WattleError('demo.not-built', `not built yet: ${unbuilt.join(', ')}`, 'Run: npm run build');
  }
}
