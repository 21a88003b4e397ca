/** Puts an agent together from the configuration and runs it as a daemon. */
import { createServer, type Server } from 'node:http';
import { Agent, type AgentOptions, COUNTED_KINDS, hostCpuSource, SlurmCgroups } from '../../agent/index.js';
import type { Config, MeterName } from '../../config/index.js';
import { messageOf, WattleError } from '../../contract/index.js';
import {
  dropPrivileges,
  type MeterOptions,
  monotonicNs,
  type Sampler,
  type SamplerOptions,
} from '../../sampler/index.js';
import { Munge } from '../../slurm/index.js';
import { AgentMetrics } from './agent-metrics.js';
import { daemonLog } from './log.js';
import { MeterLog } from './meter-log.js';
import { neededBy, type OpenSampler, openSampler } from './open-sampler.js';

/** The configured meters, best first; `model` only where its profile is declared. */
export function meterOptions(config: Config): MeterOptions[] {
  return config.sampler.meters.flatMap((kind): MeterOptions[] => {
    const rateHz = config.sampler.rates[kind];
    return meterOption(kind, config).map((meter) => (rateHz === undefined ? meter : { ...meter, rateHz }));
  });
}

function meterOption(kind: MeterName, config: Config): MeterOptions[] {
  const { sampler, agent } = config;
  switch (kind) {
    case 'nvml':
      return [{ kind, ...(sampler.nvmlLibrary === undefined ? {} : { library: sampler.nvmlLibrary }) }];
    case 'ipmi':
      return [{ kind, device: sampler.ipmiDevice }];
    case 'redfish':
      return sampler.redfish ? [{ kind, ...sampler.redfish }] : [];
    case 'wattmeter':
      return sampler.wattmeter ? [{ kind, ...sampler.wattmeter }] : [];
    case 'model': {
      if (!sampler.model) return [];
      const { cpuTime, ...profile } = sampler.model;
      const own = cpuTime === 'slurm';
      return [
        {
          kind,
          ...profile,
          cpu: own
            ? new SlurmCgroups(sampler.cgroupRoot, agent.node, sampler.procfs).scopeCpu
            : hostCpuSource(sampler.cgroupRoot, sampler.procfs),
          // A node whose Slurm has not run a job yet has no group: it is idle, not unknown.
          cpuAbsent: own ? 'idle' : 'gap',
        },
      ];
    }
    case 'rapl-perf':
    case 'rapl-powercap':
    case 'rapl-msr':
    case 'amd-energy':
    case 'pm-counters':
      return [{ kind }];
  }
}

/** What the sampler reads, as configured. */
export function samplerOptions(config: Config): SamplerOptions {
  const { rateHz, sysfs, procfs } = config.sampler;
  return { rateHz, sysfs, procfs, meters: meterOptions(config) };
}

export function agentOptions(config: Config): AgentOptions {
  const { agent, sampler } = config;
  return {
    cluster: config.cluster.name,
    node: agent.node,
    controller: config.cluster.controller,
    stateDir: agent.stateDir,
    eventDir: agent.eventDir,
    runDir: agent.runDir,
    cgroupRoot: sampler.cgroupRoot,
    procfs: sampler.procfs,
    reportIntervalMs: agent.reportIntervalMs,
    discoverIntervalMs: agent.discoverIntervalMs,
    ledgerIntervalMs: config.ledger.intervalMs,
    spoolMaxBytes: agent.spoolMaxBytes,
    cores: agent.cores,
    cpuTime: sampler.model?.cpuTime ?? 'host',
  };
}

interface Running extends OpenSampler {
  readonly agent: Agent;
}

/** @param running what a reload finds running: its sampler goes on where nothing changed for it */
function build(config: Config, running?: Running): Running {
  // Domains that no owner gets, such as a package's cores, are not worth a read ten times a second.
  const opened = openSampler({ ...samplerOptions(config), kinds: COUNTED_KINDS }, running);
  const munge = new Munge({ socket: config.munge.socket });
  const agent = new Agent(agentOptions(config), {
    sampler: opened.sampler,
    monotonicNs,
    seal: (payload) => munge.seal(payload),
    log: daemonLog(config),
  });
  return { ...opened, agent };
}

/** Serves /metrics and /healthz where the configuration asks for it. */
async function serveMetrics(config: Config, agent: () => Agent, sampler: () => Sampler): Promise<Server | null> {
  const listen = config.agent.metricsListen;
  if (!listen) return null;
  const metrics = new AgentMetrics(agent, sampler);
  const server = createServer((request, response) => {
    if (request.url === '/healthz') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}');
    } else if (request.url === '/metrics') {
      void metrics.scrape().then(
        (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(`${messageOf(error)}\n`),
      );
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject).listen(listen.port, listen.host, resolve);
  });
  return server;
}

/**
 * Runs until SIGTERM or SIGINT, which drain within 5 s. SIGHUP reads the configuration again and starts over
 * with it; one that does not load, or asks for meters that cannot be opened any more, leaves the running one in place.
 */
export async function runAgent(first: Config, reload: () => Config): Promise<void> {
  let config = first;
  let running = build(config);
  // Everything that takes a privilege is open, and nothing runs yet.
  const kept = dropPrivileges(neededBy(running.sampler));
  daemonLog(config).info({ kept }, 'privileges given up');
  const meterLog = new MeterLog(
    () => running.sampler,
    () => daemonLog(config),
  );
  meterLog.tellReasons();
  let changing: Promise<void> = Promise.resolve();
  const restart = async (): Promise<void> => {
    let next: Running;
    try {
      const loaded = reload();
      next = build(loaded, running);
      config = loaded;
    } catch (error) {
      const remedy = error instanceof WattleError ? { remedy: error.remedy } : {};
      daemonLog(config).error({ why: messageOf(error), ...remedy }, 'reload failed; the running configuration stays');
      return;
    }
    await running.agent.stop();
    const meters = running.sampler;
    running = next;
    if (running.sampler !== meters) meterLog.tellReasons();
    await running.agent.start();
  };
  let server: Server | null = null;
  try {
    await running.agent.start();
    meterLog.start();
    server = await serveMetrics(
      config,
      () => running.agent,
      () => running.sampler,
    );
    await new Promise<void>((resolve, reject) => {
      process.on('SIGHUP', () => {
        changing = changing.then(restart);
        changing.catch(reject);
      });
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    });
    await changing;
  } finally {
    // Also where something above failed: what runs on would keep the process alive, with nobody to end it.
    meterLog.stop();
    await running.agent.stop();
    server?.close();
  }
}
