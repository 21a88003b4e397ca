/**
 * job.freshness: on the demo's real cluster, seconds from a job's epilog to the moment when `scarbon` shows it
 * completed, with its energy. The epilog's time is that of its event file.
 */
import { watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCluster } from '../demo/cluster/index.js';
import { type Emit, quantile } from './figure.js';

export const name = 'job.freshness';

const JOBS = 7;

export async function run(emit: Emit): Promise<void> {
  // The intervals of a production site, not the demo's: reports every 10 s, facts every 30 s.
  const cluster = await startCluster({ tuning: { reportInterval: '10s', factsInterval: '30s' } });
  try {
    const seconds: number[] = [];
    for (let run = 0; run < JOBS; run++) {
      // Event files are named by the wall-clock ns at which the hook ran; the later of two is the epilog.
      let lastEventMs = 0;
      const watchers = cluster.nodes.map((node) =>
        watch(join(cluster.folder, 'events', node), (_kind, file) => {
          const at = /^(\d{20})-\d+\.event$/.exec(file ?? '')?.[1];
          if (at !== undefined) lastEventMs = Math.max(lastEventMs, Number(at.slice(0, -6)));
        }),
      );
      const id = await cluster.submit({ options: ['--ntasks=1', '--mem=10'], script: 'sleep 2' });
      for (;;) {
        const line = await cluster.scarbon([`--jobs=${id}`, '-X', '--parsable2', '-n', '--format=State,Package']);
        const [state, energy] = line.trim().split('|');
        if (state === 'COMPLETED' && Number(energy) > 0) break;
        await sleep(100);
      }
      seconds.push((Date.now() - lastEventMs) / 1000);
      for (const watcher of watchers) watcher.close();
    }
    const context = {
      runs: JOBS,
      min: Math.min(...seconds),
      max: Math.max(...seconds),
      report_interval: '10s',
      facts_interval: '30s',
    };
    emit({ figure: 'p50', value: quantile(seconds, 0.5), unit: 's', aim: 5, better: 'lower', context });
    emit({ figure: 'max', value: Math.max(...seconds), unit: 's', aim: 5, better: 'lower', context });
  } finally {
    await cluster.stop();
  }
}
