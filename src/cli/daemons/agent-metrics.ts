/** The agent's own figures for Prometheus. */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { Agent } from '../../agent/index.js';
import {
  disagreement,
  type Domain,
  type DomainReading,
  type GpuStatus,
  meanWatts,
  monotonicNs,
  type Sampler,
  type SamplerStats,
  witnessName,
} from '../../sampler/index.js';

/** Two meters are compared over about this long: whatever the interval of the scrapes, and however many scrape. */
const COMPARED_NS = 60e9;
/** Readings to compare with are kept no closer than this. */
const KEPT_NS = 5e9;

const AGENT_COUNTS = [
  ['events', 'Job events taken from the hook'],
  ['badEvents', 'Event files set aside because they were damaged'],
  ['segments', 'Ledger segments closed'],
  ['batchesSent', 'Batches acknowledged by the controller'],
  ['batchesRefused', 'Batches that the controller will never take'],
  ['spoolErrors', 'Failed writes to the spool'],
] as const;

const HEALTH_COUNTS = [
  ['failedReads', 'Reads that gave no value'],
  ['gaps', 'Intervals without a trustworthy reading at both ends: nothing was booked for them'],
  ['resets', 'Steps of the counter that no real power explains: nothing was booked for them'],
  ['wraps', 'Times the counter wrapped'],
  ['freezes', 'Times the counter stood still for longer than it can'],
] as const;

type Labels = Readonly<Record<string, string>>;

/** A metric with all its series set anew at each scrape: what is gone leaves no series behind. */
interface Series {
  clear(): void;
  set(value: number, labels?: Labels): void;
}

export class AgentMetrics {
  readonly #registry = new Registry();
  readonly #series = new Map<string, Series>();
  readonly #agent: () => Agent;
  readonly #sampler: () => Sampler;
  readonly #now: () => number;
  /** What the readings below are of: a reload puts another one in place. */
  #compared: Sampler | null = null;
  #readings: { readonly atNs: number; readonly domains: readonly DomainReading[] }[] = [];

