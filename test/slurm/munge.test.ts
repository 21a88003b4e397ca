import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MAX_BATCH_BYTES } from '../../src/contract/index.js';
import { Munge } from '../../src/slurm/index.js';

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('against a real munged', () => {
  let folder: string;
  let munge: Munge;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'wattle-munge-'));
    // munged refuses a socket in a folder that others cannot enter, and a key that others can read.
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, 'key'), randomBytes(128), { mode: 0o600 });
    const at = (name: string): string => join(folder, name);
    execFileSync('/usr/sbin/munged', [
      '--force',
      `--key-file=${at('key')}`,
      `--socket=${at('socket')}`,
      `--pid-file=${at('pid')}`,
      `--log-file=${at('log')}`,
      `--seed-file=${at('seed')}`,
    ]);
    munge = new Munge({ socket: at('socket') });
  });

  afterAll(async () => {
    const munged = Number(readFileSync(join(folder, 'pid'), 'utf8'));
    process.kill(munged);
    // It writes its seed and removes its own files until it has ended.
    for (let tries = 0; tries < 250 && isAlive(munged); tries++) await sleep(20);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  });

  test('what was sealed comes out, with the uid of who sealed it', async () => {
    const opened = await munge.open(await munge.seal(Buffer.from('payload')));
    expect(Buffer.from(opened.payload).toString()).toBe('payload');
    expect(opened.uid).toBe(process.getuid?.());
  });

  test('an empty payload is a payload', async () => {
    expect((await munge.open(await munge.seal(new Uint8Array()))).payload).toHaveLength(0);
  });

  test('the largest batch that agents make fits, also where nothing can be compressed', async () => {
    const payload = randomBytes(MAX_BATCH_BYTES);
    const opened = await munge.open(await munge.seal(payload));
    expect(Buffer.compare(opened.payload, payload)).toBe(0);
  });

  test('a credential opens once', async () => {
    const credential = await munge.seal(Buffer.from('once'));
    await munge.open(credential);
    await expect(munge.open(credential)).rejects.toMatchObject({ code: 'munge.replayed' });
  });

  test('rubbish, a changed credential and one that is too large are refused by name', async () => {
    await expect(munge.open('rubbish')).rejects.toMatchObject({ code: 'munge.invalid' });
    const credential = await munge.seal(Buffer.from('genuine'));
    const middle = credential.length - 20;
    const other = credential[middle] === 'A' ? 'B' : 'A';
    const forged = credential.slice(0, middle) + other + credential.slice(middle + 1);
    await expect(munge.open(forged)).rejects.toMatchObject({ code: 'munge.invalid' });
    await expect(munge.seal(Buffer.alloc(3 << 20))).rejects.toMatchObject({ code: 'munge.too-large' });
  });

  test('many at once do not get into each other', async () => {
    const texts = Array.from({ length: 40 }, (_, index) => `text ${index}`);
    const opened = await Promise.all(texts.map(async (text) => munge.open(await munge.seal(Buffer.from(text)))));
    expect(opened.map(({ payload }) => Buffer.from(payload).toString())).toEqual(texts);
  });
});

test('without a munged the socket is named', async () => {
  await expect(new Munge({ socket: '/nowhere/munge.socket' }).seal(Buffer.from('x'))).rejects.toMatchObject({
    code: 'munge.unreachable',
    message: expect.stringContaining('/nowhere/munge.socket'),
  });
});
