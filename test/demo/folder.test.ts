/** What a killed demo leaves is found and removed, and what is not its own is left alone. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createFolder,
  keepFolder,
  keptClusters,
  removeStaleClusters,
  stopKeptClusters,
} from '../../demo/cluster/folder.js';
import { isAlive, markedProcesses, startDaemon, mark } from '../../demo/cluster/processes.js';

let temporary = '';

// A temporary folder of its own: a demo that runs on this machine meanwhile is none of this test's business.
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'wattle-folders-'));
});
afterEach(() => {
  rmSync(temporary, { recursive: true, force: true });
});

/** Makes the folder look as if the process that owned it had died. */
function orphan(path: string): void {
  const file = join(path, 'state.json');
  const state = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...state, ownerStart: '1' }));
}

function sleeper(folder: string): number {
  const daemon = startDaemon({
    name: 'sleeper',
    command: '/bin/sh',
    // A grandchild that ignores SIGTERM, as a job may.
    args: ['-c', `trap '' TERM; sh -c "trap '' TERM; sleep 300" & wait`],
    env: { PATH: '/usr/bin:/bin', ...mark(folder) },
    cwd: '/',
    log: join(folder, 'log/sleeper'),
  });
  return daemon.pid;
}

test('a cluster whose owner died is removed with all its processes', async () => {
  const { path } = createFolder(2, temporary);
  const pid = sleeper(path);
  const bystander = spawn('sleep', ['300'], { stdio: 'ignore' });
  try {
    orphan(path);
    expect(await removeStaleClusters(temporary)).toEqual([path]);
    expect(existsSync(path)).toBe(false);
    expect(isAlive(pid)).toBe(false);
    expect(markedProcesses(path)).toEqual([]);
    expect(isAlive(bystander.pid ?? 0)).toBe(true);
  } finally {
    bystander.kill('SIGKILL');
  }
});

test('a cluster whose owner runs stays', async () => {
  const { path } = createFolder(2, temporary);
  expect(await removeStaleClusters(temporary)).toEqual([]);
  expect(existsSync(path)).toBe(true);
});

test('a cluster that was kept stays until it is stopped', async () => {
  const folder = createFolder(2, temporary);
  const pid = sleeper(folder.path);
  keepFolder(folder);
  orphan(folder.path);
  expect(await removeStaleClusters(temporary)).toEqual([]);
  expect(keptClusters(temporary)).toEqual([folder.path]);
  expect(isAlive(pid)).toBe(true);
  expect(await stopKeptClusters(temporary)).toEqual([folder.path]);
  expect(isAlive(pid)).toBe(false);
  expect(existsSync(folder.path)).toBe(false);
});

test('a link that bears the name of a folder is not followed', async () => {
  const elsewhere = join(temporary, 'precious');
  mkdirSync(elsewhere);
  symlinkSync(elsewhere, join(temporary, 'wattle-demo-trap'));
  expect(await removeStaleClusters(temporary)).toEqual([]);
  expect(existsSync(elsewhere)).toBe(true);
});

test('two clusters have no node name in common', () => {
  const names = [createFolder(4, temporary), createFolder(4, temporary)].flatMap((folder) => folder.nodes);
  expect(new Set(names).size).toBe(8);
});
