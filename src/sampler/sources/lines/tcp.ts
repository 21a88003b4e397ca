import { connect } from 'node:net';
import { shown, SourceProblem } from '../problem.js';
import type { LineOrigin } from './origin.js';
import { feedFrom } from './stream.js';

/** A peer that lost its power says no good-bye. */
const SILENT_MS = 30_000;

/** Lines that a server sends to whoever connects. */
export function tcpOrigin(
  { host, port }: { readonly host: string; readonly port: number },
  holdMs: number,
): LineOrigin {
  // A meter that speaks once a minute is no lost peer.
  const silentMs = Math.max(SILENT_MS, holdMs);
  return async (feed, signal) => {
    const socket = connect({ host, port });
    let why = 'closed the connection';
    socket.setTimeout(silentMs, () => {
      socket.destroy(new SourceProblem(`sent nothing for ${silentMs / 1000} s`));
    });
    try {
      await feedFrom(socket, feed, signal);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'error';
      why = error instanceof SourceProblem ? error.message : `cannot be read (${shown(code)})`;
    }
    if (signal.aborted) return;
    throw new SourceProblem(`${host}:${port} ${why}`);
  };
}
