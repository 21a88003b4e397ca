/** `wattle doctor`: what this node can measure, with which meter, its watts now, and what would give it more. */
import type { Finding } from '../../agent/index.js';
import { formatAddress, loadConfig, type Config } from '../../config/index.js';
import type { ExitCode } from '../../contract/errors.js';
import type { MeterProbe } from '../../sampler/index.js';
import { ask } from '../controller-client.js';
import { samplerOptions } from '../daemons/agent.js';
import { printableJson } from '../printable.js';
import { examineNode } from './agent.js';
import { checkZones, slurmVersion, zonesFound } from './checks.js';
import { defaultConfig } from './defaults.js';
import { lookAtNode, type Look } from './doctor/look.js';
import { opinionFindings } from './doctor/opinions.js';
import { doctorJson, domainPage } from './doctor/page.js';
import { exitCodeOf, printFindings, tryTo } from './findings.js';

interface DoctorArguments {
  readonly config: string | undefined;
  readonly json: boolean;
}

export async function doctor({ config: path, json }: DoctorArguments): Promise<ExitCode> {
  let config: Config | undefined;
  const configFound = await tryTo('configuration', 'fail', () => {
    config = loadConfig({ path });
    return config.source.path;
  });
  // Without a configuration the defaults still tell what this node could measure.
  const shown = config ?? defaultConfig();
  const { findings: ofNode, probes } = await examineNode(shown);
  const { look, found } = await lookFor(shown, probes);
  const findings = [configFound, ...ofNode, ...found, ...(await examineCluster(shown))];
  if (json) {
    process.stdout.write(`${printableJson(doctorJson(findings, look))}\n`);
  } else {
    printFindings(findings);
    process.stdout.write(domainPage(look));
  }
  return exitCodeOf(findings);
}

/** The domains' watts, and what they say is wrong. Where no meter is available that is told already. */
async function lookFor(
  config: Config,
  probes: readonly MeterProbe[],
): Promise<{ readonly look: Look | null; readonly found: readonly Finding[] }> {
  if (!probes.some(({ available }) => available)) return { look: null, found: [] };
  const looks: Look[] = [];
  const sampled = await tryTo('watts', 'fail', async () => {
    const look = await lookAtNode(samplerOptions(config));
    looks.push(look);
    return `${look.stats.ticks} ticks in ${look.seconds.toFixed(1)} s`;
  });
  return { look: looks[0] ?? null, found: [sampled, ...looks.flatMap(opinionFindings)] };
}

async function examineCluster(config: Config): Promise<Finding[]> {
  const address = config.cluster.controller;
  return [
    await tryTo('Slurm', 'warn', () => slurmVersion(config)),
    await tryTo('zones', 'fail', () => zonesFound(checkZones(config))),
    await tryTo('controller', 'warn', async () => {
      await ask({ address, munge: config.munge }, '/healthz');
      return `answers at ${formatAddress(address)}`;
    }),
  ];
}