  /** @param agent, sampler functions, not objects: a reload puts others in place */
  constructor(agent: () => Agent, sampler: () => Sampler, now: () => number = monotonicNs) {
    this.#agent = agent;
    this.#sampler = sampler;
    this.#now = now;
    collectDefaultMetrics({ register: this.#registry, prefix: 'wattle_agent_' });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /**
   * The page. Each source is asked once, before anything is written: what the page says of a GPU, a domain or the
   * sampler is of one moment.
   */
  async scrape(): Promise<string> {
    const sampler = this.#sampler();
    for (const series of this.#series.values()) series.clear();
    this.#showAgent(this.#agent());
    const stats = sampler.stats();
    this.#showSampler(stats);
    this.#showDomains(sampler, stats);
    for (const { meter } of sampler.problems()) {
      this.#gauge('meter_problem', '1 where a meter outside the agent gives no readings; its log says why', 1, {
        meter,
      });
    }
    for (const gpu of sampler.gpus()) this.#showGpu(gpu);
    return this.#registry.metrics();
  }

  #showAgent({ activeJobs, spool, counts }: Agent): void {
    this.#gauge('active_jobs', 'Jobs that hold a share of this node', activeJobs);
    this.#gauge('spool_batches', 'Batches that wait for the controller', spool.files);
    this.#gauge('spool_bytes', 'Bytes that wait for the controller', spool.bytes);
    this.#gauge('spool_held', 'Batches in memory alone, because the disk takes none', spool.held);
    this.#gauge('spool_dropped', 'Batches given up: neither disk nor memory had room', spool.dropped);
    for (const [name, help] of AGENT_COUNTS) this.#count(`${snake(name)}_total`, help, counts[name]);
  }

  #showSampler(stats: SamplerStats): void {
    this.#gauge('sampler_ticks', 'Regular ticks taken', stats.ticks);
    this.#gauge('sampler_late_ticks', 'Ticks that began late', stats.late);
    this.#gauge('sampler_missed_ticks', 'Deadlines that passed altogether', stats.missed);
    this.#gauge('sampler_requested_hz', 'Regular ticks per second as asked for', stats.requestedHz);
    this.#gauge(
      'sampler_rate_hz',
      'Rate in force: lower while the machine cannot hold the one asked for',
      stats.rateHz,
    );
    this.#gauge('sampler_achieved_hz', 'Regular ticks per second as really taken', stats.achievedHz);
    this.#count('sampler_slowdowns_total', 'Times the rate was halved', stats.slowdowns);
    this.#count('sampler_suspends_total', 'Times the host slept while it was sampled', stats.suspends);
    const lateness = stats.latenessUs.p99 / 1e6;
    this.#gauge('sampler_lateness_p99_seconds', 'From the deadline of a tick to its begin', lateness);
    this.#gauge('sampler_cpu_seconds', 'CPU time of the sampling thread', stats.cpuSeconds);
    this.#gauge('sampler_courier_cpu_seconds', 'CPU time of the threads of slow meters', stats.courierCpuSeconds);
  }

  #showDomains(sampler: Sampler, { domains: health, firstTickNs }: SamplerStats): void {
    const latest = sampler.latest();
    const now = this.#now();
    sampler.domains.forEach((domain, index) => {
      const { name, meter, kind } = domain;
      const labels = { domain: name, meter, kind };
      for (const [count, help] of HEALTH_COUNTS) {
        this.#count(`domain_${snake(count)}_total`, help, health[index]?.[count] ?? 0, labels);
      }
      const reading = latest?.domains[index];
      const read = reading !== undefined && reading.knownAtNs > 0;
      const since = read ? reading.knownAtNs : firstTickNs;
      if (since > 0) {
        const age = Math.max(0, now - since) / 1e9;
        const help = 'Time since the last reading that was booked, or since the start where there has been none';
        this.#gauge('domain_reading_age_seconds', help, age, labels);
      }
      if (!read) return;
      // A second opinion is no energy of its own: whoever sums over this metric must not find it.
      if (domain.witnessOf !== null) return;
      this.#count('domain_joules_total', 'Energy since the agent began', reading.energyUj / 1e6, labels);
      const help = 'Time since the agent began in which the domain was really sampled';
      this.#count('domain_coverage_seconds_total', help, reading.coveredNs / 1e9, labels);
    });
    if (latest !== null) this.#compare(sampler, { atNs: now, domains: latest.domains });
  }

  #compare(sampler: Sampler, present: { readonly atNs: number; readonly domains: readonly DomainReading[] }): void {
    if (this.#compared !== sampler) this.#readings = [];
    this.#compared = sampler;
    while ((this.#readings[1]?.atNs ?? Infinity) <= present.atNs - COMPARED_NS) this.#readings.shift();
    const [past] = this.#readings;
    if (present.atNs - (this.#readings.at(-1)?.atNs ?? -Infinity) >= KEPT_NS) this.#readings.push(present);
    if (past === undefined) return;
    const watts = ({ index }: Domain): number | null => {
      const [from, to] = [past.domains[index], present.domains[index]];
      return from === undefined || to === undefined ? null : meanWatts(from, to);
    };
    for (const witness of sampler.domains) {
      const domain = sampler.domains[witness.witnessOf ?? -1];
      if (domain === undefined) continue;
      const [own, other] = [watts(domain), watts(witness)];
      const ratio = own === null || other === null ? null : disagreement(own, other);
      if (ratio === null) continue;
      const help = 'By how much a second opinion on the power of the last minute differs, as a share of the power';
      const labels = { domain: domain.name, witness: witnessName(domain, witness) };
      this.#gauge('domain_disagreement_ratio', help, ratio, labels);
    }
  }

  /** Of a GPU that is lost only that is known. */
  #showGpu(gpu: GpuStatus): void {
    const labels = { gpu: gpu.uuid };
    this.#gauge('gpu_lost', '1 where the GPU does not answer any more', gpu.lost ? 1 : 0, labels);
    const { busyRatio, memoryUsedBytes, memoryBytes, powerLimitWatts } = gpu;
    this.#count('gpu_busy_seconds_total', 'Time in which a kernel ran', gpu.busySeconds, labels);
    if (gpu.lost) return;
    if (busyRatio !== null) {
      this.#gauge(
        'gpu_busy_ratio',
        "Share of the driver's last sample period in which a kernel ran",
        busyRatio,
        labels,
      );
    }
    this.#gauge('gpu_memory_used_bytes', 'Memory in use', memoryUsedBytes, labels);
    this.#gauge('gpu_memory_bytes', 'Memory', memoryBytes, labels);
    if (powerLimitWatts > 0) this.#gauge('gpu_power_limit_watts', 'Power limit in force', powerLimitWatts, labels);
  }

  #gauge(name: string, help: string, value: number, labels?: Labels): void {
    this.#of(name, help, labels, (options) => {
      const gauge = new Gauge(options);
      return {
        clear: () => {
          gauge.reset();
        },
        set: (to, at = {}) => {
          gauge.set(at, to);
        },
      };
    }).set(value, labels);
  }

  #count(name: string, help: string, value: number, labels?: Labels): void {
    this.#of(name, help, labels, (options) => {
      const counter = new Counter(options);
      return {
        clear: () => {
          counter.reset();
        },
        set: (to, at = {}) => {
          counter.inc(at, to);
        },
      };
    }).set(value, labels);
  }

  #of(
    name: string,
    help: string,
    labels: Labels | undefined,
    make: (options: { name: string; help: string; registers: Registry[]; labelNames: string[] }) => Series,
  ): Series {
    const known = this.#series.get(name);
    if (known !== undefined) return known;
    const labelNames = Object.keys(labels ?? {});
    const made = make({ name: `wattle_agent_${name}`, help, registers: [this.#registry], labelNames });
    this.#series.set(name, made);
    return made;
  }
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
