/**
 * The agent of one node: job events and the ring go in, batches come out.
 *
 * One cycle at a time: read events, drain the ring, book up to a moment ago, and where it is time close the
 * segment and spool it. What a crash may lose is what was booked since the last spooled batch; the ledger
 * then lacks those seconds and shows it as coverage.
 */
import { randomUUID } from 'node:crypto';
import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Address } from '../config/index.js';
import { type JobEvent, messageOf } from '../contract/index.js';
import type { Sampler, TickView } from '../sampler/index.js';
import { type DirectoryLock, lockDirectory } from '../system/index.js';
import { type BatchHeader, packBatches } from './batches.js';
import { BatchSpool, type BatchSpoolCounts } from './batch-spool.js';
import { Booker } from './booker.js';
import { SlurmCgroups, hostCpuSource } from './cgroups.js';
import { EventSpool, type HookEvent } from './events.js';
import { IdleFloor } from './idle-floor.js';
import { JobGroups } from './job-groups.js';
import { type ActiveJob, JobTable, newAccount } from './jobs.js';
import { JobProcesses } from './processes.js';
import { Shipper } from './shipper.js';
import { type Snapshot, SnapshotReader } from './snapshot.js';
import { StateFile } from './state.js';

/** How often the ring is drained. It holds a minute, so a busy event loop loses nothing. */
const CYCLE_MS = 1000;

/**
 * Booking stays this far behind the present: a hook's event file appears a few ms after the moment it tells
 * of, and a window that is booked cannot be cut any more.
 */
const SETTLE_MS = 250;

/** The event spool is watched; this often it is looked at all the same, should a notice be lost. */
const EVENT_POLL_MS = 5000;

/** At more than 10 ticks per second, windows of this length are enough: the ring's values are cumulative. */
const MIN_WINDOW_NS = 95e6;

export interface AgentOptions {
  readonly cluster: string;
  readonly node: string;
  readonly controller: Address;
  readonly stateDir: string;
  readonly eventDir: string;
  /** Here the hook client's datagrams arrive: `<run_dir>/<node>.nudge`. */
  readonly runDir: string;
  readonly cgroupRoot: string;
  readonly procfs: string;
  readonly reportIntervalMs: number;
  readonly discoverIntervalMs: number;
  readonly ledgerIntervalMs: number;
  readonly spoolMaxBytes: number;
  /** Cores of the node as Slurm counts them. */
  readonly cores: number;
  /** Whether this node is all of the host, or one of several slurmd on it. */
  readonly cpuTime: 'host' | 'slurm';
}

export interface AgentLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AgentDependencies {
  readonly sampler: Sampler;
  readonly monotonicNs: () => number;
  readonly seal: (payload: Uint8Array) => Promise<string>;
  readonly log: AgentLog;
}

/** Counters for /metrics; they only grow. */
export interface AgentCounts {
  events: number;
  badEvents: number;
  segments: number;
  batchesSent: number;
  batchesRefused: number;
  spoolErrors: number;
}

export class Agent {
  readonly counts: AgentCounts = {
    events: 0,
    badEvents: 0,
    segments: 0,
    batchesSent: 0,
    batchesRefused: 0,
    spoolErrors: 0,
  };

  readonly #options: AgentOptions;
  readonly #deps: AgentDependencies;
  readonly #events: EventSpool;
  readonly #spool: BatchSpool;
  readonly #shipper: Shipper;
  readonly #state: StateFile;
  readonly #cgroups: SlurmCgroups;
  readonly #jobs = new JobTable();
  readonly #reader: SnapshotReader;
  readonly #snapshots: Snapshot[] = [];
  readonly #groups: JobGroups;

  #bootId = '';
  #floor = new IdleFloor();
  #booker!: Booker;
  #header!: BatchHeader;
  #sequence = 0;
  /** Event files that are applied but stay until the state that knows of them is on disk. */
  readonly #appliedFiles = new Set<string>();
  #jobEvents: JobEvent[] = [];
  /** True at the start: an agent that was down finds the files. */
  #eventsWaiting = true;
  #eventsDue = 0;
  #lock: DirectoryLock | null = null;
  /** Why batches wait; null while they are taken. */
  #outOfReach: string | null = null;
  #reportDue = 0;
  #discoverDue = 0;
  #reportSoon = false;
  #endPending = false;
  #timer: NodeJS.Timeout | null = null;
  #soonTimer: NodeJS.Timeout | null = null;
  #soonDue = 0;
  #watcher: FSWatcher | null = null;
  #cycling: Promise<void> | null = null;
  #stopped = false;

