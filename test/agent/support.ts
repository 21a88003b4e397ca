/** What suites around a whole agent share: its options in a folder, hook events, and a controller that listens. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import * as v from 'valibot';
import type { AgentOptions } from '../../src/agent/index.js';
import { type Batch, batchSchema, type LedgerDelta } from '../../src/contract/index.js';
import { monotonicNs } from '../../src/sampler/index.js';

/** An agent with four cores that lives in `folder` and reports every second to `folder`/c.sock. */
export const agentIn = (folder: string, over: Partial<AgentOptions> = {}): AgentOptions => ({
  cluster: 'test',
  node: 'n1',
  controller: { kind: 'unix', path: join(folder, 'c.sock') },
  stateDir: join(folder, 'state'),
  eventDir: join(folder, 'events'),
  runDir: join(folder, 'run'),
  cgroupRoot: join(folder, 'cgroup'),
  procfs: '/proc',
  reportIntervalMs: 1000,
  discoverIntervalMs: 500,
  ledgerIntervalMs: 300_000,
  spoolMaxBytes: 1e8,
  cores: 4,
  cpuTime: 'slurm',
  ...over,
});

/** In place of MUNGE: FakeController reads what this seals. */
export const sealPlain = (payload: Uint8Array): Promise<string> => Promise.resolve(Buffer.from(payload).toString());

let serial = 0;

/** Writes an event as the hook client does; returns its monotonic time in ns. */
export function writeHookEvent(
  eventDir: string,
  kind: 'prolog' | 'epilog',
  jobId: number,
  { cores = 2, monoNs = monotonicNs() } = {},
): number {
  const fields = [
    'wattle-event 1',
    `kind=${kind}`,
    `mono_ns=${monoNs}`,
    `real_ns=${Date.now()}000000`,
    `boot_id=${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`,
    `SLURM_JOB_ID=${jobId}`,
    'SLURM_JOB_NODELIST=n1',
    `SLURM_JOB_CPUS_PER_NODE=${cores}`,
    'end',
    '',
  ];
  mkdirSync(join(eventDir, 'n1'), { recursive: true });
  writeFileSync(join(eventDir, 'n1', `${String(++serial).padStart(20, '0')}-1.event`), fields.join('\0'));
  return monoNs;
}

/** Takes batches as the controller does: once per epoch and sequence. It can be told to be out of order. */
export class FakeController {
  readonly batches: Batch[] = [];
  /** Status of its answers; a batch counts with 200 only. */
  answer = 200;
  readonly #onBatch: (batch: Batch) => Promise<unknown>;
  readonly #seen = new Set<string>();
  readonly #server: Server;

  /** @param onBatch what becomes of a batch that came for the first time, before it is acknowledged */
  constructor(onBatch: (batch: Batch) => Promise<unknown> = () => Promise.resolve()) {
    this.#onBatch = onBatch;
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (this.answer !== 200) {
          response.writeHead(this.answer).end();
          return;
        }
        this.#take(v.parse(batchSchema, JSON.parse(Buffer.concat(chunks).toString()))).then(
          () => response.end('{}'),
          () => response.writeHead(503).end(),
        );
      });
    });
  }

  async listen(folder: string): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(join(folder, 'c.sock'), resolve));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      this.#server.closeAllConnections();
    });
  }

  get rows(): readonly LedgerDelta[] {
    return this.batches.flatMap((batch) => batch.segments.flatMap((segment) => segment.rows));
  }

  /** Package joules booked to an owner. */
  joules(owner: string): number {
    return this.rows.filter((row) => row.owner === owner).reduce((sum, row) => sum + row.microjoules.package, 0) / 1e6;
  }

  /** Package joules of the node. */
  get nodeJoules(): number {
    const segments = this.batches.flatMap((batch) => batch.segments);
    return segments.reduce((sum, segment) => sum + segment.microjoules.package, 0) / 1e6;
  }

  async #take(batch: Batch): Promise<void> {
    const key = `${batch.epoch}#${batch.sequence}`;
    if (this.#seen.has(key)) return;
    await this.#onBatch(batch);
    this.#seen.add(key);
    this.batches.push(batch);
  }
}
