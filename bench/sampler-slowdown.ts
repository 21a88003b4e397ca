/**
 * sampler.slowdown: how much longer a job that computes on every core takes while the node is sampled at 1 kHz, with and
 * without in turn. A published study of seven RAPL tools found 0.25 % to 46.75 % at that rate.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Sampler } from '../src/sampler/index.js';
import { quantile, type Emit } from './figure.js';
import { compiled, emulatedNode, longOrQuick } from './native.js';

export const name = 'sampler.slowdown';

const RATE_HZ = 1000;
const DRAIN_MS = 100;
const PAIRS = longOrQuick(5, 2);
const JOB_SECONDS = longOrQuick(5, 1);

export async function run(emit: Emit): Promise<void> {
  // Real counters move at no cost to the job; ours move seldom, so that they cost it nothing either.
  const node = await emulatedNode({ updateHz: 10 });
  const program = await compiled('busy_kernel.c');
  const job = async (rounds: number): Promise<number> =>
    Number((await promisify(execFile)(program, [String(rounds)])).stdout);
  const trial = 1000;
  const rounds = Math.ceil((trial * JOB_SECONDS * 1e9) / (await job(trial)));

  const sampled = async (): Promise<number> => {
    const sampler = new Sampler({ rateHz: RATE_HZ, sysfs: node.sysfs, meters: [{ kind: 'rapl-powercap' }] });
    let joules = 0;
    const draining = setInterval(() => {
      sampler.drain((tick) => {
        for (const { index } of sampler.domains) joules += tick.energyUj(index) + tick.coveredNs(index);
      });
    }, DRAIN_MS);
    sampler.start();
    const ns = await job(rounds);
    clearInterval(draining);
    sampler.stop();
    if (joules === 0) throw new Error('nothing was sampled');
    return ns;
  };

  try {
    const slowdowns: number[] = [];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      // Alternating which goes first: whatever slows one of a pair slows the other as often.
      const first = pair % 2 === 0;
      const early = first ? await sampled() : await job(rounds);
      const late = first ? await job(rounds) : await sampled();
      slowdowns.push((first ? early / late - 1 : late / early - 1) * 100);
    }
    emit({
      figure: 'percent_at_1khz',
      value: quantile(slowdowns, 0.5),
      unit: '%',
      better: 'lower',
      context: {
        pairs: PAIRS,
        job_seconds: JOB_SECONDS,
        job: 'matrix products, one process per core',
        p10: quantile(slowdowns, 0.1),
        p90: quantile(slowdowns, 0.9),
        drained_every_ms: DRAIN_MS,
        published_range_of_seven_tools: [0.25, 46.75],
      },
    });
  } finally {
    await node.stop();
  }
}
