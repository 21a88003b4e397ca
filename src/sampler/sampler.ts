import { messageOf, WattleError } from '../contract/index.js';
import { loadAddon } from './loader.js';
import type { NativeSampler } from './native.js';
import { nativeOptions } from './options.js';
import { RingReader } from './ring.js';
import type { CpuSource, Domain, SamplerOptions, SamplerStats, TickView } from './types.js';

/**
 * A thread that reads meters and CPU-time counters at a fixed rate into a ring, and at once on request.
 * It does not keep the process alive, and ends with the environment (process or worker) that made it.
 */
export class Sampler {
  readonly domains: readonly Domain[];
  readonly #native: NativeSampler;
  readonly #ring: RingReader;

  /**
   * Opens the meters; nothing is sampled before start().
   * Throws a WattleError: `sampler.bad-option`, `sampler.no-meter` where no meter finds anything to read,
   * `sampler.addon-missing` or `sampler.addon-unloadable`.
   */
  constructor(options: SamplerOptions) {
    const native = nativeOptions(options);
    this.#native = new (loadAddon().NativeSampler)(native);
    this.#ring = new RingReader(this.#native);
    this.domains = this.#native.domains.map((domain, index) => ({ index, ...domain }));
    if (this.domains.length === 0) {
      const tried = options.meters.map((meter) => meter.kind).join(', ') || 'none';
      throw new WattleError(
        'sampler.no-meter',
        `No meter found anything to read on this machine (tried: ${tried}; sysfs at ${native.sysfs}).`,
        'Run `wattle doctor` to see what each meter lacks, or declare a profile for the meter `model`.',
      );
    }
  }

  /** Starts the thread; its first tick is taken at once. Does nothing while it runs. */
  start(): void {
    this.#native.start();
  }

  /** Ends the thread. What it has sampled can still be drained; the time until the next start() is a gap. */
  stop(): void {
    this.#native.stop();
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

  stats(): SamplerStats {
    const { ticks, forced, late, missed, firstTickNs, lastTickNs, threadCpuNs, domains } = this.#native.stats();
    return {
      ticks,
      forced,
      lost: this.#ring.lost,
      late,
      missed,
      achievedHz: ticks > 1 ? ((ticks - 1) * 1e9) / (lastTickNs - firstTickNs) : 0,
      cpuSeconds: threadCpuNs / 1e9,
      memoryBytes: this.#ring.memoryBytes,
      domains,
    };
  }
}
