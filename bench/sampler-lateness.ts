/**
 * sampler.lateness: how late ticks begin at 1 kHz while every core computes, and how many are lost: deadlines that got
 * no tick of their own, and ticks that TypeScript did not get. Beside it the plain loop, also with our thread's
 * priority: what it is late by, the machine is. WATTLE_BENCH_SECONDS sets the length.
 */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sampler } from '../src/sampler/index.js';
import type { Emit } from './figure.js';
import { compiled, emulatedNode, longOrQuick, plainLoop, type PlainRun } from './native.js';

export const name = 'sampler.lateness';

const SECONDS = Number(process.env['WATTLE_BENCH_SECONDS'] ?? longOrQuick(600, 5));
const PLAIN_SECONDS = Math.max(1, Math.min(20, Math.round(SECONDS / 10)));
const RATE_HZ = 1000;
const DRAIN_MS = 100;

const mean = (runs: readonly PlainRun[], key: keyof PlainRun): number =>
  runs.reduce((sum, each) => sum + each[key], 0) / runs.length;

export async function run(emit: Emit): Promise<void> {
  const node = await emulatedNode();
  const load = spawn(await compiled('busy_kernel.c'), { stdio: 'ignore' });
  const sampler = new Sampler({ rateHz: RATE_HZ, sysfs: node.sysfs, meters: [{ kind: 'rapl-powercap' }] });
  const plain: PlainRun[] = [];
  const urgent: PlainRun[] = [];
  const takePlain = async (): Promise<void> => {
    plain.push(await plainLoop(RATE_HZ, PLAIN_SECONDS, node.counters, 'lateness'));
    urgent.push(await plainLoop(RATE_HZ, PLAIN_SECONDS, node.counters, 'realtime'));
  };
  try {
    await takePlain();
    sampler.start();
    let delivered = 0;
    for (const end = Date.now() + SECONDS * 1000; Date.now() < end;) {
      await sleep(DRAIN_MS);
      delivered += sampler.drain(() => undefined);
    }
    sampler.stop();
    delivered += sampler.drain(() => undefined);
    await takePlain();

    const { latenessUs, missed, lost, ticks, slowdowns, urgency, timerResolutionUs, achievedHz } = sampler.stats();
    const context = {
      seconds: SECONDS,
      rate_hz: RATE_HZ,
      load: 'one computing process per core',
      urgency,
      max_us: latenessUs.max,
      plain_p50_us: mean(plain, 'p50Us'),
      plain_p99_us: mean(plain, 'p99Us'),
      plain_realtime_p50_us: mean(urgent, 'p50Us'),
      plain_realtime_p99_us: mean(urgent, 'p99Us'),
      timer_resolution_us: timerResolutionUs,
    };
    emit({ figure: 'p50_us', value: latenessUs.p50, unit: 'us', better: 'lower', context });
    emit({ figure: 'p99_us', value: latenessUs.p99, unit: 'us', better: 'lower', context });
    emit({
      figure: 'lost_ticks',
      value: missed + (ticks - delivered),
      unit: 'ticks',
      aim: 0,
      better: 'lower',
      context: {
        seconds: SECONDS,
        ticks,
        missed,
        lost_in_ring: lost,
        slowdowns,
        achieved_hz: achievedHz,
        urgency,
        plain_realtime_overdue_per_second: mean(urgent, 'overdue') / PLAIN_SECONDS,
      },
    });
  } finally {
    sampler.stop();
    // Its children die with it.
    load.kill('SIGKILL');
    await node.stop();
  }
}
