/** The wattmeter source against real processes, FIFOs, files and servers that carry an emulated meter's lines. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  createWriteStream,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { monotonicNs, type WattmeterOptions } from '../../../src/sampler/sources/index.js';
import { wattmeterSource } from '../../../src/sampler/sources/wattmeter.js';
import { emulateWattmeter, type EmulatedWattmeter, type WattmeterEmulation } from '../../hardware/wattmeter-stream.js';
import { afterTest, Run, temporaryFolder, until } from './support.js';

const SQUARE = { shape: 'square', lowWatts: 100, highWatts: 500, periodS: 0.35 } as const;

type Options = Partial<WattmeterOptions> & Pick<WattmeterOptions, 'from'>;

function run(options: Options): Run & { readonly dropped: number } {
  const source = wattmeterSource({ kind: 'wattmeter', format: 'omegawatt', channels: [2], ...options });
  const started = new Run(source);
  return Object.defineProperty(started, 'dropped', { get: () => source.dropped }) as Run & { readonly dropped: number };
}

function emulate(options: Partial<WattmeterEmulation> = {}): EmulatedWattmeter {
  return emulateWattmeter({ waveform: SQUARE, ...options });
}

/** Joules that the readings may be off: how well a busy machine knows when the first and the last of them were. */
const EDGE_J = 500 * 0.5;

function expectTruth(reading: Run, meter: EmulatedWattmeter): void {
  const truth = meter.truthJ(reading.firstNs, reading.lastNs);
  expect(truth).toBeGreaterThan(3 * EDGE_J);
  expect(Math.abs(reading.joules() - truth)).toBeLessThan(EDGE_J);
}

/** Whether a process has this among its arguments. */
function isRunning(word: string): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes(word);
    } catch {
      return false;
    }
  });
}

/** Resolves when this process has the file open, and has had time to find its end. */
async function opened(path: string): Promise<void> {
  const real = realpathSync(path);
  await until(`${path} is open`, () =>
    readdirSync('/proc/self/fd').some((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === real;
      } catch {
        return false;
      }
    }),
  );
  await sleep(1000);
}

