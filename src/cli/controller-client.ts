/** One question to the controller's HTTP API, over its unix socket or over TCP with a MUNGE credential. */
import { request, type IncomingMessage, type RequestOptions } from 'node:http';
import { formatAddress } from '../config/address.js';
import { EXIT, messageOf, WattleError } from '../contract/errors.js';
import type { Endpoint } from './endpoint.js';

/** A controller that says nothing for so long is taken for gone. */
const SILENCE_MS = 30_000;
/** Two million jobs; more would not fit into memory beside their rows. */
const MAX_ANSWER_BYTES = 512 * 1024 * 1024;

export type Query = Readonly<Record<string, string | undefined>>;

/**
 * The answer's JSON, not yet checked.
 * @throws {WattleError} `controller.unreachable` (exit code 3), the controller's own refusal, or
 *   `controller.bad-answer` where the answer is none of its own.
 */
export async function ask(endpoint: Endpoint, path: string, query: Query = {}): Promise<unknown> {
  const { address } = endpoint;
  const options: RequestOptions = {
    ...(address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port }),
    path: path + queryString(query),
    headers: { accept: 'application/json', ...(address.kind === 'tcp' ? await credential(endpoint) : {}) },
    timeout: SILENCE_MS,
  };
  const { status, body } = await send(endpoint, options);
  const answer = parseJson(endpoint, status, body);
  if (status === 200) return answer;
  throw refusal(endpoint, status, answer);
}

function queryString(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) parameters.set(key, value);
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}

/** Loaded only here: the MUNGE library takes longer to load than everything else that a question needs. */
async function credential({ munge: settings }: Endpoint): Promise<{ authorization: string }> {
  const { Munge } = await import('../slurm/munge.js');
  return { authorization: `MUNGE ${await new Munge(settings).seal(new Uint8Array())}` };
}

function send(endpoint: Endpoint, options: RequestOptions): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (incoming) => {
      read(endpoint, incoming).then((body) => {
        resolve({ status: incoming.statusCode ?? 0, body });
      }, reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${SILENCE_MS / 1000} s`)));
    outgoing.on('error', (error) => {
      reject(error instanceof WattleError ? error : unreachable(endpoint, error));
    });
    outgoing.end();
  });
}

async function read(endpoint: Endpoint, incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) throw badAnswer(endpoint, `more than ${MAX_ANSWER_BYTES} bytes`);
    }
  } catch (error) {
    throw error instanceof WattleError ? error : unreachable(endpoint, error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(endpoint: Endpoint, status: number, body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw badAnswer(endpoint, `HTTP status ${status} and no JSON`);
  }
}

function refusal(endpoint: Endpoint, status: number, answer: unknown): WattleError {
  const { error } = (typeof answer === 'object' && answer !== null ? answer : {}) as { error?: unknown };
  const { code, message, remedy } = (typeof error === 'object' && error !== null ? error : {}) as Record<
    string,
    unknown
  >;
  if (typeof code !== 'string' || typeof message !== 'string' || typeof remedy !== 'string') {
    return badAnswer(endpoint, `HTTP status ${status} without a reason`);
  }
  // 503: the controller runs, and its database does not answer. To the caller the service is out of reach.
  return new WattleError(code, message, remedy, { exitCode: status === 503 ? EXIT.unreachable : EXIT.failed });
}

/** An answer that is not the controller's own: some other service at that address, or another version. */
export function badAnswer({ address }: Endpoint, found: string): WattleError {
  return new WattleError(
    'controller.bad-answer',
    `expected the answer of a Wattle controller at ${formatAddress(address)}, found ${found}`,
    'Check cluster.controller, and that controller and command are of the same version.',
  );
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'Start the controller on this host (systemctl start wattle-controller), or name it with --controller.',
  ECONNREFUSED: 'Start the controller (systemctl start wattle-controller), or name it with --controller.',
  EACCES: 'Ask the administrator for access to the socket, or name the TCP address with --controller.',
  ENOTFOUND: 'Check the host name in cluster.controller or --controller.',
};

function unreachable({ address }: Endpoint, cause: unknown): WattleError {
  const { code = '' } = cause as NodeJS.ErrnoException;
  return new WattleError(
    'controller.unreachable',
    `cannot reach the controller at ${formatAddress(address)}: ${messageOf(cause)}`,
    REMEDIES[code] ?? 'Check that the controller runs and that this host can reach it, or name it with --controller.',
    { cause, exitCode: EXIT.unreachable },
  );
}
