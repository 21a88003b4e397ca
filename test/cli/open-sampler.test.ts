/** What a reload makes of meters that can no longer be opened. */
import { expect, test } from '@jest/globals';
import { type OpenSampler, openSampler } from '../../src/cli/daemons/open-sampler.js';
import type { MeterOptions, MeterProbe, SamplerOptions } from '../../src/sampler/index.js';

const MODEL: MeterOptions = { kind: 'model', idleWatts: 50, wattsPerCore: 1, cpu: { format: 'pushed' } };
const sampled = (...meters: MeterOptions[]): SamplerOptions => ({ sysfs: '/nowhere', rateHz: 1, meters });

/** A reload from one choice of meters to another, where those of the latter are found to be as told. */
function reload(from: SamplerOptions, to: SamplerOptions, outcomes: readonly MeterProbe['outcome'][]): OpenSampler {
  const found = to.meters.map(({ kind }, index): MeterProbe => {
    const outcome = outcomes[index] ?? 'available';
    return { kind, available: outcome === 'available', outcome, reason: 'as told', notes: [], domains: [] };
  });
  return openSampler(to, openSampler(from), () => found);
}

const before = sampled(MODEL);
const added = sampled({ kind: 'rapl-msr' }, MODEL);
const refused = expect.objectContaining({ code: 'agent.meter-closed', remedy: expect.stringContaining('Restart') });

test('a meter that is newly named, and may not be opened any more, is refused', () => {
  expect(() => reload(before, added, ['forbidden'])).toThrow(refused);
});

test('one that is not there, or was forbidden before, is left out as at a start', () => {
  expect(reload(before, added, ['absent']).sampler.domains).toMatchObject([{ meter: 'model' }]);
  expect(reload(added, { ...added, rateHz: 2 }, ['forbidden']).options.rateHz).toBe(2);
});

test('one that runs is missed whatever keeps it', () => {
  expect(() => reload(before, { ...before, rateHz: 2 }, ['absent'])).toThrow(refused);
});
