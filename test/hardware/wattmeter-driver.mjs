/**
 * Prints what an OmegaWatt box's reader prints, as a process of its own: started with one JSON argument, see
 * WattmeterEmulation of wattmeter-stream.ts. Frames are printed in bundles, as a pipe's buffer hands them over.
 */
import { setInterval } from 'node:timers';
import { frame, frameHeader } from './wattmeter-frames.mjs';

const { nb, channel, waveform, startNs, periodMs, bundleMs, skewS, badFrom, badTo, exitAfterMs } = JSON.parse(
  process.argv[2],
);
const nowNs = () => Number(process.hrtime.bigint());
const periodNs = periodMs * 1e6;
const begunNs = nowNs();
const epochNs = Date.now() * 1e6 - begunNs;
let atNs = begunNs;

process.stdout.on('error', () => process.exit(0));
process.stdout.write(frameHeader(nb));
setInterval(() => {
  let text = '';
  for (; atNs + periodNs <= nowNs(); atNs += periodNs) {
    const endNs = atNs + periodNs;
    const sinceMs = (endNs - begunNs) / 1e6;
    const ok = !(sinceMs >= badFrom && sinceMs < badTo);
    const stampS = (endNs + epochNs) / 1e9 + skewS;
    text += frame({ nb, channel, waveform, periodNs, elapsedNs: endNs - startNs, stampS, ok });
  }
  process.stdout.write(text);
  if (exitAfterMs > 0 && (nowNs() - begunNs) / 1e6 > exitAfterMs) {
    process.stderr.write('the cable is loose\n');
    process.exit(3);
  }
}, bundleMs);
