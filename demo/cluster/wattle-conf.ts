/** Wattle's configuration files for the cluster: one for the controller and people, one per agent. */
import { CORES_PER_NODE, nodesOf, PARTITIONS, type Site } from './slurm-conf.js';

/** What tests set differently from the demo. */
export interface Tuning {
  readonly reportInterval: string;
  readonly factsInterval: string;
  readonly ledgerInterval: string;
  /** Users who see every job. */
  readonly operators: readonly string[];
}

/** Quick where production is calm: the demo's jobs last seconds. */
export const DEMO_TUNING: Omit<Tuning, 'operators'> = {
  reportInterval: '2s',
  factsInterval: '2s',
  ledgerInterval: '5min',
};

export const controllerSocket = (folder: string): string => `${folder}/run/controller.sock`;

const list = (entries: readonly string[]): string => `[${entries.map((entry) => JSON.stringify(entry)).join(', ')}]`;

function commonSections(site: Site, tuning: Tuning, slurmFolder: string): string[] {
  const socket = JSON.stringify(`unix:${controllerSocket(site.folder)}`);
  return [
    '[cluster]',
    `name = ${JSON.stringify(site.cluster)}`,
    `controller = ${socket}`,
    '[ledger]',
    `interval = ${JSON.stringify(tuning.ledgerInterval)}`,
    '[database]',
    `path = ${JSON.stringify(`${site.folder}/wattle/ledger`)}`,
    '[controller]',
    `listen = [${socket}]`,
    `agent_users = ${list([site.user])}`,
    `operators = ${list(tuning.operators)}`,
    `facts_interval = ${JSON.stringify(tuning.factsInterval)}`,
    '[slurm]',
    `bin_dir = ${JSON.stringify(slurmFolder)}`,
    `conf = ${JSON.stringify(`${site.folder}/etc/slurm.conf`)}`,
    'accounting = "sacct"',
    '[munge]',
    `socket = ${JSON.stringify(`${site.folder}/run/munge.socket`)}`,
    '[carbon]',
    'zone = "FR"',
    'pue = 1.2',
    ...PARTITIONS.flatMap((partition) => [
      `[carbon.partitions.${partition.name}]`,
      `zone = ${JSON.stringify(partition.zone)}`,
    ]),
  ];
}

/** For the controller and for people: `wattle doctor` then looks at the first node. */
export function controllerConf(site: Site, tuning: Tuning, slurmFolder: string): string {
  const [node = ''] = PARTITIONS.flatMap((partition) => nodesOf(site, partition));
  return agentConf(site, tuning, slurmFolder, node);
}

export function agentConf(site: Site, tuning: Tuning, slurmFolder: string, node: string): string {
  const partition = PARTITIONS.find((candidate) => nodesOf(site, candidate).includes(node));
  if (partition === undefined) throw new RangeError(`${node} is in no partition`);
  return [
    ...commonSections(site, tuning, slurmFolder),
    '[agent]',
    `node = ${JSON.stringify(node)}`,
    // As Slurm is told, not as this machine has.
    `cores = ${CORES_PER_NODE}`,
    `state_dir = ${JSON.stringify(`${site.folder}/wattle/${node}`)}`,
    `event_dir = ${JSON.stringify(`${site.folder}/events`)}`,
    `run_dir = ${JSON.stringify(`${site.folder}/run/${node}`)}`,
    `report_interval = ${JSON.stringify(tuning.reportInterval)}`,
    'discover_interval = "1s"',
    '[sampler]',
    // Declared power, not counters: four nodes share this machine, and each must have a figure of its own.
    'meters = ["model"]',
    '[sampler.model]',
    `idle_watts = ${partition.idleWatts}`,
    `watts_per_core = ${partition.wattsPerCore}`,
    'cpu_time = "slurm"',
    '',
  ].join('\n');
}
