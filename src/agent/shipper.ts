/** Sends spooled batches to the controller, oldest first, again and again until each is acknowledged. */
import { request } from 'node:http';
import { type Address, formatAddress } from '../config/index.js';
import { SEALED_CONTENT_TYPE, WattleError, messageOf } from '../contract/index.js';
import * as v from 'valibot';
import type { BatchSpool } from './batch-spool.js';

const REQUEST_TIMEOUT_MS = 30_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024;

export interface ShipperOptions {
  readonly controller: Address;
  /** Seals a payload afresh for every try: a credential can be opened once. */
  readonly seal: (payload: Uint8Array) => Promise<string>;
  readonly onState: (state: ShipperState) => void;
  /** Jobs of an acknowledged batch that ended long ago, as far as the controller knows. */
  readonly onOverdueJobs: (jobIds: readonly number[]) => void;
}

const answerSchema = v.object({ overdueJobs: v.optional(v.array(v.pipe(v.number(), v.safeInteger())), []) });

/** An answer that cannot be read tells of no job; the batch is acknowledged by the status alone. */
function overdueJobs(text: string): readonly number[] {
  try {
    return v.parse(answerSchema, JSON.parse(text)).overdueJobs;
  } catch {
    return [];
  }
}

export type ShipperState =
  | { readonly kind: 'sent' }
  | { readonly kind: 'waiting'; readonly why: string; readonly retryMs: number }
  | { readonly kind: 'refused'; readonly why: string; readonly file: string };

/** Sends one sealed batch; resolves with the status and the answer's text. */
function post(controller: Address, body: string, signal: AbortSignal): Promise<{ status: number; text: string }> {
  const where =
    controller.kind === 'unix' ? { socketPath: controller.path } : { host: controller.host, port: controller.port };
  return new Promise((resolve, reject) => {
    const outgoing = request({
      ...where,
      method: 'POST',
      path: '/v1/ingest',
      timeout: REQUEST_TIMEOUT_MS,
      signal,
      headers: { 'content-type': SEALED_CONTENT_TYPE, 'content-length': Buffer.byteLength(body) },
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('the controller did not answer in time')));
    outgoing.on('error', reject);
    outgoing.on('response', (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        if (text.length < MAX_ANSWER_BYTES) text += chunk;
      });
      answer.on('error', reject);
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, text });
      });
    });
    outgoing.end(body);
  });
}

/** Statuses that another try cannot change: the batch itself is wrong. */
const PERMANENT = new Set([400, 413, 422]);

export class Shipper {
  readonly #spool: BatchSpool;
  readonly #options: ShipperOptions;
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #retryMs = FIRST_RETRY_MS;
  #stopped = false;
  readonly #ended = new AbortController();

  constructor(spool: BatchSpool, options: ShipperOptions) {
    this.#spool = spool;
    this.#options = options;
  }

  /** Sends what waits, unless a retry is pending or sending is under way. */
  wake(): void {
    if (this.#stopped || this.#running || this.#timer) return;
    this.#running = this.#drain().finally(() => {
      this.#running = null;
    });
  }

  /** One more pass for at most `graceMs`, then no more; the rest waits on disk for the next start. */
  async stop(graceMs: number): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.wake();
    this.#stopped = true;
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([this.#running ?? Promise.resolve(), grace]);
    clearTimeout(timer);
    // A request that still waits would keep the process alive, or send beside the agent that comes after a reload.
    this.#ended.abort();
  }

  /** Never rejects: whatever the file system says of one batch, sending goes on later. */
  async #drain(): Promise<void> {
    try {
      await this.#sendAll();
    } catch (error) {
      this.#retryLater(`the spool: ${messageOf(error)}`);
    }
  }

  async #sendAll(): Promise<void> {
    for (let batch = await this.#spool.oldest(); batch; batch = await this.#spool.oldest()) {
      const outcome = await this.#send(batch.json);
      if (outcome.kind === 'sent') {
        await this.#spool.acknowledge(batch.name);
        this.#retryMs = FIRST_RETRY_MS;
        this.#options.onState({ kind: 'sent' });
      } else if (outcome.kind === 'refused') {
        const file = await this.#spool.refuse(batch.name);
        this.#options.onState({ kind: 'refused', why: outcome.why, file });
      } else {
        this.#retryLater(outcome.why);
        return;
      }
    }
  }

  async #send(json: string): Promise<{ kind: 'sent' } | { kind: 'refused' | 'retry'; why: string }> {
    try {
      const sealed = await this.#options.seal(Buffer.from(json));
      const { status, text } = await post(this.#options.controller, sealed, this.#ended.signal);
      if (status === 200) {
        const jobs = overdueJobs(text);
        if (jobs.length > 0) this.#options.onOverdueJobs(jobs);
        return { kind: 'sent' };
      }
      const why = `${formatAddress(this.#options.controller)} answered ${status}: ${text.slice(0, 300)}`;
      return { kind: PERMANENT.has(status) ? 'refused' : 'retry', why };
    } catch (error) {
      const never = error instanceof WattleError && error.code === 'munge.too-large';
      return { kind: never ? 'refused' : 'retry', why: messageOf(error) };
    }
  }

  #retryLater(why: string): void {
    if (this.#stopped) return;
    // Half of the wait is random: a thousand agents must not come back in step after an outage.
    const retryMs = Math.round(this.#retryMs * (0.5 + Math.random() / 2));
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    this.#options.onState({ kind: 'waiting', why, retryMs });
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.wake();
    }, retryMs);
  }
}
