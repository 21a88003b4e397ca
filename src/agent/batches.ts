/** Packs segments and job events into batches that fit one MUNGE credential. */
import { type Batch, type JobEvent, MAX_BATCH_BYTES, type Segment, WIRE_VERSION } from '../contract/index.js';

/** What is the same in every batch of one agent run. */
export type BatchHeader = Pick<Batch, 'cluster' | 'node' | 'epoch' | 'domains'>;

/** Room for the header's own text and for commas. */
const HEADROOM_BYTES = 64 * 1024;

/**
 * Serialised batches in order, numbered from `sequence`. Usually one; more where the node has so much to
 * tell that MUNGE's limit would be passed.
 */
export function packBatches(
  header: BatchHeader,
  sequence: number,
  sentAtMs: number,
  segments: readonly Segment[],
  events: readonly JobEvent[],
): string[] {
  const batches: string[] = [];
  let batch: { segments: Segment[]; events: JobEvent[]; bytes: number } = { segments: [], events: [], bytes: 0 };
  const flush = (): void => {
    if (batch.segments.length === 0 && batch.events.length === 0) return;
    const whole: Batch = {
      version: WIRE_VERSION,
      ...header,
      sequence: sequence + batches.length,
      sentAtMs,
      segments: batch.segments,
      events: batch.events,
    };
    batches.push(JSON.stringify(whole));
    batch = { segments: [], events: [], bytes: 0 };
  };
  const room = (item: object): void => {
    const bytes = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (batch.bytes + bytes > MAX_BATCH_BYTES - HEADROOM_BYTES) flush();
    batch.bytes += bytes;
  };
  for (const event of events) {
    room(event);
    batch.events.push(event);
  }
  for (const segment of segments) {
    room(segment);
    batch.segments.push(segment);
  }
  flush();
  return batches;
}
