import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LineFeed } from './origin.js';

/** Hands the chunks of a stream on; lets the writer wait where the feed asks for it. Resolves at the end of the stream. */
export async function feedFrom(stream: Readable, feed: LineFeed, signal: AbortSignal): Promise<void> {
  const destroy = (): void => {
    stream.destroy();
  };
  signal.addEventListener('abort', destroy);
  try {
    if (signal.aborted) destroy();
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const waitMs = feed.data(chunk);
      if (waitMs > 0) await sleep(waitMs, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', destroy);
    destroy();
  }
}
