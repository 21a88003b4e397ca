/** Every call of the ledger on behalf of a caller goes through here: timed, and its failures made one. */
import { WattleError } from '../contract/index.js';
import type { Metrics } from './metrics.js';

/**
 * The database's own errors say nothing that a caller could use: they become `ledger.unavailable`, with the cause kept
 * for the log.
 */
export async function askLedger<T>(metrics: Metrics, operation: string, call: () => Promise<T>): Promise<T> {
  const stop = metrics.ledgerSeconds.startTimer({ operation });
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof WattleError) throw cause;
    throw new WattleError('ledger.unavailable', 'the ledger does not answer', 'try again shortly', { cause });
  } finally {
    stop();
  }
}
