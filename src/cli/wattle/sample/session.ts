/** One run of a sampler: drains it, follows its figures, and knows the job beside it. */
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import type { JobGroup } from '../../../agent/index.js';
import {
  type DomainReading,
  monotonicNs,
  Sampler,
  type SamplerOptions,
  type SamplerStats,
  type TickView,
} from '../../../sampler/index.js';
import { CpuFollower, Followers } from './figures.js';
import { ownFigures } from './own-figures.js';
import type { RecordedTick } from './tick-lines.js';
import type { RateChange, SampleState } from './view.js';

/** While whoever reads our output stands still, the ring waits for this long: at a high rate memory is the limit. */
const RING_SECONDS = { usual: 60, fast: 15 } as const;
const FAST_HZ = 1000;
/** The job's own counter, and the model's. */
const CPU_SLOTS = 4;
const LAST_TICK_MS = 1000;

export interface SessionOptions {
  readonly node: string;
  readonly sampler: SamplerOptions;
  readonly job: JobGroup | undefined;
}

export class Session {
  readonly sampler: Sampler;
  readonly #options: SessionOptions;
  readonly #jobSlot: number | undefined;
  readonly #followers: Followers;
  readonly #cpu = new CpuFollower();
  readonly #rateChanges: RateChange[] = [];
  #rateHz: number;
  #startNs = 0;
  #cpuAtStart = process.cpuUsage();

  /** @throws {WattleError} where nothing can be read, see Sampler */
  constructor(options: SessionOptions) {
    this.#options = options;
    const fastest = Math.max(options.sampler.rateHz ?? 0, ...options.sampler.meters.map(({ rateHz = 0 }) => rateHz));
    this.sampler = new Sampler({
      ringSeconds: fastest > FAST_HZ ? RING_SECONDS.fast : RING_SECONDS.usual,
      cpuSlots: CPU_SLOTS,
      ...options.sampler,
    });
    this.#jobSlot = options.job === undefined ? undefined : this.sampler.watchCpu(options.job.cpu);
    this.#followers = new Followers(this.sampler.domains.length);
    this.#rateHz = this.sampler.stats().requestedHz;
  }

  start(): void {
    this.#cpuAtStart = process.cpuUsage();
    this.#startNs = monotonicNs();
    this.sampler.start();
  }

  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void> {
    this.sampler.stop();
    return this.sampler.settled();
  }

  get elapsedMs(): number {
    return (monotonicNs() - this.#startNs) / 1e6;
  }

  /** A job without its control group is over. */
  get jobIsOver(): boolean {
    const { job } = this.#options;
    return job !== undefined && !existsSync(job.path);
  }

  /** Takes in what was sampled since the last call. @param record gets every tick */
  drain(record?: (tick: RecordedTick) => void): void {
    this.sampler.drain((tick) => {
      this.#take(tick, false, record);
    });
    const { rateHz } = this.sampler.stats();
    if (Math.abs(rateHz - this.#rateHz) < this.#rateHz * 0.01) return;
    this.#rateHz = rateHz;
    this.#rateChanges.push({ atSeconds: this.elapsedMs / 1000, rateHz });
  }

  /** One tick more, at once, so that the figures end now. */
  async finish(record?: (tick: RecordedTick) => void): Promise<void> {
    this.drain(record);
    this.sampler.forceTick();
    const until = this.elapsedMs + LAST_TICK_MS;
    while (!this.#drainToForced(record) && this.elapsedMs < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.sampler.stop();
    // What came between the last look and the end: every tick is written.
    this.#drainToForced(record);
  }

  #drainToForced(record: ((tick: RecordedTick) => void) | undefined): boolean {
    let found = false;
    this.sampler.drain((tick) => {
      found ||= tick.forced;
      this.#take(tick, tick.forced, record);
    });
    return found;
  }

  #take(tick: TickView, last: boolean, record: ((tick: RecordedTick) => void) | undefined): void {
    const reading = (domain: number): DomainReading => ({
      energyUj: tick.energyUj(domain),
      coveredNs: tick.coveredNs(domain),
      knownAtNs: tick.knownAtNs(domain),
    });
    const { monoNs, realMs } = tick;
    this.#followers.take(monoNs, reading, last);
    const cpuNs = this.#jobSlot === undefined ? Number.NaN : tick.cpuNs(this.#jobSlot);
    this.#cpu.step(cpuNs, monoNs);
    if (record === undefined) return;
    record({ monoNs, realMs, readings: this.sampler.domains.map(({ index }) => reading(index)), cpuNs });
  }

  state(): SampleState {
    const { domains } = this.sampler;
    const stats: SamplerStats = this.sampler.stats();
    const figures = this.#followers.figures();
    const elapsedSeconds = this.#followers.elapsedNs / 1e9;
    const { user, system } = process.cpuUsage(this.#cpuAtStart);
    const time = {
      stats,
      processCpuSeconds: (user + system) / 1e6,
      elapsedSeconds: this.elapsedMs / 1000,
      onlineCpus: Math.max(1, cpus().length),
    };
    const { node, job } = this.#options;
    return {
      node,
      elapsedSeconds,
      domains,
      figures,
      stats,
      own: ownFigures(time, domains, figures),
      job: job === undefined ? undefined : { jobId: job.jobId, cpu: this.#cpu.figures() },
      gpus: this.sampler.gpus(),
      problems: this.sampler.problems(),
      rateChanges: this.#rateChanges,
    };
  }
}
