/** What every other test of the emulated hardware relies on: its C++ draws the same power as the truth in JavaScript. */
import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { energyUj, type Waveform } from '../hardware/waveform.mjs';
import { loadEmulatedAddon, type EmulatedAddon } from './addon.js';

const MINUTES = 60_000;
let addon: EmulatedAddon;

beforeAll(async () => {
  addon = await loadEmulatedAddon();
}, 10 * MINUTES);

const watts = fc.double({ min: 0, max: 2000, noNaN: true });
const levels = { lowWatts: watts, highWatts: watts };
const periodS = fc.double({ min: 0.001, max: 100, noNaN: true });
const waveform: fc.Arbitrary<Waveform> = fc.oneof(
  fc.record({ shape: fc.constant('constant' as const), watts }),
  fc.record({ shape: fc.constant('square' as const), ...levels, periodS }),
  fc.record({ shape: fc.constant('ramp' as const), ...levels, periodS }),
  fc.record({ shape: fc.constant('random' as const), ...levels, seed: fc.integer({ min: 0, max: 1000 }) }),
);
const HOUR_NS = 3600e9;

test('C++ and JavaScript know the same energy, to the microjoule', () => {
  const instants = fc.array(fc.integer({ min: 0, max: HOUR_NS }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(waveform, instants, (shape, times) => {
      for (const ns of times) expect(addon.emulation.energyUj(shape, ns)).toBe(energyUj(shape, ns));
    }),
    { numRuns: 500 },
  );
});

test('a hardware counter of another name has no faults', () => {
  addon.emulation.clear();
  expect(addon.emulation.fault('nothing', 'frozen')).toBe(false);
});
