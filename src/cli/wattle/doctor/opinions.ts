/** What the domains' own watts say is wrong: silence, and second opinions that differ. Pure. */
import type { Finding } from '../../../agent/index.js';
import { disagreement, type Domain, type GpuStatus, type MeterKind, witnessName } from '../../../sampler/index.js';
import { humanPower } from '../../scarbon/quantities.js';
import { signedPercent } from '../figures-text.js';
import type { Look, SeenDomain } from './look.js';

/** Two meters are read at slightly different times: less than both of these is agreement. */
const TOLERATED_SHARE = 0.05;
const TOLERATED_WATTS = 2;

export interface Opinion {
  readonly witness: SeenDomain;
  /** As a share of the domain's watts; null where either is unknown. */
  readonly difference: number | null;
}

/** What others say of a domain. */
export function opinionsOn({ domain, watts }: SeenDomain, { domains }: Look): Opinion[] {
  return domains
    .filter((other) => other.domain.witnessOf === domain.index)
    .map((witness) => ({
      witness,
      difference: watts === null || witness.watts === null ? null : disagreement(watts, witness.watts),
    }));
}

/** A warning for each domain without a reading, for each pair that disagrees, and for each GPU that is lost. */
export function opinionFindings(look: Look): Finding[] {
  const ofDomains = look.domains.flatMap((seen) => {
    if (seen.watts === null) return [silent(seen, look.seconds)];
    return opinionsOn(seen, look).flatMap((opinion) => disagreeing(seen, opinion));
  });
  return [...ofDomains, ...look.gpus.filter(({ lost }) => lost).map(lostGpu)];
}

function lostGpu({ uuid, name, busId }: GpuStatus): Finding {
  return {
    what: 'GPU lost',
    state: 'warn',
    found: `${uuid} (${name}, ${busId}) does not answer any more`,
    remedy: 'look at `dmesg` for its Xid; drain the node and reset the GPU',
  };
}

function silent({ domain, health, problem }: SeenDomain, seconds: number): Finding {
  const { meter, name: what, rateHz } = domain;
  const look = `run wattle sample --meter ${meter} --for 30s`;
  if (problem !== null) return { what, state: 'warn', found: `${meter}: ${problem}`, remedy: look };
  const { failedReads, gaps, resets, freezes } = health;
  const harmless = failedReads + gaps + resets + freezes === 0;
  if (harmless && 2 / rateHz > seconds) {
    return { what, state: 'info', found: `${meter} has a reading every ${(1 / rateHz).toFixed(0)} s: ${look}` };
  }
  const counts = `${failedReads} failed reads, ${gaps} gaps, ${resets} resets, ${freezes > 0 ? 'frozen' : 'not frozen'}`;
  const found = `${meter} gave no power within ${seconds.toFixed(1)} s: ${counts}`;
  if (failedReads > 0) {
    return { what, state: 'warn', found, remedy: `look at \`dmesg\` for what the driver of ${meter} says` };
  }
  const frozen = 'its counter stands still: its time counts as not covered until it moves';
  return {
    what,
    state: 'warn',
    found,
    remedy: freezes > 0 ? frozen : `it is slower than that, or stands still: ${look}`,
  };
}

function disagreeing({ domain, watts }: SeenDomain, { witness, difference }: Opinion): Finding[] {
  if (watts === null || witness.watts === null) return [];
  const watt = Math.abs(witness.watts - watts);
  const far = difference === null || Math.abs(difference) > TOLERATED_SHARE;
  if (!far || watt <= TOLERATED_WATTS) return [];
  const by = difference === null ? '' : ` (${signedPercent(difference)})`;
  return [
    {
      what: domain.name,
      state: 'warn',
      found: `${domain.meter} says ${humanPower(watts)}, ${witnessName(domain, witness.domain)} ${humanPower(witness.watts)}${by}`,
      remedy: `${likelyCause(domain, witness.domain, witness.watts / watts)}; ${domain.meter} is what counts`,
    },
  ];
}

/** Ratios of the energy units that processors use: 15.3 and 61 microjoules, and Intel's other powers of two. */
function isUnitRatio(ratio: number): boolean {
  const power = Math.log2(ratio);
  return Math.abs(power) > 0.9 && Math.abs(power - Math.round(power)) < 0.05;
}

function likelyCause(domain: Domain, witness: Domain, ratio: number): string {
  const isRapl = (meter: MeterKind): boolean => meter.startsWith('rapl-') || meter === 'amd-energy';
  if (isRapl(domain.meter) && isRapl(witness.meter)) {
    if (isUnitRatio(ratio)) return 'likely one of them takes another unit of energy for this processor';
    return 'likely one of them reads another socket or die; run this again under a steady load';
  }
  if (domain.kind === 'gpu') {
    return "likely the load changed: the GPU's averaged power lags by up to 1 s, and its sensor sees a part of the time; run this again under a steady load";
  }
  return 'likely the slower of the two averages over a longer time; run this again under a steady load';
}
