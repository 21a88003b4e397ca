/** Tells in the agent's log why the node is measured as it is, and of meters outside the process that fail and recover. */
import type { MeterKind, Sampler } from '../../sampler/index.js';

/** How often the meters are asked: a reading that comes late is no problem yet. */
const LOOK_MS = 10_000;

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export class MeterLog {
  readonly #sampler: () => Pick<Sampler, 'problems' | 'reasons'>;
  readonly #log: () => Log;
  readonly #told = new Map<MeterKind, string>();
  #timer: NodeJS.Timeout | undefined;

  /** @param sampler, log functions, not objects: a reload puts others in place */
  constructor(sampler: () => Pick<Sampler, 'problems' | 'reasons'>, log: () => Log) {
    this.#sampler = sampler;
    this.#log = log;
  }

  /** Looks from now on; it does not keep the process alive. */
  start(): void {
    this.#timer = setInterval(() => {
      this.look();
    }, LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Which meter gives what; energy that is nobody's is worth a warning. */
  tellReasons(): void {
    for (const reason of this.#sampler().reasons) {
      if (reason.includes('is not counted')) this.#log().warn({}, reason);
      else this.#log().info({}, reason);
    }
  }

  /** Tells what has changed since the last look. */
  look(): void {
    const problems = this.#sampler().problems();
    for (const { meter, problem } of problems) {
      // The same problem may count how often it came.
      const kind = problem.replace(/\d+/g, '#');
      if (this.#told.get(meter) === kind) continue;
      this.#told.set(meter, kind);
      this.#log().warn({ meter, why: problem }, 'a meter gives no readings');
    }
    for (const meter of this.#told.keys()) {
      if (problems.some((one) => one.meter === meter)) continue;
      this.#told.delete(meter);
      this.#log().info({ meter }, 'a meter has no problem any more');
    }
  }
}
