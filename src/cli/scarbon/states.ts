/** Job states by their short and long names: `CD` and `COMPLETED`. */
import { nearest } from '../nearest.js';
import { usageError } from '../program.js';

const STATES: Readonly<Record<string, string>> = {
  BF: 'BOOT_FAIL',
  CA: 'CANCELLED',
  CD: 'COMPLETED',
  CG: 'COMPLETING',
  DL: 'DEADLINE',
  F: 'FAILED',
  NF: 'NODE_FAIL',
  OOM: 'OUT_OF_MEMORY',
  PD: 'PENDING',
  PR: 'PREEMPTED',
  R: 'RUNNING',
  RQ: 'REQUEUED',
  RS: 'RESIZING',
  RV: 'REVOKED',
  S: 'SUSPENDED',
  TO: 'TIMEOUT',
};

/** The long name of a state, whatever its case and form. */
export function stateName(written: string): string {
  const name = written.toUpperCase();
  const long = STATES[name] ?? Object.values(STATES).find((candidate) => candidate === name);
  if (long !== undefined) return long;
  const candidates = [...(name.length > 3 ? [] : Object.keys(STATES)), ...Object.values(STATES)];
  const meant = nearest(written, candidates);
  throw usageError(
    `unknown job state ${JSON.stringify(written)}`,
    meant === undefined
      ? `Known are ${Object.keys(STATES).join(', ')} and their long names, such as COMPLETED.`
      : `The nearest known state is ${meant}.`,
  );
}
