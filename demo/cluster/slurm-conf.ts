/** The texts of the configuration files: what differs from a production cluster is said beside it. */
import type { CgroupVersion } from './cgroups.js';

/** A partition of the demo cluster: two machines of one make, on one electricity grid. */
export interface Partition {
  readonly name: string;
  readonly nodeCount: number;
  /** Electricity grid that the partition draws from. */
  readonly zone: string;
  readonly idleWatts: number;
  readonly wattsPerCore: number;
}

export const CORES_PER_NODE = 4;

/** Two grids that differ by a factor of some twenty, and machines of two generations. */
export const PARTITIONS: readonly Partition[] = [
  { name: 'green', nodeCount: 2, zone: 'NO', idleWatts: 60, wattsPerCore: 9 },
  { name: 'coal', nodeCount: 2, zone: 'PL', idleWatts: 110, wattsPerCore: 18 },
];

export interface Site {
  readonly folder: string;
  readonly cluster: string;
  readonly host: string;
  /** User who runs Slurm's daemons: root, or whoever runs the demo. */
  readonly user: string;
  readonly cgroups: CgroupVersion;
  readonly ports: { readonly slurmctld: number; readonly slurmdbd: number; readonly slurmd: readonly number[] };
  readonly nodes: readonly string[];
}

/** Node names of each partition, in order. */
export function nodesOf(site: Pick<Site, 'nodes'>, partition: Partition): readonly string[] {
  const before = PARTITIONS.slice(0, PARTITIONS.indexOf(partition)).reduce((sum, p) => sum + p.nodeCount, 0);
  return site.nodes.slice(before, before + partition.nodeCount);
}

export function slurmConf(site: Site): string {
  const { folder } = site;
  const tracked = site.cgroups !== 'none';
  const shape = `CPUs=${CORES_PER_NODE} Boards=1 SocketsPerBoard=1 CoresPerSocket=${CORES_PER_NODE} ThreadsPerCore=1`;
  return [
    `ClusterName=${site.cluster}`,
    // The address in brackets is what makes it work where the host's own name does not resolve.
    `SlurmctldHost=${site.host}(localhost)`,
    `SlurmctldPort=${site.ports.slurmctld}`,
    `SlurmUser=${site.user}`,
    `SlurmdUser=${site.user}`,
    'AuthType=auth/munge',
    `AuthInfo=socket=${folder}/run/munge.socket`,
    `StateSaveLocation=${folder}/slurm/slurmctld`,
    `SlurmdSpoolDir=${folder}/slurm/%n`,
    `SlurmctldPidFile=${folder}/slurm/slurmctld.pid`,
    `SlurmdPidFile=${folder}/slurm/slurmd-%n.pid`,
    `SlurmctldLogFile=${folder}/log/slurmctld.log`,
    `SlurmdLogFile=${folder}/log/slurmd-%n.log`,
    `Prolog=${folder}/etc/prolog`,
    `Epilog=${folder}/etc/epilog`,
    'PrologFlags=Alloc',
    `ProctrackType=proctrack/${tracked ? 'cgroup' : 'linuxproc'}`,
    `JobAcctGatherType=jobacct_gather/${tracked ? 'cgroup' : 'linux'}`,
    'TaskPlugin=task/none',
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_Core',
    'AccountingStorageType=accounting_storage/slurmdbd',
    'AccountingStorageHost=localhost',
    `AccountingStoragePort=${site.ports.slurmdbd}`,
    // Not a password: with auth/munge it is the socket on the way to slurmdbd, which AuthInfo does not cover.
    `AccountingStoragePass=${folder}/run/munge.socket`,
    // Jobs of seconds are normal here: start them at once, end them at once.
    'SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=2',
    'KillWait=2',
    'MpiDefault=none',
    'SwitchType=switch/none',
    'MailProg=/bin/true',
    'ReturnToService=2',
    // Four nodes with more cores than the one machine beneath them has.
    'SlurmdParameters=config_overrides',
    ...site.nodes.map(
      (node, index) =>
        `NodeName=${node} NodeHostname=${site.host} NodeAddr=127.0.0.1 Port=${site.ports.slurmd[index] ?? 0} ${shape} RealMemory=1000`,
    ),
    ...PARTITIONS.map(
      (partition, index) =>
        `PartitionName=${partition.name} Nodes=${nodesOf(site, partition).join(',')} Default=${index === 0 ? 'YES' : 'NO'} MaxTime=60`,
    ),
    '',
  ].join('\n');
}

export function cgroupConf(site: Site): string {
  return [
    `CgroupPlugin=cgroup/${site.cgroups === 'v2' ? 'v2' : 'v1'}`,
    'CgroupMountpoint=/sys/fs/cgroup',
    'CgroupAutomount=no',
    // No systemd is asked to make scopes: the demo must run in a container too.
    ...(site.cgroups === 'v2' ? ['IgnoreSystemd=yes', 'EnableControllers=yes'] : []),
    'ConstrainCores=no',
    'ConstrainRAMSpace=no',
    '',
  ].join('\n');
}

export function slurmdbdConf(site: Site): string {
  const { folder } = site;
  return [
    // slurmdbd insists on the host's own name here.
    `DbdHost=${site.host}`,
    'DbdAddr=localhost',
    `DbdPort=${site.ports.slurmdbd}`,
    `SlurmUser=${site.user}`,
    'AuthType=auth/munge',
    `AuthInfo=socket=${folder}/run/munge.socket`,
    `LogFile=${folder}/log/slurmdbd.log`,
    `PidFile=${folder}/slurm/slurmdbd.pid`,
    'StorageType=accounting_storage/mysql',
    // The database listens on a socket in this folder only, and knows its user by the socket's peer.
    'StorageHost=localhost',
    `StorageUser=${site.user}`,
    'StorageLoc=slurm_acct_db',
    '',
  ].join('\n');
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A prolog or epilog that calls Wattle's with this cluster's directories. */
export function hookScript(site: Pick<Site, 'folder'>, script: string, hook: string): string {
  return [
    '#!/bin/sh',
    `export WATTLE_EVENT_DIR=${quoted(`${site.folder}/events`)} WATTLE_HOOK=${quoted(hook)}`,
    // One run directory per agent: in production there is one agent per host.
    `export WATTLE_RUN_DIR=${quoted(`${site.folder}/run`)}/"$SLURMD_NODENAME"`,
    `. ${quoted(script)}`,
    '',
  ].join('\n');
}
