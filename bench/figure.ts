/** What every benchmark in this folder exports and hands out. */

/** One published number. */
export interface Figure {
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  /** The value to reach, where there is one. */
  readonly aim?: number;
  readonly better: 'lower' | 'higher';
  /** How it was measured: runs, spread, what it was compared with. The machine is added by the runner. */
  readonly context?: Readonly<Record<string, unknown>>;
}

export type Emit = (figure: Figure) => void;

export interface Benchmark {
  /** `room.what`, as in `npm run bench -- hook.latency`. */
  readonly name: string;
  readonly run: (emit: Emit) => Promise<void>;
}

/** The value below which `share` (0 to 1) of the values lie, by linear interpolation between the two nearest. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}
