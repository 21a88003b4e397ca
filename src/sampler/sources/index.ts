/**
 * sampler/sources/: meters outside this process, read at their own pace and handed to the native meter `reported`.
 * What they say is checked here, in memory-safe code: sizes, times and numbers of whatever a network, a line or a program sends.
 * Must never: throw at the sampler, show a secret, or fill a gap.
 */
import type { Hold } from './hold.js';
import { redfishHold, redfishSource, type RedfishOptions } from './redfish.js';
import type { Source } from './source.js';
import { wattmeterHold, wattmeterSource, type WattmeterOptions } from './wattmeter.js';

export { monotonicNs } from './clock.js';
export type { RedfishOptions } from './redfish.js';
export type { Source, SourceReading } from './source.js';
export type { WattmeterOptions } from './wattmeter.js';

export type SourceOptions = RedfishOptions | WattmeterOptions;

export function makeSource(options: SourceOptions): Source {
  return options.kind === 'redfish' ? redfishSource(options) : wattmeterSource(options);
}

/** What the native meter takes as `maxHoldMs` and `maxCounterHoldMs`. */
export function holdOf(options: SourceOptions): Hold {
  return options.kind === 'redfish' ? redfishHold(options) : wattmeterHold(options);
}

/** How often the source has something new at best, per second. */
export function paceHz(options: SourceOptions): number {
  if (options.kind === 'redfish') return 1000 / (options.periodMs ?? 2000);
  const { from, everyMs = 100, pollMs = 10_000 } = options;
  return 1000 / ('url' in from ? pollMs : Math.max(1, everyMs));
}

/** More is no power of a node, and is dropped. */
export const MOST_WATTS = 20_000;
