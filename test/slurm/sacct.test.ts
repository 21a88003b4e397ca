import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Sacct, parseOperators, parseSacct } from '../../src/slurm/index.js';

const row = (...fields: string[]): string => fields.join('\x1f');
const job = (raw: string, id: string, state: string, name: string): string =>
  row(
    raw,
    id,
    'ann',
    '1000',
    'phys',
    'green',
    'normal',
    state,
    '100',
    '110',
    '120',
    '10',
    '4',
    '2',
    'n[1-2]',
    '0:0',
    name,
  );

test('allocations, steps, arrays and requeued runs', () => {
  const jobs = parseSacct(
    [
      job('15', '12_3', 'COMPLETED', 'a|b'),
      job('15.batch', '12_3.batch', 'COMPLETED', 'batch'),
      job('16', '16', 'NODE_FAIL', 'x'),
      job('16', '16', 'CANCELLED by 1000', 'x'),
    ].join('\n'),
    '\x1f',
  );
  expect(jobs.map((facts) => [facts.jobId, facts.jobIdRaw, facts.restartCount, facts.state])).toEqual([
    ['12_3', 15, 0, 'COMPLETED'],
    ['16', 16, 0, 'NODE_FAIL'],
    ['16', 16, 1, 'CANCELLED'],
  ]);
  expect(jobs[0]).toMatchObject({ name: 'a|b', submitMs: 100_000, startMs: 110_000, elapsedMs: 10_000, uid: 1000 });
  expect(jobs[0]?.steps).toMatchObject([{ step: 'batch', endMs: 120_000 }]);
});

test('names with delimiters and line breaks, times that are not known, rows cut short', () => {
  const unknown = row(
    '7',
    '7',
    'ann',
    '',
    'a',
    'p',
    'q',
    'PENDING',
    '5',
    'Unknown',
    'Unknown',
    '0',
    '1',
    '1',
    'None assigned',
    '0:0',
  );
  const jobs = parseSacct(`${unknown}\x1fevil\x1fname\nsecond line\n123\n8\x1fcut\n`, '\x1f');
  expect(jobs).toHaveLength(1);
  expect(jobs[0]).toMatchObject({
    name: 'evil\x1fname\nsecond line\n123',
    startMs: null,
    endMs: null,
    nodelist: '',
    uid: null,
  });
});

test('operators', () => {
  expect(parseOperators('root|Administrator\nann|None\nbob|Operator\n')).toEqual(new Set(['root', 'bob']));
});

async function fakeBin(script: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'wattle-bin-'));
  await writeFile(join(dir, 'sacct'), `#!/bin/sh\n${script}\n`);
  await chmod(join(dir, 'sacct'), 0o755);
  return dir;
}

test('a missing, failing or hanging sacct is named with what to do', async () => {
  await expect(new Sacct({ binDir: '/nowhere' }).jobs()).rejects.toMatchObject({ code: 'slurm.missing' });
  await expect(new Sacct({ binDir: await fakeBin('echo no dbd >&2; exit 1') }).jobs()).rejects.toMatchObject({
    code: 'slurm.failed',
    message: expect.stringContaining('no dbd'),
  });
  await expect(new Sacct({ binDir: await fakeBin('exec sleep 60'), timeoutMs: 100 }).jobs()).rejects.toMatchObject({
    code: 'slurm.timeout',
  });
});

test('a job name cannot hold the row of another job: each call has a delimiter of its own', async () => {
  const script = 'for a in "$@"; do case $a in --delimiter=*) echo "${a#--delimiter=}" >&2;; esac; done; exit 1';
  const sacct = new Sacct({ binDir: await fakeBin(script) });
  const used = async (): Promise<string> => {
    const error: unknown = await sacct.jobs().catch((thrown: unknown) => thrown);
    return /::[-0-9a-f]{36}::/.exec(String(error))?.[0] ?? '';
  };
  const first = await used();
  expect(first).not.toBe('');
  expect(await used()).not.toBe(first);
});

test('times go to sacct as UTC, and nothing goes through a shell', async () => {
  const binDir = await fakeBin(
    'for a in "$@"; do echo "$a" >&2; done; echo "$TZ $SLURM_TIME_FORMAT $SLURM_CONF" >&2; exit 1',
  );
  const call = new Sacct({ binDir, conf: '/etc/slurm/slurm.conf' }).jobs({ sinceMs: 0, jobIds: [1, 2] });
  await expect(call).rejects.toMatchObject({ message: expect.stringContaining('UTC %s /etc/slurm/slurm.conf') });
  await expect(call).rejects.toMatchObject({ message: expect.stringContaining('--jobs=1,2') });
});
