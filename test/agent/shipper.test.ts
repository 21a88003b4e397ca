import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { WattleError } from '../../src/contract/index.js';
import { BatchSpool } from '../../src/agent/batch-spool.js';
import { Shipper, type ShipperState } from '../../src/agent/shipper.js';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

/** A controller that answers with the next status of the list, the last one for ever. */
async function controller(statuses: number[], answer = '{}') {
  const path = join(await mkdtemp(join(tmpdir(), 'wattle-ship-')), 'c.sock');
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const status = statuses.length > 1 ? statuses.shift() : statuses[0];
      if (status === 0) return request.socket.destroy();
      bodies.push(`${status}:${body}`);
      return response.writeHead(status ?? 500).end(answer);
    });
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { address: { kind: 'unix', path } as const, bodies };
}

async function shipper(address: { kind: 'unix'; path: string }, batches: string[]) {
  const spool = new BatchSpool(await mkdtemp(join(tmpdir(), 'wattle-ship-')), 1e6);
  await spool.open();
  for (const json of batches) await spool.add([json], 1000);
  const states: ShipperState[] = [];
  const overdue: number[] = [];
  let sealed = 0;
  const ship = new Shipper(spool, {
    controller: address,
    seal: (payload) => Promise.resolve(`${++sealed}/${Buffer.from(payload).toString()}`),
    onState: (state) => states.push(state),
    onOverdueJobs: (jobIds) => overdue.push(...jobIds),
  });
  return { spool, ship, states, overdue };
}

const until = async (condition: () => boolean): Promise<void> => {
  for (let i = 0; i < 200 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(condition()).toBe(true);
};

test('batches are sent in order, each sealed afresh, and forgotten when acknowledged', async () => {
  const { address, bodies } = await controller([200]);
  const { spool, ship } = await shipper(address, ['one', 'two']);
  ship.wake();
  await until(() => spool.counts.files === 0);
  expect(bodies).toEqual(['200:1/one', '200:2/two']);
});

test('an error, a cut connection and an overload are tried again with a new seal', async () => {
  const { address, bodies } = await controller([503, 0, 429, 200]);
  const { spool, ship, states } = await shipper(address, ['one']);
  ship.wake();
  await until(() => spool.counts.files === 0);
  expect(bodies.at(-1)).toBe('200:4/one');
  expect(states.filter((state) => state.kind === 'waiting')).toHaveLength(3);
});

test('a batch that can never be taken is kept apart and the next one goes', async () => {
  const { address, bodies } = await controller([400, 200]);
  const { spool, ship, states } = await shipper(address, ['bad', 'good']);
  ship.wake();
  await until(() => spool.counts.files === 0);
  expect(bodies).toEqual(['400:1/bad', '200:2/good']);
  expect(states.map((state) => state.kind)).toEqual(['refused', 'sent']);
});

test('without a controller stop returns within its grace and the batches stay', async () => {
  const { spool, ship, states } = await shipper({ kind: 'unix', path: '/nowhere/c.sock' }, ['one']);
  ship.wake();
  await until(() => states.length > 0);
  await ship.stop(500);
  expect(spool.counts.files).toBe(1);
});

test.each([
  ['{"status":"booked","sequence":0,"overdueJobs":[7,8]}', [7, 8]],
  ['{"overdueJobs":["; rm -rf /"]}', []],
  ['not JSON', []],
])('an answer that names overdue jobs is heard, a strange one is not (%#)', async (answer, jobs) => {
  const { address } = await controller([200], answer);
  const { spool, ship, overdue } = await shipper(address, ['one']);
  ship.wake();
  await until(() => spool.counts.files === 0);
  expect(overdue).toEqual(jobs);
});

test('a batch that no credential can hold is kept apart, not tried for ever', async () => {
  const { address, bodies } = await controller([200]);
  const folder = await mkdtemp(join(tmpdir(), 'wattle-ship-'));
  const spool = new BatchSpool(folder, 1e6);
  await spool.open();
  for (const json of ['huge', 'good']) await spool.add([json], 1000);
  const ship = new Shipper(spool, {
    controller: address,
    seal: (payload) => {
      const text = Buffer.from(payload).toString();
      if (text === 'huge') return Promise.reject(new WattleError('munge.too-large', 'too large', 'send less'));
      return Promise.resolve(text);
    },
    onState: () => undefined,
    onOverdueJobs: () => undefined,
  });
  ship.wake();
  await until(() => spool.counts.files === 0);
  expect(bodies).toEqual(['200:good']);
});

test('a spool that lets nothing be moved is told and tried again, and ends nobody', async () => {
  const { address } = await controller([400]);
  const folder = await mkdtemp(join(tmpdir(), 'wattle-ship-'));
  const spool = new BatchSpool(folder, 1e6);
  await spool.open();
  await spool.add(['one'], 1000);
  await rm(join(folder, 'refused'), { recursive: true });
  const states: ShipperState[] = [];
  const ship = new Shipper(spool, {
    controller: address,
    seal: (payload) => Promise.resolve(Buffer.from(payload).toString()),
    onState: (state) => states.push(state),
    onOverdueJobs: () => undefined,
  });
  ship.wake();
  await until(() => states.length > 0);
  expect(states[0]).toMatchObject({ kind: 'waiting', why: expect.stringContaining('refused') });
  await ship.stop(10);
});

test('a controller that takes a batch and does not answer does not outlast stop', async () => {
  const path = join(await mkdtemp(join(tmpdir(), 'wattle-ship-')), 'c.sock');
  let asked = 0;
  let cut = 0;
  const server = createServer((request) => {
    asked++;
    request.socket.on('close', () => cut++);
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const { ship } = await shipper({ kind: 'unix', path }, ['one', 'two']);
  ship.wake();
  await until(() => asked === 1);
  await ship.stop(50);
  await until(() => cut === 1);
  expect(asked).toBe(1);
});
