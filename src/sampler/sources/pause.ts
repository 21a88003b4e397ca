import { setTimeout as sleep } from 'node:timers/promises';

const MAX_BACKOFF_MS = 30_000;

/** How long to wait after so many failures in a row: doubled each time, 30 s at most. */
export function backoffMs(failures: number, firstMs: number): number {
  return Math.min(MAX_BACKOFF_MS, firstMs * 2 ** Math.min(failures - 1, 16));
}

/** Waits; an abort ends the wait without an error. Does not keep the process alive. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}

/** Waits for `work` to end, `ms` at most. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work.catch(() => undefined), pause(ms, timer.signal)]);
  timer.abort();
}
