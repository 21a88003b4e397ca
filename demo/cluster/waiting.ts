/** Waiting for something that another process will do. */
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/**
 * Asks `probe` until it answers something other than undefined, every `everyMs`; a probe that throws has not answered.
 * After `withinMs` it throws what `onTimeout` makes of the last error.
 */
export async function until<Answer>(
  probe: () => Answer | undefined | Promise<Answer | undefined>,
  wait: { withinMs: number; everyMs?: number; onTimeout: (lastError: unknown) => Error },
): Promise<Answer> {
  const deadline = performance.now() + wait.withinMs;
  let lastError: unknown;
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== undefined) return answer;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= deadline) throw wait.onTimeout(lastError);
    await sleep(wait.everyMs ?? 100);
  }
}