describe('frames of a program', () => {
  test('agree with the truth, though they come in bundles and the clock of the box is wrong', async () => {
    const meter = emulate({ bundleMs: 250, skewS: -7200 });
    const reading = run({ from: { command: meter.command } });
    await reading.count(35);
    expectTruth(reading, meter);
    const gapsNs = reading.readings
      .slice(1)
      .map(({ monoNs }, index) => monoNs - (reading.readings[index]?.monoNs ?? 0));
    // Readings of one bundle keep their distance of 100 ms.
    expect(gapsNs.filter((gap) => gap > 80e6 && gap < 120e6).length).toBeGreaterThan(gapsNs.length / 2);
    expect(reading.problem).toBeNull();
    expect(reading.lastNs).toBeLessThanOrEqual(monotonicNs());
  });

  test('are all reported where no mean is wanted', async () => {
    const meter = emulate();
    const reading = run({ from: { command: meter.command }, everyMs: 0 });
    await reading.count(350);
    expectTruth(reading, meter);
  });

  test('of several sockets are added up', async () => {
    const reading = run({
      from: { command: emulate({ waveform: { shape: 'constant', watts: 300 } }).command },
      channels: [2, 5],
    });
    await reading.count(3);
    expect(reading.readings.map(({ value }) => value).every((value) => Math.abs(value - 340) < 0.5)).toBe(true);
  });

  test('that are not good are a gap, not a zero', async () => {
    const meter = emulate({ waveform: { shape: 'constant', watts: 300 }, bad: [700, 1700] });
    const reading = run({ from: { command: meter.command } });
    await until('readings on both sides', () => (reading.lastNs - reading.firstNs) / 1e9 > 2.2);
    expect(reading.readings.every(({ value }) => Math.abs(value - 300) < 0.5)).toBe(true);
    const widest = reading.readings
      .slice(1)
      .map(({ monoNs }, index) => monoNs - (reading.readings[index]?.monoNs ?? 0));
    expect(Math.max(...widest)).toBeGreaterThan(0.6e9);
  });

  test('of a socket that the box lacks are told', async () => {
    const reading = run({ from: { command: emulate({ nb: 3 }).command }, channels: [4] });
    await reading.trouble(/no #activepow4|no header/);
    expect(reading.readings).toEqual([]);
  });
});

describe('a program', () => {
  test('that ends is started anew, with its last words as the problem', async () => {
    const meter = emulate({ exitAfterMs: 400 });
    const reading = run({ from: { command: meter.command }, everyMs: 50 });
    await reading.count(2);
    const first = reading.readings.length;
    await until('readings of the second run', () => reading.lastNs - reading.firstNs > 2e9);
    expect(reading.readings.length).toBeGreaterThan(first);
    const failing = run({ from: { command: ['/bin/sh', '-c', 'echo no such tty >&2; exit 4'] } });
    await failing.trouble(/\/bin\/sh ended with status 4: no such tty/);
  });

  test('many of whose lines are junk is told of, though readings come', async () => {
    const script = 'while :; do echo 5; echo 3 junk; sleep 0.05; done';
    const reading = run({ format: 'csv', channels: [1], from: { command: ['/bin/sh', '-c', script] } });
    await reading.trouble(/of \d+ lines could not be used, the last: .*3 junk/);
    expect(reading.readings.length).toBeGreaterThan(0);
  });

  test('that is not there is told', async () => {
    const reading = run({ from: { command: ['/nowhere/wattmetre-read', '--password=hidden'] } });
    expect(await reading.trouble(/cannot be started \(ENOENT\)/)).not.toContain('hidden');
  });

  test('gets its arguments as they stand', async () => {
    const reading = run({ format: 'csv', channels: [1], from: { command: ['/bin/echo', '7; echo 8 $HOME'] } });
    await reading.trouble(/cannot be used|ended with status 0/);
    expect(reading.readings).toEqual([]);
  });

  test('that does not listen to SIGTERM is gone after stop(), and what it started too', async () => {
    const marker = `3141.${process.pid}`;
    const script = `trap "" TERM; sleep ${marker} & while :; do echo 5; sleep 0.1; done`;
    const reading = run({ format: 'csv', channels: [1], from: { command: ['/bin/sh', '-c', script] } });
    await reading.count(1);
    const begun = Date.now();
    await reading.stop();
    expect(Date.now() - begun).toBeLessThan(6000);
    await until('no process of it', () => !isRunning(marker));
  });

  test('that floods is made to wait, without harm', async () => {
    const reading = run({ format: 'csv', channels: [1], from: { command: ['/usr/bin/yes', '5'] } });
    await reading.count(5);
    const [before, beforeNs] = [process.cpuUsage(), monotonicNs()];
    await sleep(1000);
    const { user, system } = process.cpuUsage(before);
    // Parsing all that comes would take the whole thread.
    expect(((user + system) * 1e3) / (monotonicNs() - beforeNs)).toBeLessThan(0.7);
    expect(reading.readings.every(({ value }) => value === 5)).toBe(true);
  });

  test('that sends one endless line fills no memory', async () => {
    const before = process.memoryUsage().rss;
    const reading = run({
      format: 'csv',
      channels: [1],
      from: { command: ['/bin/sh', '-c', 'head -c 200000000 /dev/zero'] },
    });
    await reading.trouble(/ended with status 0/);
    expect(process.memoryUsage().rss - before).toBeLessThan(150e6);
    expect(reading.readings).toEqual([]);
  });
});

describe('a FIFO', () => {
  test('is read, also by way of a second writer', async () => {
    const path = join(temporaryFolder(), 'meter');
    execFileSync('mkfifo', [path]);
    const meter = emulate();
    const reading = run({ from: { file: path } });
    for (let writer = 1; writer <= 2; writer++) {
      const before = reading.readings.length;
      const child = meter.spawn();
      const pipe = createWriteStream(path);
      pipe.on('error', () => undefined);
      child.stdout?.pipe(pipe);
      await reading.count(before + (writer === 1 ? 35 : 5));
      if (writer === 1) expectTruth(reading, meter);
      child.kill();
      await until('the end of the writer', () => pipe.closed);
    }
  });

  test('without a writer does not hold up anything', async () => {
    const path = join(temporaryFolder(), 'meter');
    execFileSync('mkfifo', [path]);
    const reading = run({ from: { file: path } });
    await sleep(200);
    expect(reading.problem).toMatch(/nobody writes to/);
    const begun = Date.now();
    await reading.stop();
    expect(Date.now() - begun).toBeLessThan(5000);
  });
});

describe('a FIFO into which each line is written by a writer of its own', () => {
  async function fifo(): Promise<{ path: string; reading: Run }> {
    const path = join(temporaryFolder(), 'meter');
    execFileSync('mkfifo', [path]);
    const reading = run({ format: 'csv', channels: [1], from: { file: path }, everyMs: 0 });
    await reading.trouble(/nobody writes to/);
    return { path, reading };
  }
  const echo = promisify(execFile);

  test('has none of them lost, not the first either', async () => {
    const { path, reading } = await fifo();
    for (let value = 1; value <= 12; value++) {
      await echo('/bin/sh', ['-c', `echo ${value} > "$0"`, path]);
      await reading.count(value);
    }
    expect(reading.readings.map(({ value }) => value)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test('does not put what a writer left unfinished before the line of the next', async () => {
    const { path, reading } = await fifo();
    await echo('/bin/sh', ['-c', 'printf "5\\n12" > "$0"', path]);
    await reading.count(1);
    // What was unfinished is dropped when its writer is seen to have gone.
    await sleep(1000);
    await echo('/bin/sh', ['-c', 'echo 34 > "$0"', path]);
    await reading.count(2);
    expect(reading.readings.map(({ value }) => value)).toEqual([5, 34]);
  });

  test('is not shared with a second reader, who would take lines away', async () => {
    const { path, reading } = await fifo();
    const second = run({ format: 'csv', channels: [1], from: { file: path }, everyMs: 0 });
    await second.trouble(/meter is in use by another process/);
    for (let value = 1; value <= 5; value++) {
      await echo('/bin/sh', ['-c', `echo ${value} > "$0"`, path]);
      await reading.count(value);
    }
    expect(second.readings).toEqual([]);
    await reading.stop();
    await second.trouble(/nobody writes to/);
  });
});

describe('a file that grows', () => {
  test('is read from its end, with the names of its head', async () => {
    const path = join(temporaryFolder(), 'log.csv');
    writeFileSync(path, 'time,other,node_w\n1,1,9999\n1,1,9999\n1,1,99');
    const reading = run({ format: 'csv', channels: ['node_w'], from: { file: path }, everyMs: 0 });
    await opened(path);
    appendFileSync(path, '99\n2,1,250\n');
    await reading.count(1);
    appendFileSync(path, '3,1,251\n4,1,2');
    await reading.count(2);
    expect(reading.readings.map(({ value }) => value)).toEqual([250, 251]);
  });

  test('is opened anew when it is replaced', async () => {
    const path = join(temporaryFolder(), 'log.csv');
    writeFileSync(path, '1\n2\n3\n');
    const reading = run({ format: 'csv', channels: [1], from: { file: path }, everyMs: 0 });
    await opened(path);
    writeFileSync(path, '');
    await reading.trouble(/cut short or replaced/);
    await until('the new file is read', () => {
      appendFileSync(path, '77\n');
      return reading.readings.length > 0;
    });
    expect(reading.readings[0]?.value).toBe(77);
  });

  test('that is no such thing is told', async () => {
    await run({ from: { file: '/nowhere/log' } }).trouble(/\/nowhere\/log cannot be read \(ENOENT\)/);
    await run({ from: { file: temporaryFolder() } }).trouble(/is no file, no FIFO and no serial line/);
    await run({ from: { file: '/dev/null' } }).trouble(/is no file, no FIFO and no serial line/);
  });
});

describe('a server', () => {
  async function serve(onConnection: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      onConnection(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    afterTest(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return { server, port: (server.address() as AddressInfo).port };
  }

  test('is read, and asked again when it hangs up', async () => {
    const meter = emulate();
    let connections = 0;
    const { port } = await serve((socket) => {
      connections++;
      const child = meter.spawn();
      child.stdout?.pipe(socket);
      socket.on('close', () => child.kill());
      if (connections === 1) setTimeout(() => socket.destroy(), 1500);
    });
    const reading = run({ from: { tcp: { host: '127.0.0.1', port } } });
    await reading.count(8);
    await until('a second connection', () => connections === 2);
    const before = reading.readings.length;
    await reading.count(before + 8);
    expect(reading.readings.every(({ value }) => value >= 99 && value <= 501)).toBe(true);
  });

  test('that is not there is told', async () => {
    const { server, port } = await serve(() => undefined);
    server.close();
    await run({ from: { tcp: { host: '127.0.0.1', port } } }).trouble(/cannot be read \(ECONNREFUSED\)/);
  });

  test('that was joined in the middle of a line: what is left of the line is not taken for one', async () => {
    const { port } = await serve((socket) => {
      socket.write('50\n123.4\n');
      setInterval(() => socket.write('123.4\n'), 50).unref();
    });
    const reading = run({ format: 'csv', channels: [1], from: { tcp: { host: '127.0.0.1', port } }, everyMs: 0 });
    await reading.count(3);
    expect(new Set(reading.readings.map(({ value }) => value))).toEqual(new Set([123.4]));
  });
});

describe('a document', () => {
  async function serve(document: () => string, status = 200): Promise<string> {
    const server = createHttpServer((_request, response) => {
      response.writeHead(status).end(document());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    afterTest(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/power.tsv`;
  }

  const text = (ms: number): string => {
    const date = new Date(ms);
    const two = (value: number): string => String(value).padStart(2, '0');
    const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  };

  test('of an OmegaWatt box: each row once, at its own time', async () => {
    const from = Math.floor(Date.now() / 1000) * 1000 - 10_000;
    const rows = (): string[] => {
      const count = Math.floor((Date.now() - from) / 1000) + 1;
      return Array.from({ length: count }, (_, i) => `${text(from + 1000 * i)}\t40\t${100 + i}`);
    };
    const url = await serve(() => `Date\tSocket 1 (W)\tSocket 2 (W)\n${rows().join('\n')}\n`);
    const reading = run({ format: 'omegawatt-tsv', from: { url }, pollMs: 100 });
    await reading.count(4);
    const values = reading.readings.map(({ value }) => value);
    // None of before the start, and each of the others once.
    expect(values[0]).toBeGreaterThanOrEqual(110);
    expect(values.map((value) => value - (values[0] ?? 0))).toEqual(values.map((_, index) => index));
    const [first, ...others] = reading.readings;
    others.forEach(({ monoNs }, index) => {
      expect(Math.abs(monoNs - (first?.monoNs ?? 0) - (index + 1) * 1e9)).toBeLessThan(500e6);
    });
  });

  test('of a box whose clock is hours away is not used, and why is told', async () => {
    const url = await serve(() => `Date\tSocket 1\tSocket 2\n${text(Date.now() + 7_200_000)}\t1\t2\n`);
    const reading = run({ format: 'omegawatt-tsv', from: { url }, pollMs: 100 });
    await reading.trouble(/ahead of this host's clock/);
    expect(reading.readings).toEqual([]);
  });

  test('without times shows the present value', async () => {
    const url = await serve(() => '230.1;1.8;414.2');
    const reading = run({ format: 'csv', separator: ';', channels: [3], from: { url }, pollMs: 50 });
    await reading.count(3);
    expect(reading.readings[0]).toMatchObject({ unit: 'watts', value: 414.2 });
  });

  test('that is not there, or too long, is told', async () => {
    await run({ from: { url: await serve(() => '', 404) }, pollMs: 50 }).trouble(/status 404/);
    const long = 'x'.repeat(5 * 1024 * 1024);
    await run({ from: { url: await serve(() => long) }, pollMs: 50 }).trouble(/more than 4194304 bytes/);
  });
});

const mosquitto = spawnSync('sh', [
  '-c',
  'command -v mosquitto && command -v mosquitto_sub && command -v mosquitto_pub',
]);

(mosquitto.status === 0 ? test : test.skip)(
  'MQTT through mosquitto_sub (needs mosquitto and its clients)',
  async () => {
    const folder = temporaryFolder();
    const port = 20_000 + (process.pid % 20_000);
    writeFileSync(join(folder, 'mosquitto.conf'), `listener ${port} 127.0.0.1\nallow_anonymous true\n`);
    const { spawn } = await import('node:child_process');
    const broker = spawn('mosquitto', ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore' });
    afterTest(() => broker.kill());
    const command = ['mosquitto_sub', '-h', '127.0.0.1', '-p', String(port), '-t', 'rack/n1/power'];
    const reading = run({ format: 'csv', channels: [1], from: { command }, everyMs: 0 });
    await until('readings over MQTT', () => {
      spawnSync('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(port), '-t', 'rack/n1/power', '-m', '321.5']);
      return reading.readings.length >= 3;
    });
    expect(reading.readings[0]).toMatchObject({ unit: 'watts', value: 321.5 });
  },
);
