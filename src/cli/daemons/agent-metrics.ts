/** The agent's own figures for Prometheus. */
import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { Agent } from '../../agent/index.js';
import type { Sampler } from '../../sampler/index.js';

/** Functions, not objects: a reload puts another agent in place. */
export function agentMetrics(agent: () => Agent, sampler: () => Sampler): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'wattle_agent_' });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: `wattle_agent_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  gauge('active_jobs', 'Jobs that hold a share of this node', () => agent().activeJobs);
  gauge('spool_batches', 'Batches that wait for the controller', () => agent().spool.files);
  gauge('spool_bytes', 'Bytes that wait for the controller', () => agent().spool.bytes);
  gauge('spool_held', 'Batches in memory alone, because the disk takes none', () => agent().spool.held);
  gauge('spool_dropped', 'Batches given up: neither disk nor memory had room', () => agent().spool.dropped);
  for (const [name, help] of [
    ['events', 'Job events taken from the hook'],
    ['badEvents', 'Event files set aside because they were damaged'],
    ['segments', 'Ledger segments closed'],
    ['batchesSent', 'Batches acknowledged by the controller'],
    ['batchesRefused', 'Batches that the controller will never take'],
    ['spoolErrors', 'Failed writes to the spool'],
  ] as const) {
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    gauge(`${snake}_total`, help, () => agent().counts[name]);
  }
  gauge('sampler_ticks', 'Regular ticks taken', () => sampler().stats().ticks);
  gauge('sampler_late_ticks', 'Ticks that began late', () => sampler().stats().late);
  gauge('sampler_achieved_hz', 'Regular ticks per second as really taken', () => sampler().stats().achievedHz);
  gauge('sampler_cpu_seconds', 'CPU time of the sampling thread', () => sampler().stats().cpuSeconds);
  return registry;
}
