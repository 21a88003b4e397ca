/** From the file's keys (snake_case) to the names that the rooms use (camelCase, with units). */
import type { ConfigFile } from './schema.js';
import type { Config, ConfigSource, PlaceConfig, RedfishConfig, WattmeterConfig } from './types.js';

export function shape(file: ConfigFile, source: ConfigSource): Config {
  const { cluster, agent, sampler, ledger, database, controller, slurm, munge, carbon, log } = file;
  return deepFreeze({
    source,
    cluster: { name: cluster.name, controller: cluster.controller },
    agent: {
      node: agent.node,
      cores: agent.cores,
      stateDir: agent.state_dir,
      eventDir: agent.event_dir,
      runDir: agent.run_dir,
      reportIntervalMs: agent.report_interval,
      discoverIntervalMs: agent.discover_interval,
      spoolMaxBytes: agent.spool_max,
      ...present('metricsListen', agent.metrics_listen),
    },
    sampler: {
      rateHz: sampler.rate_hz,
      sysfs: sampler.sysfs,
      procfs: sampler.procfs,
      cgroupRoot: sampler.cgroup_root,
      meters: sampler.meters,
      rates: sampler.rates,
      ...present('nvmlLibrary', sampler.nvml.library),
      ipmiDevice: sampler.ipmi.device,
      ...present('redfish', sampler.redfish && redfish(sampler.redfish)),
      ...present('wattmeter', sampler.wattmeter && wattmeter(sampler.wattmeter)),
      ...present(
        'model',
        sampler.model && {
          idleWatts: sampler.model.idle_watts,
          wattsPerCore: sampler.model.watts_per_core,
          gpuWatts: sampler.model.gpu_watts,
          cpuTime: sampler.model.cpu_time,
        },
      ),
    },
    ledger: { intervalMs: ledger.interval },
    database: { ...present('url', database.url), path: database.path },
    controller: {
      listen: controller.listen,
      agentUsers: controller.agent_users,
      operators: controller.operators,
      factsIntervalMs: controller.facts_interval,
    },
    slurm: {
      ...present('binDir', slurm.bin_dir),
      ...present('conf', slurm.conf),
      accounting: slurm.accounting,
    },
    munge: present('socket', munge.socket),
    carbon: {
      ...present('zone', carbon.zone),
      pue: carbon.pue,
      partitions: places(carbon.partitions),
      nodes: places(carbon.nodes),
    },
    log: { level: log.level, format: log.format },
  });
}

function redfish(table: NonNullable<ConfigFile['sampler']['redfish']>): RedfishConfig {
  return {
    url: table.url,
    credentialsFile: table.credentials_file,
    ...present('caFile', table.ca_file),
    insecure: table.insecure,
    ...present('chassis', table.chassis),
    periodMs: table.period,
    timeoutMs: table.timeout,
    maxWatts: table.max_watts,
    ...present('holdMs', table.hold),
  };
}

function wattmeter(table: NonNullable<ConfigFile['sampler']['wattmeter']>): WattmeterConfig {
  return {
    format: table.format,
    from: table.from,
    channels: table.channels,
    unit: table.unit,
    multiplier: table.multiplier,
    separator: table.separator,
    ...present('timeColumn', table.time_column),
    everyMs: table.every,
    pollMs: table.poll,
    maxWatts: table.max_watts,
    ...present('holdMs', table.hold),
  };
}

function places(tables: ConfigFile['carbon']['partitions']): Record<string, PlaceConfig> {
  return Object.fromEntries(
    Object.entries(tables).map(([name, { zone, pue }]) => [name, { ...present('zone', zone), ...present('pue', pue) }]),
  );
}

/** `{ key: value }`, or nothing where the value is absent: an optional key is left out, never undefined. */
function present<Key extends string, Value>(key: Key, value: Value | undefined): Partial<Record<Key, Value>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>);
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part as object);
  return Object.freeze(value);
}
