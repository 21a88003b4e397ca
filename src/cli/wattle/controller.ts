/** `wattle controller`: runs the controller, or with `--check` tells what it would lack. */
import type { Finding } from '../../agent/index.js';
import { loadConfig, type Config } from '../../config/index.js';
import { EXIT, type ExitCode } from '../../contract/errors.js';
import type { DaemonArguments } from './agent.js';
import { checkDatabase, checkMunge, checkZones, slurmVersion, zonesFound } from './checks.js';
import { exitCodeOf, printFindings, tryTo } from './findings.js';

export async function controller({ config: path, check }: DaemonArguments): Promise<ExitCode> {
  const load = (): Config => loadConfig({ path });
  const config = load();
  if (check) {
    const findings = await controllerFindings(config);
    printFindings(findings);
    return exitCodeOf(findings);
  }
  checkZones(config);
  const { runController } = await import('../daemons/controller.js');
  await runController(config, load);
  return EXIT.done;
}

async function controllerFindings(config: Config): Promise<Finding[]> {
  const slurm = config.slurm.accounting === 'sacct' ? [await tryTo('Slurm', 'fail', () => slurmVersion(config))] : [];
  return [
    { what: 'configuration', state: 'ok', found: config.source.path },
    await tryTo('zones', 'fail', () => zonesFound(checkZones(config))),
    await tryTo('ledger', 'fail', () => checkDatabase(config)),
    await tryTo('MUNGE', 'fail', () => checkMunge(config)),
    ...slurm,
  ];
}
