/** Who is at the other end of a unix socket, as the kernel knows it (SO_PEERCRED). */
import type { Socket } from 'node:net';
import * as koffi from 'koffi';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred { pid_t pid; uid_t uid; gid_t gid; } */
const UCRED_BYTES = 12;

type GetSockOpt = (fd: number, level: number, option: number, value: Buffer, length: [number]) => number;
let getsockopt: GetSockOpt | undefined;

/** The uid of the process that connected; undefined where `socket` is not a connected unix socket. */
export function peerUid(socket: Socket): number | undefined {
  // Node has no public way to a socket's descriptor; the handle's is the one that libuv itself reads from.
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0 || socket.remoteAddress !== undefined) return undefined;
  getsockopt ??= koffi
    .load(null)
    .func(
      'int getsockopt(int fd, int level, int option, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
    ) as GetSockOpt;
  const credentials = Buffer.alloc(UCRED_BYTES);
  const length: [number] = [UCRED_BYTES];
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0 || length[0] !== UCRED_BYTES) return undefined;
  const uid = credentials.readUInt32LE(4);
  // The kernel's "nobody known": (uid_t)-1.
  return uid === 0xff_ff_ff_ff ? undefined : uid;
}
