/** `wattle doctor`: what this node can measure, with which meter, and what would give it more. */
import type { Finding } from '../../agent/index.js';
import { formatAddress, loadConfig, parseConfig, type Config } from '../../config/index.js';
import type { ExitCode } from '../../contract/errors.js';
import { buildTree, type MeterProbe, offersOf } from '../../sampler/index.js';
import { ask } from '../controller-client.js';
import { printable } from '../printable.js';
import { examineNode } from './agent.js';
import { checkZones, slurmVersion, zonesFound } from './checks.js';
import { exitCodeOf, printFindings, tryTo } from './findings.js';

export async function doctor({ config: path }: { readonly config: string | undefined }): Promise<ExitCode> {
  let config: Config | undefined;
  const configFound = await tryTo('configuration', 'fail', () => {
    config = loadConfig({ path });
    return config.source.path;
  });
  // Without a configuration the defaults still tell what this node could measure.
  const shown = config ?? defaults();
  const node = await examineNode(shown);
  const findings = [configFound, ...node.findings, ...(await examineCluster(shown))];
  printFindings(findings);
  process.stdout.write(domainTree(node.probes));
  return exitCodeOf(findings);
}

function defaults(): Config {
  return parseConfig('[cluster]\nname = "unconfigured"\n', 'the defaults');
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

/** The node's one domain tree: energy of a branch contains that of its twigs. Then why it is as it is. */
function domainTree(probes: readonly MeterProbe[]): string {
  const { domains, reasons } = buildTree(offersOf(probes));
  const under = (parent: number | null, depth: number): string[] =>
    domains.flatMap(({ name, kind, meter, quality, parent: above, witnessOf }, index) =>
      above === parent && witnessOf === null
        ? [`${'  '.repeat(depth)}${printable(name)} (${kind}, ${meter}, ${quality})`, ...under(index, depth + 1)]
        : [],
    );
  if (domains.length === 0) return '\nNo meter, no domain.\n';
  return `\nDomains:\n${under(null, 1).join('\n')}\n\nWhy:\n${reasons.map((reason) => `  ${printable(reason)}`).join('\n')}\n`;
}
