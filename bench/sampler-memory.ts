/**
 * sampler.memory: native memory of a window of 60 s at 1 kHz over 16 domains, and how much more it is an hour later.
 * The hour is emulated (bench/tick_loop.cc): the sampler's own ticks, back to back on a clock that is set.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Emit } from './figure.js';
import { compiled, emulatedNode, longOrQuick } from './native.js';

export const name = 'sampler.memory';

const RATE_HZ = 1000;
const HOURS = longOrQuick(1, 0.05);
const SOCKETS = 4;

interface Memory {
  readonly domains: number;
  readonly ringBytes: number;
  readonly reservedBytes: number;
  readonly growthBytes: number;
  readonly heapGrowthBytes: number;
  readonly faults: number;
}

export async function run(emit: Emit): Promise<void> {
  const node = await emulatedNode({ sockets: SOCKETS, updateHz: 0 });
  try {
    const ticks = Math.round(HOURS * 3600 * RATE_HZ);
    const args = [String(ticks), String(RATE_HZ), node.sysfs, 'rapl-powercap'];
    const { stdout } = await promisify(execFile)(await compiled('tick_loop.cc'), args);
    const memory = JSON.parse(stdout) as Memory;
    if (memory.domains !== 16 || memory.faults > 0) throw new Error(`16 domains and no fault expected: ${stdout}`);
    const context = { ticks, rate_hz: RATE_HZ, domains: memory.domains, window_seconds: 60 };
    emit({
      figure: 'ring_bytes',
      value: memory.ringBytes,
      unit: 'bytes',
      better: 'lower',
      context: { ...context, reserved_bytes: memory.reservedBytes, measured: 'resident pages once the ring is full' },
    });
    emit({
      figure: 'growth_bytes',
      value: memory.growthBytes,
      unit: 'bytes',
      aim: 0,
      better: 'lower',
      context: { ...context, emulated_hours: HOURS, heap_growth_bytes: memory.heapGrowthBytes },
    });
  } finally {
    await node.stop();
  }
}
