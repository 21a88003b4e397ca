import { mkdtemp, readdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EventSpool, parseEvent } from '../../src/agent/events.js';

export const eventText = (fields: Record<string, string>): string =>
  ['wattle-event 1', ...Object.entries(fields).map(([key, value]) => `${key}=${value}`), 'end', ''].join('\0');

const prolog = {
  kind: 'prolog',
  mono_ns: '123456789',
  real_ns: '1763686800123456789',
  boot_id: 'b',
  SLURM_JOB_ID: '42',
  SLURM_JOB_UID: '1000',
  SLURM_JOB_USER: 'ann',
  SLURM_JOB_PARTITION: 'green',
  SLURM_JOB_NODELIST: 'n[1-3]',
  SLURM_JOB_CPUS_PER_NODE: '4(x2),1',
  SLURM_JOB_RESTART_COUNT: '2',
  SLURM_JOB_GPUS: '0,1',
};

test('a prolog event tells job, time and what the job holds on this node', () => {
  expect(parseEvent(Buffer.from(eventText(prolog)), 'n3')).toMatchObject({
    kind: 'prolog',
    monoNs: 123456789,
    jobId: 42,
    restartCount: 2,
    uid: 1000,
    user: 'ann',
    partition: 'green',
    cores: 1,
    gpus: 2,
  });
});

test('a core count that cannot be read leaves the event good', () => {
  const odd = { ...prolog, SLURM_JOB_CPUS_PER_NODE: '4(x', SLURM_JOB_NODELIST: 'n[1-' };
  expect(parseEvent(Buffer.from(eventText(odd)), 'n1')).toMatchObject({ jobId: 42, cores: undefined });
});

test('a job on no core at all is no job that a share could be reckoned for', () => {
  const none = { ...prolog, SLURM_JOB_NODELIST: 'n1', SLURM_JOB_CPUS_PER_NODE: '0' };
  expect(parseEvent(Buffer.from(eventText(none)), 'n1').cores).toBeUndefined();
});

test('events come in the order of their monotonic time, whatever the wall clock in their names says', async () => {
  const root = await mkdtemp(join(tmpdir(), 'wattle-events-'));
  const spool = new EventSpool(root, 'n1', () => undefined);
  await spool.prepare();
  const put = (name: string, fields: object) => writeFile(join(root, 'n1', name), eventText({ ...prolog, ...fields }));
  await put('00000000000000000001-1.event', { kind: 'epilog', mono_ns: '200' });
  await put('00000000000000000002-1.event', { mono_ns: '100' });
  expect((await spool.read(new Set())).map(({ event }) => event.kind)).toEqual(['prolog', 'epilog']);
});

test.each([
  ['', 'begin'],
  ['wattle-event 2\0end\0', 'begin'],
  [eventText(prolog).slice(0, -5), 'cut short'],
  [eventText({ ...prolog, kind: 'boot' }), 'kind'],
  [eventText({ ...prolog, SLURM_JOB_ID: '-1' }), 'SLURM_JOB_ID'],
  [eventText({ ...prolog, mono_ns: 'soon' }), 'mono_ns'],
])('a bad event says what is wrong with it (%#)', (text, why) => {
  expect(() => parseEvent(Buffer.from(text), 'n1')).toThrow(why);
});

test('no bytes whatever make the parser do anything but parse or throw an Error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, head) => {
      const whole = Buffer.concat([Buffer.from(head ? 'wattle-event 1\0kind=prolog\0' : ''), bytes]);
      try {
        parseEvent(whole, 'n1');
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
  );
});

test('the spool gives events in order, keeps them until removed, and sets bad files and links aside', async () => {
  const root = await mkdtemp(join(tmpdir(), 'wattle-events-'));
  const bad: string[] = [];
  const spool = new EventSpool(root, 'n1', (file, why) => bad.push(`${file}: ${why}`));
  await spool.prepare();
  const put = (name: string, text: string) => writeFile(join(root, 'n1', name), text);
  await put('00000000000000000002-1.event', eventText({ ...prolog, kind: 'epilog' }));
  await put('00000000000000000001-9.event', eventText(prolog));
  await put('.00000000000000000003-1.event', 'half');
  await put('00000000000000000004-1.event', 'garbage');
  await put('00000000000000000005-1.event', 'x'.repeat(200_000));
  await symlink('/etc/passwd', join(root, 'n1', '00000000000000000006-1.event'));

  const events = await spool.read(new Set());
  expect(events.map(({ event }) => event.kind)).toEqual(['prolog', 'epilog']);
  expect(bad).toHaveLength(3);
  expect((await readdir(join(root, 'n1', 'bad'))).length).toBe(3);

  await spool.remove(events[0]?.file ?? '');
  expect((await spool.read(new Set())).map(({ event }) => event.kind)).toEqual(['epilog']);
  expect(await spool.read(new Set([events[1]?.file ?? '']))).toEqual([]);
});
