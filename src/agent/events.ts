/**
 * Job events as the hook client leaves them: one file per event in `<event_dir>/<node>/`.
 *
 * A file is NUL-separated fields: `wattle-event 1`, then `key=value` fields, then `end`. A file without its
 * end was cut short; anything else that does not parse is not ours. Both are set aside, never fatal.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../contract/index.js';
import { expandCpusPerNode, expandHostlist } from '../slurm/index.js';
import { removeIfPresent } from './files.js';

/** The client writes at most 64 KiB; more is not an event. */
const MAX_EVENT_BYTES = 128 * 1024;

/** Errors that speak of the host at this moment, not of the file. */
const PASSING = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

export interface HookEvent {
  readonly kind: 'prolog' | 'epilog';
  /** CLOCK_MONOTONIC and CLOCK_REALTIME when the hook ran, in ns. Monotonic only means something within bootId. */
  readonly monoNs: number;
  readonly realNs: number;
  readonly bootId: string;
  readonly jobId: number;
  readonly restartCount: number;
  readonly uid: number | undefined;
  readonly user: string | undefined;
  readonly account: string | undefined;
  readonly partition: string | undefined;
  /** Cores allocated on this node, where Slurm says. */
  readonly cores: number | undefined;
  readonly gpus: number;
  /** Slurm 25.11 and newer: the name that 26.05 gives the job's control group. */
  readonly sluid: string | undefined;
}

function field(fields: ReadonlyMap<string, string>, key: string): string | undefined {
  const value = fields.get(key);
  return value === undefined || value === '' || value === '(null)' ? undefined : value;
}

function integer(fields: ReadonlyMap<string, string>, key: string): number | undefined {
  const value = field(fields, key);
  return value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}

/** Nanoseconds since 1970 need 19 digits: the double nearest to them is 256 ns off at most. */
function nanoseconds(fields: ReadonlyMap<string, string>, key: string): number {
  const value = field(fields, key);
  if (value === undefined || !/^\d{1,19}$/.test(value)) throw new Error(`${key} is missing or no number`);
  return Number(value);
}

/** This node's entry of SLURM_JOB_CPUS_PER_NODE, whose order is that of the node list. */
function coresOnNode(fields: ReadonlyMap<string, string>, node: string): number | undefined {
  const perNode = field(fields, 'SLURM_JOB_CPUS_PER_NODE');
  const nodelist = field(fields, 'SLURM_JOB_NODELIST') ?? field(fields, 'SLURM_NODELIST');
  if (perNode === undefined || nodelist === undefined) return undefined;
  try {
    const cores = expandCpusPerNode(perNode)[expandHostlist(nodelist).indexOf(node)];
    // Nobody can be given a share by no cores.
    return cores === 0 ? undefined : cores;
  } catch {
    // The event still tells when the job began; without a core count it counts as one core.
    return undefined;
  }
}

/** @throws Error that says what is wrong with the file. */
export function parseEvent(bytes: Buffer, node: string): HookEvent {
  const parts = bytes.toString('utf8').split('\0');
  if (parts[0] !== 'wattle-event 1') throw new Error('it does not begin with "wattle-event 1"');
  const end = parts.lastIndexOf('end');
  if (end < 0 || end < parts.length - 2) throw new Error('it was cut short: its "end" is missing');
  const fields = new Map<string, string>();
  for (const part of parts.slice(1, end)) {
    const equals = part.indexOf('=');
    if (equals > 0) fields.set(part.slice(0, equals), part.slice(equals + 1));
  }
  const kind = fields.get('kind');
  if (kind !== 'prolog' && kind !== 'epilog') throw new Error(`kind is neither prolog nor epilog`);
  const jobId = integer(fields, 'SLURM_JOB_ID');
  if (jobId === undefined) throw new Error('SLURM_JOB_ID is missing or no number');
  return {
    kind,
    monoNs: nanoseconds(fields, 'mono_ns'),
    realNs: nanoseconds(fields, 'real_ns'),
    bootId: field(fields, 'boot_id') ?? '',
    jobId,
    restartCount: integer(fields, 'SLURM_JOB_RESTART_COUNT') ?? 0,
    uid: integer(fields, 'SLURM_JOB_UID'),
    user: field(fields, 'SLURM_JOB_USER')?.slice(0, 255),
    account: field(fields, 'SLURM_JOB_ACCOUNT')?.slice(0, 255),
    partition: field(fields, 'SLURM_JOB_PARTITION')?.slice(0, 255),
    cores: coresOnNode(fields, node),
    gpus: field(fields, 'SLURM_JOB_GPUS')?.split(',').length ?? 0,
    sluid: field(fields, 'SLURM_JOB_SLUID'),
  };
}

export interface SpooledEvent {
  readonly file: string;
  readonly event: HookEvent;
}

async function readBounded(file: FileHandle): Promise<Buffer> {
  const { size } = await file.stat();
  if (size > MAX_EVENT_BYTES) throw new Error(`it has ${size} bytes, an event has at most ${MAX_EVENT_BYTES}`);
  return file.readFile();
}

export class EventSpool {
  readonly directory: string;
  readonly #node: string;
  readonly #onSetAside: (file: string, why: string) => void;

  /**
   * @param eventDir the hook's spool; this node's events are in the folder of its name
   * @param onSetAside called for each file that was moved to `bad/`
   */
  constructor(eventDir: string, node: string, onSetAside: (file: string, why: string) => void) {
    this.directory = join(eventDir, node);
    this.#node = node;
    this.#onSetAside = onSetAside;
  }

  async prepare(): Promise<void> {
    await mkdir(join(this.directory, 'bad'), { recursive: true, mode: 0o700 });
  }

  /**
   * Events that wait, oldest first. They stay until `remove`, so that a crash finds them again.
   * @throws the file system's error where it may pass: the events wait for the next look
   */
  async read(known: ReadonlySet<string>): Promise<SpooledEvent[]> {
    // A hidden name is a file that is still being written.
    const names = (await readdir(this.directory))
      .filter((name) => name.endsWith('.event') && !name.startsWith('.') && !known.has(name))
      .sort();
    const events: SpooledEvent[] = [];
    for (const name of names) {
      try {
        // O_NOFOLLOW and O_NONBLOCK: a link or a FIFO planted here must not lead elsewhere or block.
        const file = await open(
          join(this.directory, name),
          constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
        );
        try {
          events.push({ file: name, event: parseEvent(await readBounded(file), this.#node) });
        } finally {
          await file.close();
        }
      } catch (error) {
        if (PASSING.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
        await this.#setAside(name, messageOf(error));
      }
    }
    // Names carry the wall clock: after a step of it back an epilog would come before its prolog, and do nothing.
    return events.sort((a, b) => a.event.monoNs - b.event.monoNs);
  }

  async remove(name: string): Promise<void> {
    await removeIfPresent(join(this.directory, name));
  }

  async #setAside(name: string, why: string): Promise<void> {
    try {
      await rename(join(this.directory, name), join(this.directory, 'bad', name));
    } catch (error) {
      why += `; setting it aside failed: ${messageOf(error)}`;
    }
    this.#onSetAside(join(this.directory, 'bad', name), why);
  }
}
