/** Which control groups Slurm can use on this machine, and taking away those it made. */
import { mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { signal } from './processes.js';

const ROOT = '/sys/fs/cgroup';

/** `none`: Slurm follows process trees instead (proctrack/linuxproc). */
export type CgroupVersion = 'v1' | 'v2' | 'none';

function canMakeGroups(folder: string): boolean {
  const trial = join(folder, `wattle_trial_${process.pid}`);
  try {
    mkdirSync(trial);
    rmdirSync(trial);
    return true;
  } catch {
    return false;
  }
}

/** Version 2 only counts where this machine lets the root group hand its controllers down. */
function handsDownControllers(): boolean {
  try {
    writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+cpu +memory');
    return true;
  } catch {
    return false;
  }
}

/** What Slurm can really use here, found by trying. */
export function usableCgroups(): CgroupVersion {
  if (existsSync(join(ROOT, 'cgroup.controllers'))) {
    const controllers = readFileSync(join(ROOT, 'cgroup.controllers'), 'utf8').split(/\s+/);
    const complete = ['cpu', 'memory', 'cpuset'].every((controller) => controllers.includes(controller));
    return complete && canMakeGroups(ROOT) && handsDownControllers() ? 'v2' : 'none';
  }
  return ['freezer', 'cpuacct', 'memory'].every((controller) => canMakeGroups(join(ROOT, controller))) ? 'v1' : 'none';
}

function groupsOf(node: string): string[] {
  const v1 = existsSync(ROOT) ? readdirSync(ROOT).map((controller) => join(ROOT, controller, `slurm_${node}`)) : [];
  return [...v1, join(ROOT, 'system.slice', `${node}_slurmstepd.scope`)].filter((path) => existsSync(path));
}

function removeGroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(path, entry.name));
  }
  for (const pid of readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) {
    signal(Number(pid), 'SIGKILL');
  }
  try {
    rmdirSync(path);
  } catch {
    // Its last process has not gone yet: removeCgroups comes again.
  }
}

/** Ends what still runs in the control groups of these nodes and removes the groups. True once none is left. */
export function removeCgroups(nodes: readonly string[]): boolean {
  for (const path of nodes.flatMap(groupsOf)) removeGroup(path);
  return nodes.flatMap(groupsOf).length === 0;
}
