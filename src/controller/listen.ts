/** Sockets: opens them safely, limits what slow or greedy clients can hold, and closes them within a deadline. */
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { type RequestListener, type Server, createServer } from 'node:http';
import { type Socket, connect } from 'node:net';
import { dirname } from 'node:path';
import { WattleError } from '../contract/index.js';

export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** A client has this long for its headers, and for its whole request. A batch is less than 1.1 MB. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** Agents report every ten seconds or so: their connections are worth keeping. */
const KEEP_ALIVE_MS = 75_000;
/** More agents than this on one controller have not been tried. */
const MAX_CONNECTIONS = 20_000;
const PROBE_TIMEOUT_MS = 1_000;

export interface Listener {
  /** As it came out: a TCP port 0 has become a real one. */
  readonly address: ListenAddress;
  /** Takes no new connections, lets running requests end until the deadline, then cuts what is left. */
  close(deadlineMs: number): Promise<void>;
}

/**
 * @throws WattleError `listen.held` (another process has the address), `listen.failed`
 */
export async function listen(address: ListenAddress, handler: RequestListener): Promise<Listener> {
  if (address.kind === 'unix') await clearSocket(address.path);
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 5_000,
    },
    handler,
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  await bind(server, address);
  // Everybody may connect; who they are is asked of the kernel, and what they may see is decided for each request.
  if (address.kind === 'unix') await chmod(address.path, 0o666);
  return { address: boundAddress(server, address), close: (deadlineMs) => closeServer(server, deadlineMs) };
}

function bind(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const held = cause.code === 'EADDRINUSE';
      reject(
        new WattleError(
          held ? 'listen.held' : 'listen.failed',
          `cannot listen on ${name(address)}: ${held ? 'another process listens there' : cause.message}`,
          held ? 'stop that process, or change [controller] listen' : 'mend [controller] listen',
          { cause },
        ),
      );
    });
    if (address.kind === 'unix') server.listen(address.path, resolve);
    else server.listen(address.port, address.host, resolve);
  });
}

function boundAddress(server: Server, address: ListenAddress): ListenAddress {
  const bound = server.address();
  return address.kind === 'tcp' && typeof bound === 'object' && bound !== null
    ? { ...address, port: bound.port }
    : address;
}

const name = (address: ListenAddress): string =>
  address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;

/** Makes the folder, and removes a socket that a crash left behind; one that answers is left alone. */
async function clearSocket(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) {
    const remedy = 'move it away, or change [controller] listen';
    throw new WattleError('listen.failed', `${path} is there, and is not a socket`, remedy);
  }
  if (await answers(path)) {
    const remedy = 'stop the controller that runs there, or change [controller] listen';
    throw new WattleError('listen.held', `another process listens on unix:${path}`, remedy);
  }
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(path);
    const done = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, done(true));
    socket.once('connect', done(true));
    socket.once('error', done(false));
  });
}

async function closeServer(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  server.closeIdleConnections();
  const timer = setTimeout(() => {
    server.closeAllConnections();
  }, deadlineMs);
  await closed;
  clearTimeout(timer);
}
