/** A node's power as its BMC tells it over Redfish. */
import { messageOf } from '../../contract/index.js';
import { monotonicNs } from './clock.js';
import { Condition } from './condition.js';
import { EnergyCounter } from './energy-counter.js';
import { COUNTER_HOLD_MS, LIVE_HOLD_MS, type Hold } from './hold.js';
import { atMost, backoffMs, pause } from './pause.js';
import { shown, SourceProblem } from './problem.js';
import { RedfishClient, type RedfishAccess } from './redfish-client.js';
import { findRoute, type Route, type RouteKind, type RouteReading } from './redfish-route.js';
import type { Source, SourceReading } from './source.js';

export interface RedfishOptions extends RedfishAccess {
  readonly kind: 'redfish';
  /** Id of the node's chassis. Absent: `System.Embedded.1`, or the only one that shows power. */
  readonly chassis?: string;
  /** Default 2000. */
  readonly periodMs?: number;
  /** A BMC that takes longer is asked again later. Default 5000. */
  readonly timeoutMs?: number;
  /** More is no power of a node, and is dropped. Default 20000. */
  readonly maxWatts?: number;
  /** For how long a reading stands when none follows. Default: 10 s or three periods, 5 min of a counter. */
  readonly holdMs?: number;
}

/** A refused password is not tried again sooner: BMCs lock accounts, or block addresses, after a few tries. */
const LOCKOUT_MS = 60_000;
const STOP_WITHIN_MS = 2000;
/** So often in a row may the BMC show no number before its tree is searched anew. */
const MAX_EMPTY = 3;

export function redfishHold({ holdMs, periodMs = 2000 }: RedfishOptions): Hold {
  const watts = holdMs ?? Math.max(LIVE_HOLD_MS, 3 * periodMs);
  return { watts, joules: holdMs ?? Math.max(COUNTER_HOLD_MS, watts) };
}

export function redfishSource(options: RedfishOptions, lockoutMs = LOCKOUT_MS): Source {
  return new RedfishSource(options, lockoutMs);
}

class RedfishSource implements Source {
  readonly #options: RedfishOptions;
  readonly #periodMs: number;
  readonly #maxWatts: number;
  readonly #lockoutMs: number;
  readonly #condition: Condition;
  readonly #counter = new EnergyCounter();
  #running: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;

  #client: RedfishClient | undefined;
  #route: { readonly route: Route; readonly untilNs: number } | undefined;
  #kind: RouteKind | undefined;
  #former: RouteReading | undefined;
  #empty = 0;

  constructor(options: RedfishOptions, lockoutMs: number) {
    this.#options = options;
    this.#periodMs = options.periodMs ?? 2000;
    this.#maxWatts = options.maxWatts ?? 20_000;
    this.#lockoutMs = lockoutMs;
    this.#condition = new Condition(3 * Math.max(this.#periodMs, options.timeoutMs ?? 5000), redfishHold(options));
  }

  get problem(): string | null {
    return this.#condition.problem;
  }

  start(report: (reading: SourceReading) => void): void {
    if (this.#running !== undefined) return;
    const abort = new AbortController();
    this.#running = { abort, done: this.#run(report, abort.signal) };
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.abort.abort();
    await atMost(STOP_WITHIN_MS, running.done);
    this.#running = undefined;
  }

  async #run(report: (reading: SourceReading) => void, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      const begunNs = monotonicNs();
      let waitMs = this.#periodMs;
      try {
        const reading = await this.#read(signal);
        failures = 0;
        if (reading !== null) {
          this.#condition.good(reading);
          report(reading);
        }
      } catch (error) {
        failures++;
        this.#condition.bad(error instanceof SourceProblem ? error.message : `it cannot be read: ${messageOf(error)}`);
        const lockedOut = error instanceof SourceProblem && error.retry === 'locked-out';
        waitMs = lockedOut ? this.#lockoutMs : backoffMs(failures, this.#periodMs);
        // What was refused may be put right in the file meanwhile.
        if (lockedOut) this.#forget();
      }
      await pause(Math.max(0, waitMs - (monotonicNs() - begunNs) / 1e6), signal);
    }
    this.#forget();
  }

  /** Null where the BMC has nothing new to say. */
  async #read(signal: AbortSignal): Promise<SourceReading | null> {
    this.#client ??= new RedfishClient(this.#options, signal);
    const client = this.#client;
    const get = (path: string): Promise<unknown> => client.get(path);
    if (this.#route === undefined || monotonicNs() > this.#route.untilNs) {
      const route = await findRoute(get, this.#options.chassis, this.#kind);
      this.#route = { route, untilNs: monotonicNs() + (route.goodForMs ?? Number.POSITIVE_INFINITY) * 1e6 };
      this.#kind = route.kind;
    }
    const { route } = this.#route;
    const askedNs = monotonicNs();
    const found = await route.read(get);
    // The value was taken somewhere between question and answer.
    const monoNs = Math.round((askedNs + monotonicNs()) / 2);
    if (found === null) return this.#nothing('the BMC shows no power above 0 at present');
    this.#empty = 0;

    const { value, readingTime } = found;
    const former = this.#former;
    this.#former = found;
    if (readingTime !== undefined && readingTime === former?.readingTime && value === former.value) {
      this.#condition.bad(`the BMC's sensor has not been read since ${shown(readingTime)}`);
      return null;
    }
    if (route.kind !== 'watts') {
      const joules = this.#counter.step(value);
      if (joules === null) this.#condition.bad("the BMC's energy counter stands still");
      return joules === null ? null : { unit: 'joules', value: joules, monoNs };
    }
    if (value <= this.#maxWatts) return { unit: 'watts', value, monoNs };
    this.#condition.bad(`the BMC shows ${value} W, more than max_watts (${this.#maxWatts})`);
    return null;
  }

  #nothing(why: string): null {
    this.#condition.bad(why);
    if (++this.#empty >= MAX_EMPTY) {
      this.#empty = 0;
      this.#route = undefined;
    }
    return null;
  }

  #forget(): void {
    this.#client?.close();
    this.#client = undefined;
    this.#route = undefined;
  }
}
