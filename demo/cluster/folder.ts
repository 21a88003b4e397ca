/** The one temporary folder of a cluster, and what its state file says to the runs that come after. */
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, chmodSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { writeFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { removeCgroups } from './cgroups.js';
import { endProcesses, isAlive, markedProcesses, startTime } from './processes.js';
import { sleep } from './waiting.js';

const PREFIX = 'wattle-demo-';
const STATE_FILE = 'state.json';

/** What is inside, and with which mode: a job's user reads etc, enters run and jobs, and runs scripts below slurm. */
const FOLDERS: Readonly<Record<string, number>> = {
  etc: 0o755,
  run: 0o755,
  jobs: 0o755,
  slurm: 0o711,
  log: 0o700,
  events: 0o700,
  wattle: 0o700,
  database: 0o700,
};

const stateSchema = v.object({
  /** The process that runs the cluster, and when that process began: a later process may get the same id. */
  ownerPid: v.number(),
  ownerStart: v.string(),
  /** Left up on purpose: only `--stop` ends it. */
  kept: v.boolean(),
  nodes: v.array(v.pipe(v.string(), v.regex(/^[a-z0-9]+$/))),
});
type State = v.InferOutput<typeof stateSchema>;

/** Unix sockets live in the folder, and their paths hold 107 bytes; Slurm's files know no quoting. */
function temporaryFolder(): string {
  return /^\/[\w./-]{1,40}$/.test(tmpdir()) ? tmpdir() : '/tmp';
}

export interface Folder {
  readonly path: string;
  /** Node names, unlike those of any other cluster here: Slurm's control groups are named by node. */
  readonly nodes: readonly string[];
}

/** A fresh folder that others may pass through (a job's user needs slurm.conf and the MUNGE socket), not list. */
export function createFolder(nodeCount: number, parent = temporaryFolder()): Folder {
  const path = mkdtempSync(join(parent, PREFIX));
  chmodSync(path, 0o711);
  const tag = randomBytes(2).toString('hex');
  const nodes = Array.from({ length: nodeCount }, (_, index) => `w${tag}n${index + 1}`);
  for (const [inner, mode] of Object.entries(FOLDERS)) {
    mkdirSync(join(path, inner));
    chmodSync(join(path, inner), mode);
  }
  writeState(path, { ownerPid: process.pid, ownerStart: startTime(process.pid) ?? '', kept: false, nodes });
  return { path, nodes };
}

function writeState(path: string, state: State): void {
  const file = join(path, STATE_FILE);
  writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function readState(path: string): State | undefined {
  try {
    return v.parse(stateSchema, JSON.parse(readFileSync(join(path, STATE_FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Folders of earlier runs of this user. Anyone may make a folder in /tmp, so only real folders of our own count. */
function folders(parent: string): string[] {
  return readdirSync(parent)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => join(parent, name))
    .filter((path) => {
      const status = lstatSync(path, { throwIfNoEntry: false });
      return status?.isDirectory() === true && status.uid === process.getuid?.() && (status.mode & 0o022) === 0;
    });
}

/** Marks the cluster as left up on purpose. */
export function keepFolder(folder: Folder): void {
  const state = readState(folder.path);
  if (state !== undefined) writeState(folder.path, { ...state, kept: true });
}

/** Ends every process of the cluster by force, removes its control groups and the folder. */
export async function removeFolder(path: string, nodes: readonly string[]): Promise<void> {
  const deadline = performance.now() + 10_000;
  await endProcesses(markedProcesses(path), 2_000);
  while ((!removeCgroups(nodes) || markedProcesses(path).length > 0) && performance.now() < deadline) {
    await endProcesses(markedProcesses(path), 0);
    await sleep(100);
  }
  rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Removes what runs left that did not end by themselves. Returns the folders removed. */
export async function removeStaleClusters(parent = temporaryFolder()): Promise<string[]> {
  const removed: string[] = [];
  for (const path of folders(parent)) {
    const state = readState(path);
    // Without a state file it is a run that is just beginning, or one that died in its first moments.
    if (state === undefined && existsSync(path) && Date.now() - lstatSync(path).mtimeMs < 60_000) continue;
    const ownerRuns = state !== undefined && isAlive(state.ownerPid) && startTime(state.ownerPid) === state.ownerStart;
    if (ownerRuns || state?.kept === true) continue;
    await removeFolder(path, state?.nodes ?? []);
    removed.push(path);
  }
  return removed;
}

/** Folders of clusters that were left up on purpose. */
export function keptClusters(parent = temporaryFolder()): string[] {
  return folders(parent).filter((path) => readState(path)?.kept === true);
}

/** Stops the clusters that were left up on purpose. Returns the folders removed. */
export async function stopKeptClusters(parent = temporaryFolder()): Promise<string[]> {
  const kept = keptClusters(parent);
  for (const path of kept) await removeFolder(path, readState(path)?.nodes ?? []);
  return kept;
}
