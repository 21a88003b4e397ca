/** Lines of an emulated OmegaWatt box along a known waveform; used by the process that prints them and by servers of them. */
import { energyUj } from './waveform.mjs';

/** The header for `nb` sockets. */
export function frameHeader(nb) {
  const sockets = Array.from({ length: nb }, (_, i) => `#current${i + 1},#activepow${i + 1}`);
  return `#timestamp,#frame_is_ok,#U1,#U2,#U3,${sockets.join(',')}\n`;
}

/**
 * The frame of the 10 ms (`periodNs`) before `atNs`: the waveform's mean power in socket `channel`, 40 W in the others.
 * `elapsedNs` is since the waveform's start, `stampS` the box's own time.
 */
export function frame({ nb, channel, waveform, periodNs, elapsedNs, stampS, ok = true }) {
  if (!ok) return `${stampS.toFixed(9)},false,,,,${Array(nb).fill(',').join(',')}\n`;
  const watts = ((energyUj(waveform, elapsedNs) - energyUj(waveform, elapsedNs - periodNs)) / periodNs) * 1e3;
  const sockets = Array.from({ length: nb }, (_, i) => {
    const shown = i + 1 === channel ? watts : 40;
    return `${(shown / 230).toFixed(1)},${shown.toFixed(1)}`;
  });
  return `${stampS.toFixed(9)},true,230.0,0.0,0.0,${sockets.join(',')}\n`;
}
