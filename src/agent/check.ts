/** What an agent needs of this node, looked at before it starts: `wattle agent --check` and `wattle doctor`. */
import { constants } from 'node:fs';
import { access, lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '../contract/index.js';
import type { AgentOptions } from './agent.js';
import { SlurmCgroups } from './cgroups.js';

export interface Finding {
  readonly what: string;
  /** `info`: neither good nor bad. `warn`: the agent runs, but knows less. */
  readonly state: 'ok' | 'info' | 'warn' | 'fail';
  readonly found: string;
  /** Only where something is to be done. */
  readonly remedy?: string;
}

/** The folder or, where it is still to be made, the nearest one above it. */
async function nearestExisting(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    try {
      await lstat(at);
      return at;
    } catch {
      if (at === dirname(at)) return at;
    }
  }
}

async function writableFolder(what: string, path: string): Promise<Finding> {
  const at = await nearestExisting(path);
  try {
    const { mode, uid } = await lstat(at);
    await access(at, constants.W_OK | constants.X_OK);
    // Root may write it now, by a privilege that the agent gives up.
    if (uid !== process.geteuid?.() && (mode & 0o022) === 0) {
      return {
        what,
        state: 'fail',
        found: `${at} may be written by its owner alone, user ${uid}, who is not the agent's`,
        remedy: `chown ${process.geteuid?.() ?? 'root'} ${at}`,
      };
    }
    if (at === path && (mode & 0o002) !== 0) {
      return {
        what,
        state: 'fail',
        found: `${path} may be written by everybody: any user could forge joules`,
        remedy: `chmod o-w ${path}`,
      };
    }
    return { what, state: 'ok', found: at === path ? path : `${path} (will be made in ${at})` };
  } catch (error) {
    return {
      what,
      state: 'fail',
      found: messageOf(error),
      remedy: `run the agent as root or as the owner of ${at}`,
    };
  }
}

function controlGroups(options: AgentOptions): Finding {
  const what = 'CPU time per job';
  const groups = new SlurmCgroups(options.cgroupRoot, options.node, options.procfs);
  if (groups.exists) {
    const { jobs } = groups.scan();
    return { what, state: 'ok', found: `cgroup v${groups.version}, ${groups.scope}, ${jobs.length} jobs now` };
  }
  return {
    what,
    state: 'warn',
    found: `cgroup v${groups.version}, but no ${groups.scope}`,
    remedy:
      'it appears with slurmd or with the first job where slurm.conf has ProctrackType=proctrack/cgroup and ' +
      'JobAcctGatherType=jobacct_gather/cgroup; if not, check [agent] node against the NodeName in slurm.conf',
  };
}

async function sealing(seal: (payload: Uint8Array) => Promise<string>): Promise<Finding> {
  const what = 'MUNGE';
  try {
    await seal(Buffer.from('check'));
    return { what, state: 'ok', found: 'munged seals' };
  } catch (error) {
    const remedy = error instanceof Error && 'remedy' in error ? String(error.remedy) : 'start munged';
    return { what, state: 'fail', found: messageOf(error), remedy };
  }
}

export async function checkAgent(
  options: AgentOptions,
  seal: (payload: Uint8Array) => Promise<string>,
): Promise<Finding[]> {
  return [
    await writableFolder('state and spool', options.stateDir),
    await writableFolder('job events', join(options.eventDir, options.node)),
    controlGroups(options),
    await sealing(seal),
  ];
}
