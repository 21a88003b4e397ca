/** Puts a controller together from the configuration and runs it as a daemon. */
import { YEARLY_AVERAGES, canonicalZone, yearlySeries } from '../../carbon/index.js';
import type { Config, PlaceConfig } from '../../config/index.js';
import { messageOf } from '../../contract/index.js';
import { Controller, type ControllerOptions, type ReloadableOptions } from '../../controller/index.js';
import { Ledger, openDatabase } from '../../ledger/index.js';
import { Munge, Sacct, slurmOperators } from '../../slurm/index.js';
import { nodePartitions } from '../../slurm/nodes.js';
import { daemonLog } from './log.js';

/** Together with closing the database this stays below the 5 s in which a daemon has to end. */
const DRAIN_MS = 3_000;

function places(configured: Readonly<Record<string, PlaceConfig>>): Record<string, PlaceConfig> {
  return Object.fromEntries(
    Object.entries(configured).map(([name, { zone, ...rest }]) => [
      name,
      zone === undefined ? rest : { ...rest, zone: canonicalZone(zone) },
    ]),
  );
}

/** What a reload takes over. @throws WattleError `carbon.unknown-zone` */
function reloadable({ carbon, controller }: Config): ReloadableOptions {
  return {
    access: { agentUsers: controller.agentUsers, operators: controller.operators },
    sites: {
      ...(carbon.zone === undefined ? {} : { zone: canonicalZone(carbon.zone) }),
      pue: carbon.pue,
      partitions: places(carbon.partitions),
      nodes: places(carbon.nodes),
    },
  };
}

/** Slurm's side: absent where the site runs without accounting. */
function slurmSide({ slurm }: Config): Pick<ControllerOptions, 'facts' | 'askNodes' | 'askOperators'> {
  if (slurm.accounting === 'none') return {};
  return {
    facts: new Sacct(slurm),
    askNodes: () => nodePartitions(slurm),
    askOperators: () => slurmOperators(slurm),
  };
}

/**
 * Runs until SIGTERM or SIGINT, which drain within 5 s. SIGHUP reads the configuration again and takes over zones,
 * PUE and access; the rest needs a restart. A configuration that does not load leaves the running one in place.
 */
export async function runController(config: Config, load: () => Config): Promise<void> {
  const log = daemonLog(config);
  const database = await openDatabase({
    url: config.database.url,
    path: config.database.path,
    onConnectionLost: (error) => {
      log.warn({ error: error.message }, 'lost a connection to PostgreSQL');
    },
  });
  try {
    const ledger = await Ledger.open(database, config.cluster.name);
    await ledger.storeCarbonSeries(YEARLY_AVERAGES.map(yearlySeries));
    const controller = await Controller.start({
      ...reloadable(config),
      ...slurmSide(config),
      cluster: config.cluster.name,
      listen: config.controller.listen,
      factsIntervalMs: config.controller.factsIntervalMs,
      opener: new Munge(config.munge),
      ledger,
      log,
    });
    log.info({ listen: controller.addresses, database: database.engine }, 'controller ready');
    const reload = (): void => {
      takeOver(controller, load).then(
        () => {
          log.info({}, 'configuration taken over');
        },
        (error: unknown) => {
          log.error({ error: messageOf(error) }, 'reload failed; the running configuration stays');
        },
      );
    };
    process.on('SIGHUP', reload);
    await new Promise<void>((resolve) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    });
    process.off('SIGHUP', reload);
    log.info({}, 'draining');
    await controller.stop(DRAIN_MS);
  } finally {
    await database.close();
  }
}

async function takeOver(controller: Controller, load: () => Config): Promise<void> {
  await controller.reload(reloadable(load()));
}
