/**
 * Known power over time, and its exact integral: the truth that samplers are compared with.
 * Used by the emulator's own process and by the tests, so that both speak of the same microjoules.
 */

/** Level of `random` at a step, from 0 to 1: a hash, so that both sides of a test draw the same numbers. */
function level(seed, step) {
  let h = (Math.imul(step + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d) >>> 0;
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b) >>> 0;
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

const RANDOM_STEP_S = 0.05;
/** Joules of `random` up to each step, summed once and kept. */
const randomSums = new Map();

function randomJoules({ lowWatts, highWatts, seed = 1 }, seconds) {
  const key = `${lowWatts} ${highWatts} ${seed}`;
  const sums = randomSums.get(key) ?? [0];
  randomSums.set(key, sums);
  const step = Math.floor(seconds / RANDOM_STEP_S);
  const watts = (n) => lowWatts + (highWatts - lowWatts) * level(seed, n);
  while (sums.length <= step) sums.push(sums[sums.length - 1] + watts(sums.length - 1) * RANDOM_STEP_S);
  return sums[step] + watts(step) * (seconds - step * RANDOM_STEP_S);
}

function squareJoules({ lowWatts, highWatts, periodS }, seconds) {
  const periods = Math.floor(seconds / periodS);
  const rest = seconds - periods * periodS;
  const half = periodS / 2;
  const high = Math.min(rest, half);
  return periods * half * (lowWatts + highWatts) + high * highWatts + (rest - high) * lowWatts;
}

/** From low to high in each period, then back to low at once. */
function rampJoules({ lowWatts, highWatts, periodS }, seconds) {
  const periods = Math.floor(seconds / periodS);
  const rest = seconds - periods * periodS;
  const slope = (highWatts - lowWatts) / periodS;
  return (periods * periodS * (lowWatts + highWatts)) / 2 + lowWatts * rest + (slope * rest * rest) / 2;
}

/** Whole microjoules that a waveform has drawn `elapsedNs` after its start. */
export function energyUj(waveform, elapsedNs) {
  const seconds = elapsedNs / 1e9;
  switch (waveform.shape) {
    case 'constant':
      return Math.floor(waveform.watts * seconds * 1e6);
    case 'square':
      return Math.floor(squareJoules(waveform, seconds) * 1e6);
    case 'ramp':
      return Math.floor(rampJoules(waveform, seconds) * 1e6);
    case 'random':
      return Math.floor(randomJoules(waveform, seconds) * 1e6);
    default:
      throw new Error(`unknown waveform ${JSON.stringify(waveform)}`);
  }
}

/** The same shape with a part of its power. */
export function scaled(waveform, share) {
  if (waveform.shape === 'constant') return { ...waveform, watts: waveform.watts * share };
  return { ...waveform, lowWatts: waveform.lowWatts * share, highWatts: waveform.highWatts * share };
}

export function peakWatts(waveform) {
  return waveform.shape === 'constant' ? waveform.watts : waveform.highWatts;
}

/** What a counter of `rangeUj` (as the kernel shows it) goes through before it is 0 again. */
export function modulusUj(rangeUj) {
  return rangeUj + Math.floor(rangeUj / 0xffff_ffff);
}
