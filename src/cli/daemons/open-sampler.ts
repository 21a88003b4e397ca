/** The agent's meters take privileges to open, and the agent then gives these up: what follows from that. */
import { isDeepStrictEqual } from 'node:util';
import { WattleError } from '../../contract/index.js';
import { type Capability, type MeterProbe, probeMeters, Sampler, type SamplerOptions } from '../../sampler/index.js';

/** From this rate on the sampling thread asks the kernel for precedence, each time that it starts. */
const URGENT_HZ = 100;

export interface OpenSampler {
  readonly options: SamplerOptions;
  readonly sampler: Sampler;
}

/**
 * Opens the meters. At a reload those that run stay open where nothing changed for them.
 * Throws a WattleError: what Sampler throws, and `agent.meter-closed` where the sampler would do without a meter that
 * runs, or that is newly named, because it cannot be opened any more.
 */
export function openSampler(options: SamplerOptions, running?: OpenSampler, probe = probeMeters): OpenSampler {
  if (running) {
    if (isDeepStrictEqual(options, running.options)) return running;
    const closed = probe(options).find((found) => isClosed(found, running));
    if (closed) {
      const why = closed.reason === undefined ? '' : `: ${closed.reason}`;
      throw new WattleError(
        'agent.meter-closed',
        `The meter ${closed.kind} cannot be opened without the privileges that the agent has given up${why}.`,
        'Restart the agent to change its meters.',
      );
    }
  }
  return { options, sampler: new Sampler(options) };
}

/** One that ran is missed whatever keeps it; of one that is newly named only the privileges are the agent's own doing. */
function isClosed({ kind, available, outcome }: MeterProbe, { options, sampler }: OpenSampler): boolean {
  if (available) return false;
  if (sampler.domains.some(({ meter }) => meter === kind)) return true;
  return outcome === 'forbidden' && !options.meters.some((meter) => meter.kind === kind);
}

/** Which capabilities are needed while the agent runs. */
export function neededBy(sampler: Sampler): Capability[] {
  // powercap's files, when they are opened again; and the environment of other users' processes, which tells their job
  // where Slurm makes no control groups: it takes both.
  const always: Capability[] = ['CAP_DAC_READ_SEARCH', 'CAP_SYS_PTRACE'];
  return sampler.stats().requestedHz >= URGENT_HZ ? [...always, 'CAP_SYS_NICE'] : always;
}
