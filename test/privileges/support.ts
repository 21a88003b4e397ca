/** What these tests need of their host, and how they look at threads. */
import { readdirSync, readFileSync } from 'node:fs';

const status = readFileSync('/proc/self/status', 'utf8');
const effective = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(status)?.[1] ?? '0'}`);

/** CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE, as the kernel prints a set. */
export const TWO = '0000000000080004';
export const NONE = '0000000000000000';

/** Giving privileges up takes some: a container's root may have too few as well. */
export const privileged = process.getuid?.() === 0 && (effective & BigInt(`0x${TWO}`)) === BigInt(`0x${TWO}`);
export const NEEDS = 'needs root with CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE';

/** A line of every thread's status. */
export function ofEachThread(pid: number, field: string): string[] {
  const values = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '';
  });
  return [...new Set(values)];
}
