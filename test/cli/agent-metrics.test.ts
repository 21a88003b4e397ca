import { afterEach, describe, expect, test } from '@jest/globals';
import type { Agent } from '../../src/agent/index.js';
import { AgentMetrics } from '../../src/cli/daemons/agent-metrics.js';
import { type Domain, type GpuStatus, Sampler, type SamplerStats } from '../../src/sampler/index.js';

const agent = {
  activeJobs: 2,
  spool: { files: 1, bytes: 10, held: 0, dropped: 0 },
  counts: { events: 5, badEvents: 0, segments: 3, batchesSent: 2, batchesRefused: 0, spoolErrors: 0 },
} as unknown as Agent;

const HEALTHY = { failedReads: 0, wraps: 0, resets: 0, gaps: 0, freezes: 0 };
const STATS: SamplerStats = {
  ticks: 100,
  forced: 0,
  lost: 0,
  late: 1,
  missed: 2,
  firstTickNs: 1e9,
  requestedHz: 1000,
  rateHz: 500,
  achievedHz: 499,
  slowdowns: 1,
  latenessUs: { p50: 50, p99: 250, max: 900 },
  timerResolutionUs: 57,
  urgency: 'nice',
  cpuSeconds: 0.5,
  courierCpuSeconds: 0.25,
  suspends: 3,
  memoryBytes: 1000,
  domains: [],
};

const domain = (index: number, over: Partial<Domain> = {}): Domain => ({
  index,
  name: 'package-0',
  kind: 'package',
  meter: 'rapl-perf',
  rateHz: 10,
  trustedGapNs: 60e9,
  quality: 'measured',
  parent: null,
  witnessOf: null,
  ...over,
});

const GPU: GpuStatus = {
  uuid: 'GPU-1',
  busId: '00000000:3B:00.0',
  name: 'H100',
  lost: false,
  atNs: 1,
  busyRatio: 0.75,
  busySeconds: 12,
  busyKnownSeconds: 20,
  memoryUsedBytes: 5,
  memoryBytes: 80,
  powerLimitWatts: 700,
  mig: false,
  instances: [],
  processes: [],
};

/** A sampler whose state a test sets. */
class FakeSampler {
  domains: readonly Domain[] = [];
  reading: { energyUj: number; coveredNs: number; knownAtNs: number }[] = [];
  health = [HEALTHY];
  wrong: ReturnType<Sampler['problems']> = [];
  /** One answer per call. */
  gpuAnswers: GpuStatus[][] = [];

  stats = (): SamplerStats => ({ ...STATS, domains: this.health });
  latest = () => ({ monoNs: 0, realMs: 0, domains: this.reading });
  problems = (): ReturnType<Sampler['problems']> => this.wrong;
  gpus = () => this.gpuAnswers.shift() ?? [];
}

function scraped(fake: FakeSampler) {
  let nowNs = 0;
  let sampler = fake;
  const metrics = new AgentMetrics(
    () => agent,
    () => sampler as unknown as Sampler,
    () => nowNs,
  );
  return async (atSeconds: number, of = sampler): Promise<string> => {
    nowNs = atSeconds * 1e9;
    sampler = of;
    return metrics.scrape();
  };
}

const PACKAGE = '{domain="package-0",meter="rapl-perf",kind="package"}';

test('what the agent and its sampler do', async () => {
  const page = await scraped(new FakeSampler())(1);
  for (const line of [
    'wattle_agent_active_jobs 2',
    'wattle_agent_batches_sent_total 2',
    'wattle_agent_sampler_rate_hz 500',
    'wattle_agent_sampler_requested_hz 1000',
    'wattle_agent_sampler_slowdowns_total 1',
    'wattle_agent_sampler_suspends_total 3',
    'wattle_agent_sampler_lateness_p99_seconds 0.00025',
    'wattle_agent_sampler_courier_cpu_seconds 0.25',
  ]) {
    expect(page.split('\n')).toContain(line);
  }
});

test('each domain: joules, coverage, what went wrong, and how old its reading is', async () => {
  const fake = new FakeSampler();
  fake.domains = [domain(0)];
  fake.reading = [{ energyUj: 7e6, coveredNs: 4e9, knownAtNs: 10e9 }];
  fake.health = [{ failedReads: 1, wraps: 2, resets: 3, gaps: 4, freezes: 5 }];
  const scrape = scraped(fake);
  const lines = (await scrape(12.5)).split('\n');
  for (const [name, value] of [
    ['joules_total', 7],
    ['coverage_seconds_total', 4],
    ['failed_reads_total', 1],
    ['wraps_total', 2],
    ['resets_total', 3],
    ['gaps_total', 4],
    ['freezes_total', 5],
    ['reading_age_seconds', 2.5],
  ] as const) {
    expect(lines).toContain(`wattle_agent_domain_${name}${PACKAGE} ${value}`);
  }
  // The same figures again, not their sum.
  expect((await scrape(13)).split('\n')).toContain(`wattle_agent_domain_joules_total${PACKAGE} 7`);
});

test('a domain that has never been read has no joules, rather than 0', async () => {
  const fake = new FakeSampler();
  fake.domains = [domain(0)];
  fake.reading = [{ energyUj: 0, coveredNs: 0, knownAtNs: 0 }];
  const page = await scraped(fake)(4);
  expect(page).not.toContain('domain_joules_total{');
  // Since the first tick: an alert on the age must find it.
  expect(page).toContain(`wattle_agent_domain_reading_age_seconds${PACKAGE} 3`);
  expect(page).toContain(`wattle_agent_domain_failed_reads_total${PACKAGE} 0`);
});

