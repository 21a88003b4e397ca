import { messageOf, WattleError } from '../contract/index.js';
import { loadAddon } from './loader.js';
import type { NativeAddon, NativeSampler } from './native.js';
import { isSource, nativeOptions } from './options.js';
import { offersOf, probeMeters } from './probe.js';
import { RingReader } from './ring.js';
import { makeSource, paceHz, type Source } from './sources/index.js';
import { buildTree, type Offer } from './tree.js';
import type {
  CpuSource,
  Domain,
  GpuStatus,
  Latest,
  MeterKind,
  SamplerOptions,
  SamplerStats,
  TickView,
} from './types.js';

/**
 * A thread that reads meters and CPU-time counters at a fixed rate into a ring, and at once on request.
 * It does not keep the process alive, and ends with the environment (process or worker) that made it.
 */
export class Sampler {
  readonly domains: readonly Domain[];
  /** Why each kind of domain comes from the meter it comes from, and what is left out: one sentence each. */
  readonly reasons: readonly string[];
  readonly #native: NativeSampler;
  readonly #ring: RingReader;
  readonly #requestedHz: number;
  #settled: Promise<unknown> = Promise.resolve();
  /** Meters that are read in TypeScript, with the domain that each reports. */
  readonly #sources: readonly { readonly domain: Domain; readonly source: Source }[];

