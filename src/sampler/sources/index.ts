/**
 * sampler/sources/: meters outside this process, read at their own pace and handed to the native meter `reported`.
 * What they say is checked here, in memory-safe code: sizes, times and numbers of whatever a network, a line or a program sends.
 * Must never: throw at the sampler, show a secret, or fill a gap.
 */
import { redfishSource, type RedfishOptions } from './redfish.js';
import type { Source } from './source.js';
import { wattmeterSource, type WattmeterOptions } from './wattmeter.js';

export { monotonicNs } from './clock.js';
export type { RedfishOptions } from './redfish.js';
export type { Source, SourceReading } from './source.js';
export type { WattmeterOptions } from './wattmeter.js';

export type SourceOptions = RedfishOptions | WattmeterOptions;

export function makeSource(options: SourceOptions): Source {
  return options.kind === 'redfish' ? redfishSource(options) : wattmeterSource(options);
}

/** A meter that sends ten readings a second, and is silent for one, has a gap. */
const LIVE_HOLD_MS = 1000;
/** A BMC misses an answer now and then; an energy counter of whole Wh moves every few seconds. */
const SLOW_HOLD_MS = 10_000;

/** For how long a reading of the source stands when none follows: `maxHoldMs` of the native meter. */
export function holdMs(options: SourceOptions): number {
  if (options.kind === 'redfish') return Math.max(SLOW_HOLD_MS, 3 * (options.periodMs ?? 2000));
  const { from, unit, everyMs = 100, pollMs = 10_000 } = options;
  if ('url' in from) return Math.max(SLOW_HOLD_MS, 3 * pollMs);
  return unit === 'kWh' || unit === 'joules' ? SLOW_HOLD_MS : Math.max(LIVE_HOLD_MS, 10 * everyMs);
}

/** How often the source has something new at best, per second. */
export function paceHz(options: SourceOptions): number {
  if (options.kind === 'redfish') return 1000 / (options.periodMs ?? 2000);
  const { from, everyMs = 100, pollMs = 10_000 } = options;
  return 1000 / ('url' in from ? pollMs : Math.max(1, everyMs));
}

/** More is no power of a node, and is dropped. */
export const MOST_WATTS = 20_000;
