/** What each configured meter finds, as findings: loud where a right is missing, quiet where a thing is not there. Pure. */
import type { Finding } from '../../agent/index.js';
import { buildTree, type MeterProbe, offersOf } from '../../sampler/index.js';

/** One meter that gives packages is enough; without any there is nothing to book. */
export function meterFindings(probes: readonly MeterProbe[]): Finding[] {
  const { domains } = buildTree(offersOf(probes), { witnesses: 'all' });
  const anything = domains.length > 0;
  const packages = domains.some(({ kind }) => kind === 'package');
  return probes.map((probe): Finding => {
    const { kind, available, outcome, reason = '', remedy, notes } = probe;
    const what = `meter ${kind}`;
    const lines = (found: string): string => [found, ...notes].join('\n');
    if (available) {
      const own = domains.filter(({ meter }) => meter === kind);
      const counted = own.filter(({ witnessOf }) => witnessOf === null).map(({ name }) => name);
      if (counted.length > 0) return { what, state: 'ok', found: lines(counted.join(', ')) };
      const opinions =
        own.length === 0
          ? 'not used: others are preferred'
          : `a second opinion on ${own.map(({ name }) => name).join(', ')}`;
      return { what, state: 'info', found: lines(opinions) };
    }
    const advice = remedy === undefined ? {} : { remedy };
    if (!anything) return { what, state: 'fail', found: reason, ...advice };
    // What is there but may not be read is somebody's mistake; what is not there, only where nothing takes its place.
    if (outcome !== 'absent') return { what, state: 'warn', found: reason, ...advice };
    return packages ? { what, state: 'info', found: reason } : { what, state: 'warn', found: reason, ...advice };
  });
}