  /**
   * Opens the meters that win a domain; nothing is sampled before start(). What takes a privilege to open is opened
   * here and stays open.
   * Throws a WattleError: `sampler.bad-option`, `sampler.no-meter` where no meter finds anything to read,
   * `sampler.addon-missing` or `sampler.addon-unloadable`.
   */
  constructor(options: SamplerOptions, addon: NativeAddon = loadAddon()) {
    const checked = nativeOptions(options);
    const offers = offersOf(probeMeters(options, addon));
    const { domains, reasons } = buildTree(offers, options);
    if (domains.length === 0) throw nothingToRead(options, offers);
    const used = options.meters.flatMap((meter, index) => {
      const only = domains.filter((domain) => domain.meter === meter.kind).map(({ name }) => name);
      const native = checked.meters[index];
      return only.length === 0 || native === undefined ? [] : [{ meter, native: { ...native, only } }];
    });
    // A meter that is not read must not set the pace.
    const rateHz = Math.max(options.rateHz ?? 0, ...used.map(({ native }) => native.rateHz));
    this.#native = new addon.NativeSampler({ ...checked, rateHz, meters: used.map(({ native }) => native) });
    this.#ring = new RingReader(this.#native);
    this.#requestedHz = rateHz;
    const paceOf = (kind: MeterKind): number => {
      const found = used.find(({ meter }) => meter.kind === kind);
      if (found === undefined) return rateHz;
      return isSource(found.meter) ? Math.min(paceHz(found.meter), found.native.rateHz) : found.native.rateHz;
    };
    this.domains = domains.map((domain, index) => ({
      index,
      rateHz: paceOf(domain.meter),
      trustedGapNs: this.#native.domains[index]?.trustedGapNs ?? Infinity,
      ...domain,
    }));
    this.reasons = reasons;
    this.#sources = used.flatMap(({ meter }) => {
      const domain = this.domains.find((one) => one.meter === meter.kind);
      return isSource(meter) && domain !== undefined ? [{ domain, source: makeSource(meter) }] : [];
    });
  }

  /** Starts the thread; its first tick is taken at once. Does nothing while it runs. */
  start(): void {
    this.#native.start();
    for (const { domain, source } of this.#sources) {
      source.start(({ unit, value, monoNs }) => {
        this.#native.report(domain.index, unit, value, monoNs);
      });
    }
  }

  /** Ends the thread. What it has sampled can still be drained; the time until the next start() is a gap. */
  stop(): void {
    this.#native.stop();
    this.#settled = Promise.all(this.#sources.map(({ source }) => source.stop()));
  }

  /** After stop(): resolves when no meter outside the process is read any more, at the latest after 2 s. */
  async settled(): Promise<void> {
    await this.#settled;
  }

  /** What is wrong at present with meters outside the process, one sentence each. */
  problems(): { readonly meter: MeterKind; readonly problem: string }[] {
    return this.#sources.flatMap(({ domain, source }) =>
      source.problem === null ? [] : [{ meter: domain.meter, problem: source.problem }],
    );
  }

  /** A tick as soon as possible, so that energy is known exactly at an event. Returns before it is taken. */
  forceTick(): void {
    this.#native.forceTick();
  }

  /**
   * Takes a tick whenever a datagram arrives at the unix socket `path` (mode 0600; a socket left behind there is
   * replaced), until stop(). The hook client sends one per job event.
   * Throws `sampler.nudge-socket` where it cannot be bound.
   */
  listenForNudges(path: string): void {
    try {
      this.#native.listen(path);
    } catch (cause) {
      const message = `The socket for job events cannot be made: ${messageOf(cause)}.`;
      const remedy = 'Let the agent write the folder named in [agent] run_dir.';
      throw new WattleError('sampler.nudge-socket', message, remedy, { cause });
    }
  }

  /**
   * From the next tick on, reads a CPU-time counter in the same instant as the energy. The file need not exist yet.
   * Returns the slot for TickView.cpuNs. Throws `sampler.cpu-slots` when all slots are in use.
   */
  watchCpu(source: CpuSource): number {
    const slot = this.#native.watchCpu(source.format, source.format === 'pushed' ? '' : source.path);
    if (slot < 0) {
      throw new WattleError(
        'sampler.cpu-slots',
        `All ${this.#native.shape.cpuSlots} CPU-time slots are in use.`,
        'Raise `cpuSlots`, or unwatch counters of jobs that have ended.',
      );
    }
    this.#ring.markSlot(slot);
    return slot;
  }

  /** Frees a slot; records still in the ring keep its values until it is given to another source. */
  unwatchCpu(slot: number): void {
    if (!this.#native.unwatchCpu(slot)) throw new RangeError(`CPU slot ${slot} is not in use`);
  }

  /** Sets the cumulative CPU time (ns, a whole number) of a slot watched as `pushed`. */
  pushCpu(slot: number, ns: number): void {
    if (!this.#native.pushCpu(slot, ns)) throw new RangeError(`cannot push ${ns} ns to CPU slot ${slot}`);
  }

  /**
   * Visits each tick since the last drain, oldest first, and returns how many there were. The view is reused: copy out
   * the numbers you keep. While a visit lasts its record is held; new ticks are dropped only if the ring is full of
   * unread ones.
   */
  drain(visit: (tick: TickView) => void): number {
    return this.#ring.drain(visit);
  }

  /** What the newest tick knows, for whoever looks on beside the one that drains; null before the first tick. */
  latest(): Latest | null {
    return this.#ring.newest();
  }

  /** The GPUs that are sampled, and what they do besides drawing power. */
  gpus(): readonly GpuStatus[] {
    return this.#native.gpus();
  }

  stats(): SamplerStats {
    const native = this.#native.stats();
    const { ticks, forced, late, missed, firstTickNs, lastTickNs, domains, slowdowns, urgency, suspends } = native;
    return {
      ticks,
      forced,
      lost: this.#ring.lost,
      late,
      missed,
      firstTickNs,
      requestedHz: this.#requestedHz,
      rateHz: native.periodNs > 0 ? 1e9 / native.periodNs : this.#requestedHz,
      achievedHz: ticks > 1 ? ((ticks - 1) * 1e9) / (lastTickNs - firstTickNs) : 0,
      slowdowns,
      latenessUs: {
        p50: native.latenessP50Ns / 1e3,
        p99: native.latenessP99Ns / 1e3,
        max: native.latenessMaxNs / 1e3,
      },
      timerResolutionUs: native.timerResolutionNs / 1e3,
      urgency,
      cpuSeconds: native.threadCpuNs / 1e9,
      courierCpuSeconds: native.couriersCpuNs / 1e9,
      suspends,
      memoryBytes: this.#ring.memoryBytes,
      domains,
    };
  }
}

function nothingToRead({ meters, kinds = [], sysfs = '/sys' }: SamplerOptions, offers: readonly Offer[]): WattleError {
  const there = [...new Set(buildTree(offers).domains.map(({ kind }) => kind))].join(', ');
  if (there !== '') {
    return new WattleError(
      'sampler.no-meter',
      `No meter gives a domain of the kind ${kinds.join(' or ')} on this machine; there is ${there}.`,
      'Ask for a kind that is there (`--domain`), or run `wattle doctor` to see what each meter lacks.',
    );
  }
  const tried = meters.map((meter) => meter.kind).join(', ') || 'none';
  return new WattleError(
    'sampler.no-meter',
    `No meter found anything to read on this machine (tried: ${tried}; sysfs at ${sysfs}).`,
    'Run `wattle doctor` to see what each meter lacks, or declare a profile for the meter `model`.',
  );
}
