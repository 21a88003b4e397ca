/** A controller that answers what a test tells it to, over real HTTP on a unix socket. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobAnswer, JobsAnswer, StepAnswer } from '../../src/contract/index.js';

export class FakeController {
  readonly requests: URL[] = [];
  readonly headers: IncomingMessage['headers'][] = [];
  status = 200;
  body: unknown = {};
  readonly #folder = mkdtempSync(join(tmpdir(), 'wattle-cli-'));
  readonly #server: Server = createServer((request, response) => {
    this.requests.push(new URL(request.url ?? '', 'http://controller'));
    this.headers.push(request.headers);
    const body = typeof this.body === 'string' ? this.body : JSON.stringify(this.body);
    response.writeHead(this.status, { 'content-type': 'application/json' }).end(body);
  });

  static async start(): Promise<FakeController> {
    const controller = new FakeController();
    controller.#server.listen(controller.path);
    await once(controller.#server, 'listening');
    return controller;
  }

  get path(): string {
    return join(this.#folder, 'controller.sock');
  }

  get address(): string {
    return `unix:${this.path}`;
  }

  /** Query of the last request. */
  get query(): Record<string, string> {
    return Object.fromEntries(this.requests.at(-1)?.searchParams ?? []);
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
    rmSync(this.#folder, { recursive: true });
  }
}

const MIDNIGHT = new Date(2026, 10, 1).getTime();

/** A finished job of 1 h 1 min 1 s; `changes` says what is different. Energies are in microjoules. */
export function job(changes: Partial<Record<keyof JobAnswer, unknown>> = {}): JobAnswer {
  return {
    jobId: '12',
    jobIdRaw: 12,
    name: 'train',
    user: 'ada',
    account: 'physics',
    partition: 'batch',
    qos: 'normal',
    state: 'COMPLETED',
    submitMs: MIDNIGHT,
    startMs: MIDNIGHT + 1000,
    endMs: MIDNIGHT + 3_662_000,
    elapsedMs: 3_661_000,
    ncpus: 4,
    nnodes: 1,
    nodelist: 'n1',
    exitCode: '0:0',
    energy: { package: 100_000_000, dram: 20_000_000, gpu: 0, other: 3_456_789 },
    co2e: 0.012_5,
    coverage: 1,
    quality: 'measured',
    cpuMs: 7_200_000,
    sampledNodeMs: 3_661_000,
    zones: ['FR'],
    ciSources: ['ember'],
    rules: ['wattle-1'],
    steps: [],
    ...changes,
  } as JobAnswer;
}

export function step(changes: Partial<Record<keyof StepAnswer, unknown>> = {}): StepAnswer {
  return {
    step: 'batch',
    name: 'batch',
    state: 'COMPLETED',
    startMs: MIDNIGHT + 1000,
    endMs: MIDNIGHT + 3_662_000,
    elapsedMs: 3_661_000,
    ncpus: 4,
    nodelist: 'n1',
    exitCode: '0:0',
    energy: { package: 90_000_000, dram: 20_000_000, gpu: 0, other: 0 },
    co2e: 0.011,
    ...changes,
  } as StepAnswer;
}

export function jobs(...list: readonly JobAnswer[]): JobsAnswer {
  return { cluster: 'hpc1', jobs: list, truncated: false };
}
