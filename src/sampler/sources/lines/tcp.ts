import { connect } from 'node:net';
import { shown, SourceProblem } from '../problem.js';
import type { LineOrigin } from './origin.js';
import { feedFrom } from './stream.js';

/** A peer that lost its power says no good-bye. */
const SILENT_MS = 30_000;

/** Lines that a server sends to whoever connects. */
export function tcpOrigin(host: string, port: number): LineOrigin {
  return async (feed, signal) => {
    const socket = connect({ host, port });
    let why = 'closed the connection';
    socket.setTimeout(SILENT_MS, () => {
      socket.destroy(new SourceProblem(`sent nothing for ${SILENT_MS / 1000} s`));
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
