import type { NativeSampler } from './native.js';
import type { Latest, TickView } from './types.js';

/** The block's layout: native/core/ring.h says why it is so and why reading it needs no lock. */
const HEADER_BYTES = 64;
const HEAD = 0;
const RESERVED = 1;
const PIN = 2;
const PINNED = 3;
const DROPPED = 4;
const MONO_NS = 0;
const REAL_MS = 1;
const FLAGS = 2;
const FIXED_FIELDS = 3;
/** Of each domain: energy, coverage, up to when they are known. */
const DOMAIN_FIELDS = 3;
const FORCED = 1;
const CPU = 2;

/** Reads the sampling thread's ring in place. */
export class RingReader implements TickView {
  readonly memoryBytes: number;
  readonly #header: Int32Array;
  readonly #cells: Float64Array;
  readonly #capacity: number;
  readonly #rowCells: number;
  readonly #columnCells: number;
  readonly #domains: number;
  readonly #cpuSlots: number;
  /** Number of the first record that shows the present owner of a CPU slot. */
  readonly #slotSince: Float64Array;
  /** Number of the next record to visit. Numbers count from 0 and never wrap; the header's words wrap at 2^32. */
  #cursor = 0;
  #overwritten = 0;
  #record = 0;
  #row = 0;
  #rowStart = 0;
  #draining = false;

  constructor(native: NativeSampler) {
    const { capacity, domains, cpuSlots, rowCells, columnCells } = native.shape;
    const memory = native.memory;
    this.memoryBytes = memory.byteLength;
    this.#header = new Int32Array(memory, 0, HEADER_BYTES / Int32Array.BYTES_PER_ELEMENT);
    this.#cells = new Float64Array(memory, HEADER_BYTES);
    this.#capacity = capacity;
    this.#rowCells = rowCells;
    this.#columnCells = columnCells;
    this.#domains = domains;
    this.#cpuSlots = cpuSlots;
    this.#slotSince = new Float64Array(cpuSlots);
  }

  get monoNs(): number {
    return this.#field(MONO_NS);
  }

  get realMs(): number {
    return this.#field(REAL_MS);
  }

  get forced(): boolean {
    return (this.#field(FLAGS) & FORCED) !== 0;
  }

  get hasCpu(): boolean {
    return (this.#field(FLAGS) & CPU) !== 0;
  }

  energyUj(domain: number): number {
    return this.#field(this.#domainField(domain));
  }

  coveredNs(domain: number): number {
    return this.#field(this.#domainField(domain) + 1);
  }

  knownAtNs(domain: number): number {
    return this.#field(this.#domainField(domain) + 2);
  }

  cpuNs(slot: number): number {
    const column = this.#capacity * this.#rowCells + this.#checked(slot, this.#cpuSlots) * this.#columnCells;
    // Cells of a record that read no CPU time are older than the record.
    if (!this.hasCpu || this.#record < (this.#slotSince[slot] ?? 0)) return Number.NaN;
    // Stored plus 1, so that memory never written means "no value".
    const stored = this.#cells[column + this.#row] ?? 0;
    return stored === 0 ? Number.NaN : stored - 1;
  }

  /** From now on the slot belongs to another source: older records do not speak of it. */
  markSlot(slot: number): void {
    this.#slotSince[slot] = this.#number(HEAD);
  }

  get lost(): number {
    return this.#overwritten + Atomics.load(this.#header, DROPPED);
  }

  /** Visits every record published before the call, oldest first. A record whose visit throws is not visited again. */
  drain(visit: (tick: TickView) => void): number {
    if (this.#draining) throw new Error('drain() was called from within its own visit');
    this.#draining = true;
    let visited = 0;
    try {
      this.#pinOldest();
      for (const end = this.#number(HEAD); this.#cursor < end; visited++) {
        this.#show(this.#cursor);
        try {
          visit(this);
        } finally {
          this.#cursor++;
        }
        Atomics.store(this.#header, PIN, this.#cursor | 0);
      }
    } finally {
      Atomics.store(this.#header, PINNED, 0);
      this.#draining = false;
    }
    return visited;
  }

  /**
   * A copy of the newest record; null before the first. It is held for the moment that copying takes; within a visit of
   * drain() it is held already, with all that come after the visited one. The cursor stays where it is.
   */
  newest(): Latest | null {
    const record = this.#number(HEAD) - 1;
    if (record < 0) return null;
    if (!this.#draining) {
      Atomics.store(this.#header, PIN, record | 0);
      Atomics.store(this.#header, PINNED, 1);
    }
    const visited = this.#record;
    try {
      // Only where this thread was held up for a whole lap before it could hold the record.
      if (this.#number(RESERVED) - record > this.#capacity) return this.newest();
      this.#show(record);
      const domains = Array.from({ length: this.#domains }, (_, domain) => ({
        energyUj: this.energyUj(domain),
        coveredNs: this.coveredNs(domain),
        knownAtNs: this.knownAtNs(domain),
      }));
      return { monoNs: this.monoNs, realMs: this.realMs, domains };
    } finally {
      this.#show(visited);
      if (!this.#draining) Atomics.store(this.#header, PINNED, 0);
    }
  }

  /** Makes a record the one that the accessors tell of. */
  #show(record: number): void {
    this.#record = record;
    this.#row = record % this.#capacity;
    this.#rowStart = this.#row * this.#rowCells;
  }

  /** Holds the oldest record that the writer has not begun to overwrite, and moves the cursor there. */
  #pinOldest(): void {
    for (;;) {
      Atomics.store(this.#header, PIN, this.#cursor | 0);
      Atomics.store(this.#header, PINNED, 1);
      const overtaken = this.#number(RESERVED) - this.#cursor - this.#capacity;
      if (overtaken <= 0) return;
      this.#cursor += overtaken;
      this.#overwritten += overtaken;
    }
  }

  /** A record number of the header; it is never behind the cursor. */
  #number(word: number): number {
    return this.#cursor + ((Atomics.load(this.#header, word) - (this.#cursor | 0)) >>> 0);
  }

  #field(field: number): number {
    return this.#cells[this.#rowStart + field] ?? Number.NaN;
  }

  #domainField(domain: number): number {
    return FIXED_FIELDS + DOMAIN_FIELDS * this.#checked(domain, this.#domains);
  }

  #checked(index: number, count: number): number {
    if (!(index >= 0 && index < count)) throw new RangeError(`no such domain or slot: ${index} of ${count}`);
    return index;
  }
}
