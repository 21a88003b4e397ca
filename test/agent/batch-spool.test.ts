import { mkdir, mkdtemp, readFile, readdir, unlink, writeFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { BatchSpool } from '../../src/agent/batch-spool.js';

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'wattle-spool-'));

test('batches come out in order, also after a restart, and stay until acknowledged', async () => {
  const path = await folder();
  const first = new BatchSpool(path, 1e6);
  await first.open();
  await first.add(['one'], 1000);
  await first.add(['two'], 1000);
  expect((await first.oldest())?.json).toBe('one');

  const again = new BatchSpool(path, 1e6);
  await again.open();
  const oldest = await again.oldest();
  expect(oldest?.json).toBe('one');
  await again.acknowledge(oldest?.name ?? '');
  expect((await again.oldest())?.json).toBe('two');
  expect(again.counts).toEqual({ files: 1, bytes: 3, held: 0, dropped: 0 });
});

test('a batch that was being written when the agent died is not taken for one', async () => {
  const path = await folder();
  await writeFile(join(path, '00000000000000001000-0000000000.json.new'), '{"half":');
  const spool = new BatchSpool(path, 1e6);
  await spool.open();
  expect(await spool.oldest()).toBeNull();
  expect(await readdir(path)).toEqual(['refused']);
});

test('a full spool gives up its oldest batches and counts them', async () => {
  const spool = new BatchSpool(await folder(), 10);
  await spool.open();
  for (const json of ['aaaa', 'bbbb', 'cccc']) await spool.add([json], 1000);
  expect((await spool.oldest())?.json).toBe('bbbb');
  expect(spool.counts).toEqual({ files: 2, bytes: 8, held: 0, dropped: 1 });
});

test('a refused batch is kept apart and does not block the next', async () => {
  const spool = new BatchSpool(await folder(), 1e6);
  await spool.open();
  await spool.add(['bad'], 1000);
  await spool.add(['good'], 1000);
  const kept = await spool.refuse((await spool.oldest())?.name ?? '');
  expect(await readFile(kept, 'utf8')).toBe('bad');
  expect((await spool.oldest())?.json).toBe('good');
});

test('after a step of the clock back no batch takes the name of another', async () => {
  const path = await folder();
  for (const json of ['one', 'two']) {
    const spool = new BatchSpool(path, 1e6);
    await spool.open();
    await spool.add([json], 1000);
  }
  expect((await readdir(path)).filter((name) => name.endsWith('.json'))).toHaveLength(2);
});

test('a batch that was taken away by hand does not hold up the others', async () => {
  const path = await folder();
  const spool = new BatchSpool(path, 1e6);
  await spool.open();
  await spool.add(['gone'], 1000);
  await spool.add(['good'], 1000);
  await unlink(join(path, (await spool.oldest())?.name ?? ''));
  expect((await spool.oldest())?.json).toBe('good');
  expect(spool.counts).toEqual({ files: 1, bytes: 4, held: 0, dropped: 0 });
});

test('what the disk does not take is held in memory, can be sent from there, and goes to disk when it can', async () => {
  const path = await folder();
  const spool = new BatchSpool(path, 1e6);
  await spool.open();
  await rm(path, { recursive: true });
  await expect(spool.add(['one', 'two'], 1000)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(spool.counts).toMatchObject({ files: 0, held: 2 });

  const first = await spool.oldest();
  expect(first?.json).toBe('one');
  await spool.acknowledge(first?.name ?? '');
  await mkdir(path);
  await spool.add([], 2000);
  expect(spool.counts).toMatchObject({ files: 1, held: 0, dropped: 0 });
  expect((await spool.oldest())?.json).toBe('two');
});