test('a meter that gives no readings has a series, until it does', async () => {
  const fake = new FakeSampler();
  fake.wrong = [{ meter: 'redfish', problem: 'the BMC is silent' }];
  const scrape = scraped(fake);
  expect(await scrape(1)).toContain('wattle_agent_meter_problem{meter="redfish"} 1');
  fake.wrong = [];
  expect(await scrape(2)).not.toContain('meter_problem{');
});

describe('a witness', () => {
  const at = (watts: number, seconds: number) => ({
    energyUj: watts * seconds * 1e6,
    coveredNs: seconds * 1e9,
    knownAtNs: seconds * 1e9,
  });
  const fake = new FakeSampler();
  fake.domains = [
    domain(0),
    domain(1, { meter: 'rapl-powercap', witnessOf: 0 }),
    domain(2, { name: 'gpu-1', kind: 'gpu', meter: 'nvml' }),
    domain(3, { name: 'gpu-1/instant', kind: 'gpu', meter: 'nvml', witnessOf: 2 }),
  ];
  fake.health = fake.domains.map(() => HEALTHY);
  const readings = (seconds: number, witness: number) => [
    at(100, seconds),
    at(witness, seconds),
    at(200, seconds),
    at(200, seconds),
  ];
  const RATIO = 'wattle_agent_domain_disagreement_ratio';
  const ratio = (page: string, witness: string): number =>
    Number(new RegExp(`^${RATIO}\\{[^}]*witness="${witness}"\\} (.*)$`, 'm').exec(page)?.[1]);

  test('is compared over the last minute, not since the last of many scrapes, and never added up', async () => {
    const scrape = scraped(fake);
    fake.reading = readings(10, 100);
    expect(await scrape(10)).not.toContain(`${RATIO}{`);
    fake.reading = readings(40, 110);
    let page = await scrape(40);
    // 110 W x 40 s less 100 W x 10 s, in 30 s.
    expect(ratio(page, 'rapl-powercap')).toBeCloseTo(0.1333, 3);
    expect(ratio(page, 'nvml instant')).toBe(0);
    expect(page.match(/^wattle_agent_domain_joules_total\{/gm)).toHaveLength(2);

    fake.reading = readings(40.1, 200);
    page = await scrape(40.1);
    expect(ratio(page, 'rapl-powercap')).toBeCloseTo((200 * 40.1 - 1000) / 30.1 / 100 - 1, 6);

    fake.reading = readings(100, 110);
    page = await scrape(100);
    expect(ratio(page, 'rapl-powercap')).toBeCloseTo(0.1, 6);
  });

  test('of the sampler before a reload is forgotten', async () => {
    const scrape = scraped(fake);
    fake.reading = readings(10, 100);
    await scrape(10);
    const next = new FakeSampler();
    next.domains = fake.domains;
    next.health = fake.health;
    next.reading = readings(11, 300);
    expect(await scrape(20, next)).not.toContain(`${RATIO}{`);
  });
});

test('a GPU is lost or busy, never both: one question per scrape', async () => {
  const fake = new FakeSampler();
  // A second question in the same scrape would get the second answer.
  fake.gpuAnswers = [[GPU], [{ ...GPU, lost: true }]];
  const scrape = scraped(fake);
  const busy = await scrape(1);
  expect(busy).toContain('wattle_agent_gpu_lost{gpu="GPU-1"} 0');
  expect(busy).toContain('wattle_agent_gpu_busy_ratio{gpu="GPU-1"} 0.75');
  expect(busy).toContain('wattle_agent_gpu_busy_seconds_total{gpu="GPU-1"} 12');
  expect(busy).toContain('wattle_agent_gpu_memory_used_bytes{gpu="GPU-1"} 5');
  expect(busy).toContain('wattle_agent_gpu_memory_bytes{gpu="GPU-1"} 80');
  expect(busy).toContain('wattle_agent_gpu_power_limit_watts{gpu="GPU-1"} 700');

  const lost = await scrape(2);
  expect(lost).toContain('wattle_agent_gpu_lost{gpu="GPU-1"} 1');
  expect(lost).not.toContain('gpu_busy_ratio{');
  expect(await scrape(3)).not.toContain('gpu_lost{');
});

describe('on a real sampler', () => {
  let stop: (() => void) | undefined;
  afterEach(() => stop?.());

  test('the joules of a page are those that drain() finds later', async () => {
    const sampler = new Sampler({
      meters: [{ kind: 'model', idleWatts: 50, wattsPerCore: 1, cpu: { format: 'proc-stat', path: '/proc/stat' } }],
    });
    stop = () => {
      sampler.stop();
    };
    const metrics = new AgentMetrics(
      () => agent,
      () => sampler,
    );
    expect(await metrics.scrape()).not.toContain('domain_joules_total{');
    sampler.start();
    const until = Date.now() + 20_000;
    while ((sampler.latest()?.domains[0]?.energyUj ?? 0) === 0 && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const shown = /^wattle_agent_domain_joules_total\{.*\} (.*)$/m.exec(await metrics.scrape())?.[1];
    const found: string[] = [];
    sampler.drain((tick) => found.push(String(tick.energyUj(0) / 1e6)));
    expect(found).toContain(shown);
  });
});
