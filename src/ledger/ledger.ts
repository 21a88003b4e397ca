/** The ledger as the rooms around it see it: one cluster's books in one database. */
import type { Batch, ConservationAnswer } from '../contract/index.js';
import type { JobsPage, JobsQuery, LedgerPort, PlacedFacts, Site } from '../controller/ports.js';
import { Booking } from './booking.js';
import { checkConservation } from './conservation.js';
import type { OpenDatabase } from './database.js';
import { endedJobs, nodePartitions, recordFacts, recordPartitions, unresolvedJobs } from './facts.js';
import { type CarbonSeries, storeCarbonSeries } from './intensities.js';
import { findJobs } from './jobs.js';
import { migrate } from './migrations.js';
import { Names } from './names.js';
import { Partitions } from './partitions.js';

export class Ledger implements LedgerPort {
  readonly #database: OpenDatabase;
  readonly #partitions: Partitions;
  readonly #booking: Booking;
  readonly #clusterId: number;

  private constructor(database: OpenDatabase, names: Names, clusterId: number) {
    this.#database = database;
    this.#clusterId = clusterId;
    this.#partitions = new Partitions(database);
    this.#booking = new Booking(database, names, this.#partitions);
  }

  /**
   * Brings the database to this program's schema and opens the books of `cluster`.
   * @throws WattleError `ledger.newer-schema`
   */
  static async open(database: OpenDatabase, cluster: string): Promise<Ledger> {
    await migrate(database);
    const names = new Names(database);
    const ledger = new Ledger(database, names, await names.cluster(cluster));
    await ledger.prepare();
    return ledger;
  }

  book(batch: Batch, site: Site): Promise<'booked' | 'duplicate'> {
    return this.#booking.book(batch, site);
  }

  recordFacts(facts: readonly PlacedFacts[]): Promise<void> {
    return recordFacts(this.#database, this.#clusterId, facts, Date.now());
  }

  unresolvedJobs(limit: number): Promise<readonly number[]> {
    return unresolvedJobs(this.#database, this.#clusterId, limit);
  }

  endedJobs(jobIds: readonly number[], beforeMs: number): Promise<readonly number[]> {
    return endedJobs(this.#database, this.#clusterId, jobIds, beforeMs);
  }

  recordPartitions(nodes: ReadonlyMap<string, readonly string[]>): Promise<void> {
    return recordPartitions(this.#database, this.#clusterId, nodes);
  }

  partitions(): Promise<Map<string, readonly string[]>> {
    return nodePartitions(this.#database, this.#clusterId);
  }

  /** Stores a zone's carbon intensities as facts; those already known are left as they are. */
  storeCarbonSeries(series: readonly CarbonSeries[]): Promise<void> {
    return storeCarbonSeries(this.#database, series);
  }

  jobs(query: JobsQuery): Promise<JobsPage> {
    return findJobs(this.#database, this.#clusterId, query, Date.now());
  }

  conservation(sinceMs: number, untilMs: number): Promise<ConservationAnswer> {
    return checkConservation(this.#database, this.#clusterId, sinceMs, untilMs);
  }

  async ping(): Promise<void> {
    await this.#database.query('select 1');
  }

  /** Makes room for the coming weeks; to be called about once a day. */
  prepare(): Promise<void> {
    return this.#partitions.prepare(Date.now());
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}