  constructor(options: AgentOptions, dependencies: AgentDependencies) {
    this.#options = options;
    this.#deps = dependencies;
    const { sampler, log } = dependencies;
    this.#events = new EventSpool(options.eventDir, options.node, (file, why) => {
      this.counts.badEvents++;
      log.warn({ file, why }, 'event file set aside');
    });
    this.#spool = new BatchSpool(join(options.stateDir, 'spool'), options.spoolMaxBytes);
    this.#shipper = new Shipper(this.#spool, {
      controller: options.controller,
      seal: dependencies.seal,
      onOverdueJobs: (jobIds) => {
        this.#endOverdue(jobIds);
      },
      onState: (state) => {
        if (state.kind === 'sent') {
          this.counts.batchesSent++;
          if (this.#outOfReach !== null) log.info({}, 'the controller takes batches again');
          this.#outOfReach = null;
        } else if (state.kind === 'waiting') {
          // Every try of a day-long outage would fill the log: said once per reason.
          if (this.#outOfReach !== state.why) {
            log.warn({ why: state.why, retryMs: state.retryMs }, 'controller out of reach; batches wait');
          }
          this.#outOfReach = state.why;
        } else {
          this.counts.batchesRefused++;
          log.error({ why: state.why, file: state.file }, 'batch refused by the controller and kept apart');
        }
      },
    });
    this.#state = new StateFile(options.stateDir);
    this.#cgroups = new SlurmCgroups(options.cgroupRoot, options.node, options.procfs);
    this.#reader = new SnapshotReader(sampler.domains);
    const processes = new JobProcesses(options.procfs, options.node);
    this.#groups = new JobGroups(this.#cgroups, processes, this.#jobs, sampler, () => {
      this.#soon(20, true);
    });
  }

  /** Batches and bytes that wait for the controller. */
  get spool(): BatchSpoolCounts {
    return this.#spool.counts;
  }

  get activeJobs(): number {
    return this.#jobs.active.length;
  }

  async start(): Promise<void> {
    const options = this.#options;
    const { sampler, log } = this.#deps;
    // Two agents on one node would each book all of its joules.
    this.#lock = await lockDirectory(options.stateDir, {
      code: 'agent.held',
      remedy: 'stop that agent, or give each node of this host its own [agent] state_dir',
    });
    this.#bootId = (await readFile(join(options.procfs, 'sys/kernel/random/boot_id'), 'utf8')).trim();
    this.#header = {
      cluster: options.cluster,
      node: options.node,
      // A new one per start: the sequence begins at 0, and batches of earlier starts carry their own.
      epoch: `${this.#bootId}/${randomUUID()}`,
      domains: sampler.domains.map(({ name, kind, meter, quality }) => ({ name, kind, meter, quality })),
    };
    await this.#spool.open();
    await this.#events.prepare();

    const saved = await this.#state.load((why) => {
      log.error({ why }, 'saved state is damaged; jobs are found again by their control groups');
    });
    if (saved) this.#floor = new IdleFloor(saved.idleFloor);
    const now = this.#deps.monotonicNs();
    if (saved?.bootId === this.#bootId) for (const job of saved.jobs) this.#jobs.restore(job, now);

    const slurmCpu = newAccount(null);
    const nodeCpu = newAccount(null);
    this.#groups.attachScope(slurmCpu, now);
    // Several slurmd on one host: each sees the whole host's CPU time, which is none of the node's own.
    if (options.cpuTime === 'host') {
      this.#groups.attach(nodeCpu, hostCpuSource(options.cgroupRoot, options.procfs), now);
    }
    this.#booker = new Booker(
      {
        intervalMs: options.ledgerIntervalMs,
        cores: options.cores,
        gpus: this.#reader.gpus,
        hasNodeMeter: this.#reader.hasNodeMeter,
        quality: this.#reader.quality,
        method: this.#reader.method,
        nodeCpu,
        slurmCpu,
      },
      this.#jobs,
      this.#floor,
    );
    this.#watchEvents();
    // Jobs from before this start are told from those that come: only the latter began at zero CPU time.
    await this.#discover(now);
    this.#reportDue = now + options.reportIntervalMs * 1e6;
    sampler.start();
    this.#listenForNudges();
    this.#timer = setInterval(() => {
      this.#run();
    }, CYCLE_MS);
    this.#shipper.wake();
    log.info(
      {
        node: options.node,
        method: this.#reader.method,
        quality: this.#reader.quality,
        jobs: this.#jobs.active.length,
      },
      'agent started',
    );
  }

  /** A host may be out of inotify watches: events are found all the same, a few seconds late. */
  #watchEvents(): void {
    const unwatched = (error: unknown): void => {
      this.#deps.log.warn({ why: messageOf(error) }, 'event spool is not watched; it is looked at every few seconds');
    };
    try {
      this.#watcher = watch(this.#events.directory, { persistent: false }, () => {
        this.#eventsWaiting = true;
        this.#soon(SETTLE_MS + 20, true);
      });
      this.#watcher.on('error', unwatched);
    } catch (error) {
      unwatched(error);
    }
  }

  /** Books and spools what was sampled, tries to send it within `graceMs`, and stops. */
  async stop(graceMs = 3000): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#soonTimer) clearTimeout(this.#soonTimer);
    this.#watcher?.close();
    if (this.#timer) await this.#lastCycle(this.#timer);
    this.#groups.close();
    this.#deps.sampler.stop();
    await Promise.all([this.#deps.sampler.settled(), this.#shipper.stop(graceMs)]);
    await this.#lock?.release();
    this.#lock = null;
  }

  async #lastCycle(timer: NodeJS.Timeout): Promise<void> {
    clearInterval(timer);
    await this.#cycling;
    this.#deps.sampler.forceTick();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await this.#attempt('last cycle', () => this.#cycle(true));
  }

  /** Without the socket events are found all the same; only the tick at their moment is missing. */
  #listenForNudges(): void {
    try {
      mkdirSync(this.#options.runDir, { recursive: true, mode: 0o755 });
      this.#deps.sampler.listenForNudges(join(this.#options.runDir, `${this.#options.node}.nudge`));
    } catch (error) {
      this.#deps.log.warn({ why: messageOf(error) }, 'no forced ticks at job events');
    }
  }

  /** Runs a cycle in `delayMs` unless one is due before. @param look whether control groups may have changed */
  #soon(delayMs: number, look: boolean): void {
    if (look) this.#discoverDue = 0;
    if (this.#stopped) return;
    const due = Date.now() + delayMs;
    if (this.#soonTimer && this.#soonDue <= due) return;
    if (this.#soonTimer) clearTimeout(this.#soonTimer);
    this.#soonDue = due;
    this.#soonTimer = setTimeout(() => {
      this.#soonTimer = null;
      this.#run();
    }, delayMs);
  }

  #run(): void {
    if (this.#cycling) {
      // What asked for this cycle may have come after the running one looked.
      this.#soon(20, false);
      return;
    }
    this.#cycling = this.#attempt('cycle', () => this.#cycle(false)).finally(() => {
      this.#cycling = null;
    });
  }

  /** What fails for once, or for ever, must not keep the rest from being booked and reported. */
  async #attempt(what: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#deps.log.error({ why: messageOf(error) }, `${what} failed`);
    }
  }

  async #cycle(last: boolean): Promise<void> {
    const due = this.#deps.monotonicNs();
    if (last || this.#eventsWaiting || due >= this.#eventsDue) {
      this.#eventsWaiting = false;
      this.#eventsDue = due + EVENT_POLL_MS * 1e6;
      await this.#attempt('reading job events', () => this.#takeEvents());
    }
    // Before CPU times are pushed anew: the ticks so far belong to the last push.
    this.#drain();
    const now = this.#deps.monotonicNs();
    // Without control groups CPU times are pushed once per cycle while there are jobs to push them for.
    const pushing = this.#groups.pushedAtNs !== null && this.#jobs.active.length > 0;
    if (pushing || now >= this.#discoverDue) {
      this.#discoverDue = now + this.#options.discoverIntervalMs * 1e6;
      await this.#attempt('looking for jobs', () => this.#discover(now));
    }
    this.#book(last ? Infinity : now - SETTLE_MS * 1e6);
    if (last || this.#reportSoon || now >= this.#reportDue) {
      this.#reportSoon = false;
      this.#reportDue = now + this.#options.reportIntervalMs * 1e6;
      await this.#report();
    }
  }

  async #takeEvents(): Promise<void> {
    for (const { file, event } of await this.#events.read(this.#appliedFiles)) {
      this.#appliedFiles.add(file);
      this.counts.events++;
      this.#apply(event);
    }
  }

  #apply(event: HookEvent): void {
    const thisBoot = event.bootId === this.#bootId;
    const start = event.kind === 'prolog';
    // Monotonic times of an earlier boot mean nothing now, and its jobs are over.
    // A time to come is not the hook's: a job that starts or ends there would never be booked to its end.
    const monoNs = Math.min(event.monoNs, this.#deps.monotonicNs());
    if (thisBoot && start) {
      if (event.sluid !== undefined) this.#cgroups.learnSluid(event.sluid, event.jobId);
      this.#jobs.start({ ...event, monoNs }, this.#booker.horizonNs ?? monoNs);
      this.#discoverDue = 0;
    } else if (thisBoot) {
      this.#jobs.end(event.jobId, event.restartCount, monoNs);
    }
    this.#reportSoon ||= !start;
    this.#jobEvents.push({
      kind: start ? 'start' : 'end',
      jobId: event.jobId,
      restartCount: event.restartCount,
      atMs: Math.floor(event.realNs / 1e6),
      source: 'hook',
      ...(event.uid === undefined ? {} : { uid: event.uid }),
      ...(event.user === undefined ? {} : { user: event.user }),
      ...(event.account === undefined ? {} : { account: event.account }),
      ...(event.partition === undefined ? {} : { partition: event.partition }),
    });
  }

  async #discover(nowNs: number): Promise<void> {
    const { found, vanished } = await this.#groups.refresh(nowNs, this.#booker.horizonNs ?? -Infinity);
    for (const job of found) this.#tell('start', job);
    for (const job of vanished) {
      this.#jobs.end(job.jobId, job.restartCount, nowNs);
      this.#tell('end', job);
      this.#reportSoon = true;
    }
  }

  /** Their epilog event was lost (a full disk, a crash): without this they would hold their share for ever. */
  #endOverdue(jobIds: readonly number[]): void {
    for (const jobId of jobIds) {
      const job = this.#jobs.find(jobId);
      if (!job) continue;
      this.#deps.log.warn({ jobId }, 'job ended without an epilog event; its share of the node ends now');
      this.#jobs.end(job.jobId, job.restartCount, this.#deps.monotonicNs());
      this.#tell('end', job);
    }
  }

  #tell(kind: 'start' | 'end', job: ActiveJob): void {
    this.#jobEvents.push({
      kind,
      jobId: job.jobId,
      restartCount: job.restartCount,
      atMs: Date.now(),
      source: job.source === 'hook' ? 'cgroup' : job.source,
    });
  }

  #drain(): void {
    this.#deps.sampler.drain((tick) => {
      this.#reader.observe(tick);
      if (this.#wanted(tick)) this.#reader.mark(tick, this.#groups.slots);
    });
    // The last tick of all closes the books as they are.
    this.#snapshots.push(...this.#reader.take(this.#stopped ? Infinity : this.#deps.monotonicNs()));
  }

  #wanted(tick: TickView): boolean {
    const { monoNs, forced, hasCpu } = tick;
    const last = this.#reader.lastWaitingNs ?? this.#snapshots.at(-1)?.monoNs ?? this.#booker.horizonNs ?? -Infinity;
    if (!hasCpu || monoNs <= last) return false;
    if (this.#stopped && forced) return true;
    const pushed = this.#groups.pushedAtNs;
    if (pushed !== null && this.#jobs.active.length > 0) return last < pushed && monoNs >= pushed;
    return forced || monoNs - last >= MIN_WINDOW_NS;
  }

  #book(untilNs: number): void {
    let count = 0;
    for (const snapshot of this.#snapshots) {
      if (snapshot.monoNs > untilNs) break;
      this.#booker.book(snapshot);
      count++;
    }
    this.#snapshots.splice(0, count);
    const horizon = this.#booker.horizonNs;
    if (horizon === null) return;
    for (const job of this.#jobs.retire(horizon)) this.#groups.release(job);
    // An end that is not booked yet is reported when it is, so that the job's last joules go with it.
    if (this.#jobs.active.some((job) => job.endMonoNs !== null)) {
      this.#reportSoon = false;
      this.#endPending = true;
      this.#soon(SETTLE_MS, false);
    } else if (this.#endPending) {
      this.#endPending = false;
      this.#reportSoon = true;
    }
  }

  /** Batches on disk, then the state, then the event files go: a crash in between repeats, never loses. */
  async #report(): Promise<void> {
    this.#booker.closeSegment();
    const segments = this.#booker.takeSegments();
    const now = Date.now();
    const batches = packBatches(this.#header, this.#sequence, now, segments, this.#jobEvents);
    this.#jobEvents = [];
    this.#sequence += batches.length;
    this.counts.segments += segments.length;
    try {
      await this.#spool.add(batches, now);
    } catch (error) {
      // Not the state either: event files stay until what they led to is on disk.
      this.counts.spoolErrors++;
      this.#deps.log.error(
        { why: messageOf(error), ...this.#spool.counts, spool: this.#options.stateDir },
        'the spool takes no batch: free space or mend its permissions; batches are sent from memory meanwhile',
      );
      return;
    } finally {
      this.#shipper.wake();
    }
    await this.#save();
  }

  async #save(): Promise<void> {
    try {
      await this.#state.save({
        version: 1,
        bootId: this.#bootId,
        jobs: this.#jobs.saved,
        idleFloor: this.#floor.state,
      });
    } catch (error) {
      this.counts.spoolErrors++;
      this.#deps.log.error({ why: messageOf(error) }, 'the state was not saved; event files are kept');
      return;
    }
    for (const file of this.#appliedFiles) {
      await this.#attempt('removing an event file', async () => {
        await this.#events.remove(file);
        this.#appliedFiles.delete(file);
      });
    }
  }
}
