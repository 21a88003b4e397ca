/** What a meter outside this process says of its domain at one moment: power, or energy counted since some start. */
export interface SourceReading {
  readonly unit: 'watts' | 'joules';
  /** Not negative. */
  readonly value: number;
  /** CLOCK_MONOTONIC of the value in ns, see monotonicNs(). */
  readonly monoNs: number;
}

/** Reads a meter that is reached over a network, a line or a program of its own, at the meter's own pace. */
export interface Source {
  /**
   * Reads until stop(). Never throws and never gives up: a source that fails says so in `problem` and tries again.
   * A time without a good reading is a gap, never a zero and never the last value again.
   */
  start(report: (reading: SourceReading) => void): void;
  /** Resolves when nothing of it runs any more, at the latest after 2 s. */
  stop(): Promise<void>;
  /** What is wrong at present, one sentence for an administrator; null while readings come. */
  readonly problem: string | null;
}
