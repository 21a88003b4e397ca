/** Where a service listens or is found: a unix socket or a TCP port. */

export interface UnixAddress {
  readonly kind: 'unix';
  readonly path: string;
}
export interface TcpAddress {
  readonly kind: 'tcp';
  readonly host: string;
  readonly port: number;
}
export type Address = UnixAddress | TcpAddress;

/** Longest socket path the kernel takes: sun_path is 108 bytes with its closing NUL. */
export const MAX_SOCKET_PATH_BYTES = 107;

export const DEFAULT_CONTROLLER = 'unix:/run/wattle-controller/api.sock';

/** `unix:/path`, undefined where the text is none or the path is one that no socket can have. */
export function readUnixAddress(text: string): UnixAddress | undefined {
  const path = /^unix:(\/[^\0]+)$/.exec(text)?.[1];
  if (path === undefined || Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) return undefined;
  return { kind: 'unix', path };
}

/** `host:port`, `1.2.3.4:port` or `[ipv6]:port`; undefined where the text is none of them. */
export function readTcpAddress(text: string): TcpAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9_.-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  return { kind: 'tcp', host, port };
}

/** `unix:/path` or `http://host:port`: the form in which clients name the controller. */
export function readServiceAddress(text: string): Address | undefined {
  const tcp = /^http:\/\/([^/]+)\/?$/.exec(text)?.[1];
  return tcp === undefined ? readUnixAddress(text) : readTcpAddress(tcp);
}

/** The address as a person writes it: `unix:/path` or `http://host:port`. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `http://${host}:${address.port}`;
}
