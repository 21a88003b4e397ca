/**
 * cli.start: how long a user waits before `scarbon` has asked its question: from starting the process until the controller sees
 * the connection, against a Node that does nothing. Runs are paired and their order alternates, so that a machine that
 * becomes busier in between slows both.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { quantile, type Emit, type Figure } from './figure.js';

export const name = 'cli.start';

const PAIRS = 31;
const WARM_UP_PAIRS = 3;
const SCARBON = resolve('dist/bin/scarbon.js');

export async function run(emit: Emit): Promise<void> {
  if (!existsSync(SCARBON)) throw new Error(`${SCARBON} is missing: run npm run build:ts`);
  const folder = mkdtempSync(join(tmpdir(), 'wattle-bench-'));
  const socket = join(folder, 'controller.sock');
  const server = createServer();
  server.listen(socket);
  await once(server, 'listening');
  try {
    const pairs: Pair[] = [];
    for (let index = -WARM_UP_PAIRS; index < PAIRS; index++) {
      const pair = await measurePair(server, socket, index % 2 === 0);
      if (index >= 0) pairs.push(pair);
    }
    emit(ratioOf(pairs));
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
}

interface Pair {
  readonly nodeMs: number;
  readonly scarbonMs: number;
}

async function measurePair(server: Server, socket: string, nodeFirst: boolean): Promise<Pair> {
  if (nodeFirst) return { nodeMs: await untilExit(), scarbonMs: await untilConnection(server, socket) };
  const scarbonMs = await untilConnection(server, socket);
  return { scarbonMs, nodeMs: await untilExit() };
}

async function untilExit(): Promise<number> {
  const start = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - start;
}

async function untilConnection(server: Server, socket: string): Promise<number> {
  const start = performance.now();
  const connected = once(server, 'connection');
  const child = spawn(process.execPath, [SCARBON, '--controller', `unix:${socket}`], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const [connection] = (await Promise.race([
    connected,
    exited.then(() => Promise.reject(new Error('scarbon ended before it asked'))),
  ])) as [{ destroy(): void }];
  const elapsed = performance.now() - start;
  connection.destroy();
  await exited;
  return elapsed;
}

function ratioOf(pairs: readonly Pair[]): Figure {
  const ratios = pairs.map(({ nodeMs, scarbonMs }) => scarbonMs / nodeMs);
  const scarbonMs = pairs.map((pair) => pair.scarbonMs);
  const nodeMs = pairs.map((pair) => pair.nodeMs);
  return {
    figure: 'ratio',
    value: round(quantile(ratios, 0.5)),
    unit: 'x node -e 0',
    aim: 2.5,
    better: 'lower',
    context: {
      runs: pairs.length,
      p10: round(quantile(ratios, 0.1)),
      p90: round(quantile(ratios, 0.9)),
      scarbonMs: round(quantile(scarbonMs, 0.5)),
      nodeMs: round(quantile(nodeMs, 0.5)),
      comparedWith: 'node -e 0, from start to exit',
    },
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;
