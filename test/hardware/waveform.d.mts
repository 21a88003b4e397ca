/** Power over time. Every shape starts at its first instant when the emulator starts. */
export type Waveform =
  | { readonly shape: 'constant'; readonly watts: number }
  /** First half of each period high, second half low. */
  | { readonly shape: 'square'; readonly lowWatts: number; readonly highWatts: number; readonly periodS: number }
  /** From low to high in each period, then back to low at once. */
  | { readonly shape: 'ramp'; readonly lowWatts: number; readonly highWatts: number; readonly periodS: number }
  /** A new level every 50 ms. */
  | { readonly shape: 'random'; readonly lowWatts: number; readonly highWatts: number; readonly seed?: number };

/** The same shape with a part of its power. */
export function scaled(waveform: Waveform, share: number): Waveform;
export function peakWatts(waveform: Waveform): number;
export function energyUj(waveform: Waveform, elapsedNs: number): number;
export function modulusUj(rangeUj: number): number;
