/** Figures of domains and of the sampler as text for people. Pure. */
import type { Domain } from '../../sampler/index.js';
import { humanPower } from '../scarbon/quantities.js';

export const ESTIMATED = '~';
export const GAPPED = '*';

/** Power with its mark: `~` an estimate, `*` a mean over less than all of the time. */
export function power(watts: number | null, { quality }: Pick<Domain, 'quality'>, gapped = false): string {
  if (watts === null) return '-';
  return `${gapped ? GAPPED : ''}${quality === 'estimated' ? ESTIMATED : ''}${humanPower(watts)}`;
}

export const percent = (share: number, decimals: number): string => `${(share * 100).toFixed(decimals)} %`;

export function signedPercent(share: number): string {
  const text = percent(Math.abs(share), 1);
  return `${share < 0 && Number.parseFloat(text) > 0 ? '-' : '+'}${text}`;
}

/** Columns in `right` stand at the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) => (right.includes(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** `1000 Hz`, `9.98 Hz`. */
export function hertz(rate: number): string {
  const rounded = rate >= 99.95 ? Math.round(rate) : Number(rate.toPrecision(3));
  return `${rounded} Hz`;
}

/** Microseconds, from a millisecond on in milliseconds. */
export function micro(us: number): string {
  if (us >= 999.5) return `${(us / 1000).toFixed(1)} ms`;
  return `${us >= 10 ? Math.round(us) : Number(us.toPrecision(2))} us`;
}
