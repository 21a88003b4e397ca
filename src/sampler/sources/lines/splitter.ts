const NEWLINE = 0x0a;
const MAX_LINE_BYTES = 64 * 1024;

/** Cuts a byte stream into lines. Never holds more than one line, and of that no more than 64 KiB. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  #discarding = false;

  /** Lines come without their end, each byte as one character: no encoding that could be invalid. */
  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; from = end + 1, end = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, end));
      this.end();
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
  }

  /** Takes what has come since the last line end for a line. */
  end(): void {
    if (!this.#discarding && this.#partialBytes > 0) {
      this.#onLine(Buffer.concat(this.#partial, this.#partialBytes).toString('latin1').replace(/\r$/, ''));
    }
    this.reset();
  }

  /** Forgets what has come since the last line end. */
  reset(): void {
    this.#partial = [];
    this.#partialBytes = 0;
    this.#discarding = false;
  }

  #keep(bytes: Buffer): void {
    this.#partialBytes += bytes.length;
    if (this.#partialBytes > MAX_LINE_BYTES) {
      this.#partial = [];
      this.#discarding = true;
    } else {
      // A copy: the chunk may be a small part of a large buffer that would live on with it.
      this.#partial.push(Buffer.from(bytes));
    }
  }
}
