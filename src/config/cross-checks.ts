/** What no key can tell alone: that keys fit each other. */
import type { KeyPath } from './positions.js';
import type { ConfigProblem } from './problem.js';
import type { ConfigFile } from './schema.js';

/** Meters that read nothing without a table of their own, and what that has to name. */
const DECLARED = { redfish: 'url and credentials_file', wattmeter: 'format, from and channels' } as const;

type Found = Omit<ConfigProblem, 'position'>;

export function crossChecks({ sampler }: ConfigFile): Found[] {
  return sampler.meters.flatMap((meter, index): Found[] => {
    const keyPath: KeyPath = ['sampler', 'meters', String(index)];
    const first = sampler.meters.indexOf(meter);
    if (first < index) {
      const message = `expected each meter once, found "${meter}" again`;
      return [
        { code: 'config.value', keyPath, message, remedy: 'Leave it where it stands first, or where it is to be.' },
      ];
    }
    if ((meter !== 'redfish' && meter !== 'wattmeter') || sampler[meter] !== undefined) return [];
    const message = `expected a table [sampler.${meter}] that says what it reads, found none`;
    const remedy = `Write [sampler.${meter}] with ${DECLARED[meter]} (docs/meters/${meter}.md), or take "${meter}" out of meters.`;
    return [{ code: 'config.value', keyPath, message, remedy }];
  });
}
