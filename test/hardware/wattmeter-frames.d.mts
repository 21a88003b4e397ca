import type { Waveform } from './waveform.mjs';

export interface FrameOptions {
  readonly nb: number;
  readonly channel: number;
  readonly waveform: Waveform;
  readonly periodNs: number;
  readonly elapsedNs: number;
  readonly stampS: number;
  readonly ok?: boolean;
}

export function frameHeader(nb: number): string;
export function frame(options: FrameOptions): string;
