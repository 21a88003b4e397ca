/** A PostgreSQL of our own for the tests: a fresh cluster in a temporary directory, on a unix socket only. */
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = '/usr/lib/postgresql';

export interface TestPostgres {
  /** A new, empty database of this server. */
  createDatabase(): Promise<string>;
  /** Stops the server at once, as a crash would, and starts it again. */
  crashAndRestart(): Promise<void>;
  stop(): Promise<void>;
}

async function binDir(): Promise<string> {
  const versions = existsSync(ROOT) ? await readdir(ROOT) : [];
  const newest = versions.filter((v) => /^\d+$/.test(v) && Number(v) >= 14).sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) {
    throw new Error(`the tests need PostgreSQL 14+ in ${ROOT} (Debian: apt-get install postgresql-15)`);
  }
  return join(ROOT, newest, 'bin');
}

/** PostgreSQL refuses to run as root: there, everything is done as the user that Debian's package made. */
async function identity(): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {};
  const id = async (flag: string): Promise<number> => Number((await run('id', [flag, 'postgres'])).stdout);
  return { uid: await id('-u'), gid: await id('-g') };
}

export async function startPostgres(): Promise<TestPostgres> {
  const bin = await binDir();
  const who = await identity();
  const folder = await mkdtemp(join(tmpdir(), 'wattle-test-pg-'));
  if (who.uid !== undefined && who.gid !== undefined) await chown(folder, who.uid, who.gid);
  const data = join(folder, 'data');
  const asPostgres = { ...who, cwd: folder, env: { ...process.env, LC_ALL: 'C' } };
  const pgCtl = (...args: string[]) => run(join(bin, 'pg_ctl'), ['-D', data, '-w', ...args], asPostgres);
  const settings = `-c listen_addresses= -c unix_socket_directories=${folder} -c max_connections=40`;
  const start = () => pgCtl('start', '-o', settings, '-l', join(folder, 'log'));
  await run(join(bin, 'initdb'), ['-D', data, '-U', 'wattle', '-A', 'trust', '-E', 'UTF8', '--no-sync'], asPostgres);
  await start();
  let databases = 0;
  return {
    async createDatabase() {
      const name = `wattle_${++databases}`;
      await run(join(bin, 'createdb'), ['-h', folder, '-U', 'wattle', name], asPostgres);
      return `postgres://wattle@/${name}?host=${encodeURIComponent(folder)}`;
    },
    async crashAndRestart() {
      await pgCtl('stop', '-m', 'immediate');
      await start();
    },
    async stop() {
      await pgCtl('stop', '-m', 'immediate');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
