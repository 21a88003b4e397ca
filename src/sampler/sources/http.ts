/** One bounded HTTP request: in size, in time, and in what it follows (nothing). */
import http from 'node:http';
import https from 'node:https';
import { messageOf } from '../../contract/index.js';
import { shown, SourceProblem } from './problem.js';

export interface Exchange {
  readonly agent: http.Agent | https.Agent;
  readonly headers: Readonly<Record<string, string>>;
  /** For the whole answer, not for each part of it. */
  readonly timeoutMs: number;
  /** Larger answers are cut off and refused. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: Buffer;
}

/** @throws {SourceProblem} where no whole answer came. */
export async function exchange(url: URL, options: Exchange): Promise<Answer> {
  for (;;) {
    const attempt = new Attempt(url, options);
    try {
      return await attempt.answer();
    } catch (error) {
      // The other side may close a connection that is kept open in the very moment in which it is used again.
      if (!attempt.mayRepeat(error)) throw attempt.problem(error);
    }
  }
}

class Attempt {
  readonly #url: URL;
  readonly #options: Exchange;
  #request: http.ClientRequest | undefined;
  #answered = false;
  /** Why the request was ended from this side. */
  #ended: SourceProblem | undefined;

  constructor(url: URL, options: Exchange) {
    this.#url = url;
    this.#options = options;
  }

  async answer(): Promise<Answer> {
    const { timeoutMs, signal } = this.#options;
    const timer = setTimeout(() => {
      this.#end(`${this.#url.host} gave no whole answer within ${timeoutMs / 1000} s`);
    }, timeoutMs);
    const stop = (): void => {
      this.#end('stopped');
    };
    signal.addEventListener('abort', stop);
    try {
      signal.throwIfAborted();
      const response = await this.#send();
      this.#answered = true;
      const body = await this.#body(response);
      return { status: response.statusCode ?? 0, location: response.headers.location, body };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  mayRepeat(error: unknown): boolean {
    const code = (error as NodeJS.ErrnoException).code;
    const dropped = code === 'ECONNRESET' || code === 'EPIPE';
    return dropped && !this.#answered && this.#ended === undefined && this.#request?.reusedSocket === true;
  }

  problem(error: unknown): SourceProblem {
    if (this.#ended !== undefined) return this.#ended;
    if (error instanceof SourceProblem) return error;
    const { code = '' } = error as NodeJS.ErrnoException;
    const tls = /CERT|SIGNATURE|SELF_SIGNED|SSL|TLS/.test(code);
    const remedy = tls ? ': name its authority in ca_file, or set insecure = true where no one can come between' : '';
    return new SourceProblem(`${this.#url.host} cannot be asked (${shown(code || messageOf(error))})${remedy}`);
  }

  #send(): Promise<http.IncomingMessage> {
    const { agent, headers } = this.#options;
    const { request } = this.#url.protocol === 'https:' ? https : http;
    return new Promise((resolve, reject) => {
      this.#request = request(this.#url, { agent, headers, method: 'GET' }, resolve);
      this.#request.on('error', reject);
      this.#request.end();
    });
  }

  async #body(response: http.IncomingMessage): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > this.#options.maxBytes) {
        this.#end(`${this.#url.host} answered with more than ${this.#options.maxBytes} bytes`);
        break;
      }
      parts.push(part);
    }
    if (this.#ended !== undefined) throw this.#ended;
    return Buffer.concat(parts);
  }

  #end(why: string): void {
    this.#ended ??= new SourceProblem(why);
    this.#request?.destroy(this.#ended);
  }
}
