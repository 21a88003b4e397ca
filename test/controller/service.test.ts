/** The controller on real sockets, with the real MUNGE and the embedded ledger. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { SEALED_CONTENT_TYPE } from '../../src/contract/index.js';
import { Controller, type ControllerOptions } from '../../src/controller/index.js';
import { listen } from '../../src/controller/listen.js';
import { UserDirectory } from '../../src/controller/users.js';
import { Ledger, openDatabase } from '../../src/ledger/index.js';
import { Munge } from '../../src/slurm/index.js';
import { T0, batch, idleRow, segment } from '../ledger/support/batches.js';
import { buildWorker } from '../ledger/support/worker.js';
import { FakeLedger, FakeMunge, silent } from './support.js';

const run = promisify(execFile);
const ME = process.getuid?.() ?? 0;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wattle-test-controller-'));
  await chmod(folder, 0o755);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const running: Controller[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((controller) => controller.stop(100)));
});

let sockets = 0;
async function start(extra: Partial<ControllerOptions> = {}) {
  const socket = join(folder, 'run', `c${++sockets}.sock`);
  const controller = await Controller.start({
    cluster: 'test',
    listen: [
      { kind: 'unix', path: socket },
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
    ],
    access: { agentUsers: [String(ME)], operators: [] },
    sites: { pue: 1, partitions: {}, nodes: {} },
    ledger: Object.assign(new FakeLedger(), { prepare: () => Promise.resolve() }),
    opener: new FakeMunge(),
    log: silent,
    factsIntervalMs: 30_000,
    ...extra,
  });
  running.push(controller);
  const tcp = controller.addresses.find((address) => address.kind === 'tcp');
  return { controller, socket, port: tcp?.port ?? 0 };
}

interface Answer {
  readonly status: number;
  readonly json: unknown;
}

function ask(options: RequestOptions, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, agent: false }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      incoming.on('end', () => {
        resolve({ status: incoming.statusCode ?? 0, json: JSON.parse(text) });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

describe('the unix socket', () => {
  test('tells the controller who is there', async () => {
    const ledger = Object.assign(new FakeLedger(), { prepare: () => Promise.resolve() });
    const { socket } = await start({ ledger });
    const me = await new UserDirectory().nameOf(ME);
    expect(await ask({ socketPath: socket, path: '/v1/jobs' })).toMatchObject({ status: 200 });
    expect(ledger.jobs.mock.calls[0]?.[0].users).toEqual([me]);
    expect((await stat(socket)).mode & 0o777).toBe(0o666);
    expect((await stat(join(folder, 'run'))).mode & 0o777).toBe(0o755);
  });

  test('of a user without rights shows that user, and no batch passes', async () => {
    if (ME !== 0) return;
    const ledger = Object.assign(new FakeLedger(), { prepare: () => Promise.resolve() });
    const { socket } = await start({ ledger });
    const nobody = Number((await run('id', ['-u', 'nobody'])).stdout);
    const script = `
      const { request } = require('node:http');
      const ask = (options, body) => new Promise((resolve) => request({ socketPath: ${JSON.stringify(socket)}, ...options },
        (r) => { r.resume(); r.on('end', () => resolve(r.statusCode)); }).end(body));
      (async () => console.log(await ask({ path: '/v1/jobs' }),
        await ask({ path: '/v1/ingest', method: 'POST', headers: { 'content-type': 'application/json' } }, '{}')))();`;
    const { stdout } = await run(process.execPath, ['-e', script], { uid: nobody, cwd: '/' });
    expect(stdout.trim()).toBe('200 403');
    expect(ledger.jobs.mock.calls[0]?.[0].users).toEqual(['nobody']);
  });

  test('left by a crash is replaced; held by a living process it is refused; another file is left alone', async () => {
    const path = join(folder, 'stale.sock');
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await run(process.execPath, ['-e', script]).catch(() => undefined);
    expect(existsSync(path)).toBe(true);
    const listener = await listen({ kind: 'unix', path }, (_, response) => response.end());
    await expect(listen({ kind: 'unix', path }, () => undefined)).rejects.toMatchObject({ code: 'listen.held' });
    await listener.close(100);
    await writeFile(path, 'precious');
    await expect(listen({ kind: 'unix', path }, () => undefined)).rejects.toMatchObject({ code: 'listen.failed' });
  });
});

describe('the TCP port', () => {
  test('knows nobody without a credential', async () => {
    const { port } = await start();
    expect(await ask({ port, path: '/v1/jobs' })).toMatchObject({
      status: 401,
      json: { error: { code: 'api.unauthenticated' } },
    });
    expect(await ask({ port, path: '/healthz' })).toMatchObject({ status: 200 });
  });

  test('that is taken is named', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(start({ listen: [{ kind: 'tcp', host: '127.0.0.1', port }] })).rejects.toMatchObject({
      code: 'listen.held',
    });
    other.close();
  });

  test('cuts a body that grows too large, and goes on', async () => {
    const { port } = await start();
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: ${SEALED_CONTENT_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunk = `${(65_536).toString(16)}\r\n${'x'.repeat(65_536)}\r\n`;
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    socket.on('error', () => undefined);
    for (let i = 0; i < 40 && answer === '' && !socket.destroyed; i++) {
      socket.write(chunk);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
    expect(await ask({ port, path: '/healthz' })).toMatchObject({ status: 200 });
  });

  test('clients that say nothing or talk nonsense hold up nobody', async () => {
    const { port } = await start();
    const idle = Array.from({ length: 50 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
    for (const socket of idle) socket.write('POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nslow');
    const nonsense = connect(port, '127.0.0.1');
    nonsense.write('\0\0\0 nonsense\r\n\r\n');
    const [reply] = (await once(nonsense, 'data')) as [Buffer];
    expect(reply.toString()).toMatch(/^HTTP\/1\.1 400 /);
    expect(await ask({ port, path: '/healthz' })).toMatchObject({ status: 200 });
    for (const socket of idle) socket.destroy();
  });
});

describe('stopping', () => {
  test('lets a running request end, and cuts one that does not', async () => {
    const ledger = Object.assign(new FakeLedger(), { prepare: () => Promise.resolve() });
    const { controller, socket } = await start({ ledger });
    let finish: () => void = () => undefined;
    ledger.jobs.mockImplementationOnce(
      () =>
        new Promise(
          (resolve) =>
            (finish = () => {
              resolve({ jobs: [], truncated: false });
            }),
        ),
    );
    const pending = ask({ socketPath: socket, path: '/v1/jobs' });
    while (ledger.jobs.mock.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const stopped = controller.stop(5_000);
    finish();
    expect(await pending).toMatchObject({ status: 200 });
    await stopped;
    const second = await start({ ledger });
    ledger.jobs.mockImplementationOnce(() => new Promise(() => undefined));
    const cut = ask({ socketPath: second.socket, path: '/v1/jobs' });
    const failure = expect(cut).rejects.toThrow();
    while (ledger.jobs.mock.calls.length === 1) await new Promise((resolve) => setTimeout(resolve, 5));
    await second.controller.stop(50);
    await failure;
  });
});

describe('reloading', () => {
  test('takes over zones, and keeps the old ones where the new do not parse', async () => {
    const ledger = Object.assign(new FakeLedger(), { prepare: () => Promise.resolve() });
    const { controller, socket } = await start({ ledger });
    const access = { agentUsers: [String(ME)], operators: [] };
    const sites = { pue: 1, partitions: {}, nodes: {} };
    const send = (sequence: number) =>
      ask(
        { socketPath: socket, path: '/v1/ingest', method: 'POST', headers: { 'content-type': 'application/json' } },
        JSON.stringify(batch(sequence, [])),
      );
    await send(0);
    await controller.reload({ access, sites: { ...sites, zone: 'FR', pue: 1.3 } });
    await send(1);
    await expect(controller.reload({ access, sites: { ...sites, nodes: { 'n[': {} } } })).rejects.toThrow();
    const stranger = { agentUsers: ['no-such-user'], operators: [] };
    await expect(controller.reload({ access: stranger, sites })).rejects.toMatchObject({ code: 'access.unknown-user' });
    await send(2);
    expect(ledger.booked.map(({ site }) => site)).toEqual([
      { zone: 'unknown', pue: 1 },
      { zone: 'FR', pue: 1.3 },
      { zone: 'FR', pue: 1.3 },
    ]);
  });
});

describe('with munged and the embedded ledger', () => {
  test('a sealed batch is booked once, over TCP, and its joules can be asked for', async () => {
    const home = await mkdtemp(join(folder, 'munge-'));
    await chmod(home, 0o755);
    const key = join(home, 'key');
    const socket = join(home, 'socket');
    await writeFile(key, randomBytes(128), { mode: 0o400 });
    const files = ['pid', 'log', 'seed'].map((name) => join(home, name));
    const munged = spawn(
      'munged',
      [
        '-F',
        '--key-file',
        key,
        '--socket',
        socket,
        '--pid-file',
        files[0] ?? '',
        '--log-file',
        files[1] ?? '',
        '--seed-file',
        files[2] ?? '',
      ],
      { stdio: 'ignore', env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` } },
    );
    const ended = once(munged, 'exit');
    const database = await openDatabase({ path: join(home, 'ledger'), workerUrl: await buildWorker() });
    try {
      while (!existsSync(socket)) {
        if (munged.exitCode !== null) throw new Error('munged did not start');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const munge = new Munge({ socket });
      const ledger = await Ledger.open(database, 'test');
      const operator = { agentUsers: [String(ME)], operators: [(await new UserDirectory().nameOf(ME)) ?? ''] };
      const { port } = await start({ ledger, opener: munge, access: operator });
      const send = (credential: string) =>
        ask({ port, path: '/v1/ingest', method: 'POST', headers: { 'content-type': SEALED_CONTENT_TYPE } }, credential);
      const seal = () => munge.seal(Buffer.from(JSON.stringify(batch(0, [segment([idleRow(11)])]))));
      const credential = await seal();
      expect(await send(credential)).toEqual({ status: 200, json: { status: 'booked', sequence: 0 } });
      expect(await send(credential)).toMatchObject({ status: 401, json: { error: { code: 'munge.replayed' } } });
      expect(await send(await seal())).toEqual({ status: 200, json: { status: 'duplicate', sequence: 0 } });
      const headers = { authorization: `MUNGE ${await munge.seal(new Uint8Array())}` };
      const answer = await ask({ port, path: `/v1/conservation?since=${T0}&until=${T0 + 1}`, headers });
      expect(answer.json).toMatchObject({ nodes: [{ node: 'n1', total: 11, intervalsOff: 0, owners: { idle: 11 } }] });
      await running.pop()?.stop(100);
    } finally {
      munged.kill('SIGTERM');
      await ended;
      await database.close();
    }
  }, 60_000);
});
