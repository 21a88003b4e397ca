/** Who takes the bytes of a stream of lines. */
export interface LineFeed {
  /** Takes the bytes that came; returns for how many ms no more of them should be fetched. */
  data(chunk: Buffer): number;
  /** What comes next is a stream from its beginning; `why` nothing more comes of the one before. */
  begins(why: string): void;
  /** Takes old bytes, of which only the names of the columns still hold. */
  head(chunk: Buffer): void;
}

/**
 * Brings lines until the stream ends or `signal` aborts, and leaves nothing running then.
 * Rejects with a SourceProblem where the stream ended by itself.
 */
export type LineOrigin = (feed: LineFeed, signal: AbortSignal) => Promise<void>;
