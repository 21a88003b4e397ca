/** CLOCK_MONOTONIC in ns, as Node itself reads it: the clock of the sampling thread, without the addon. */
export const monotonicNs = (): number => Number(process.hrtime.bigint());

export const NS_PER_MS = 1e6;
