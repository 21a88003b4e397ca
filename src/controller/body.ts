/** Reads request bodies without letting anyone fill the memory: a limit for each, and one for all together. */
import { WattleError } from '../contract/index.js';

export class BodyReader {
  readonly #limit: number;
  readonly #limitOfAll: number;
  #held = 0;

  /** @param limit bytes of one body @param limitOfAll bytes of all bodies that are being read or worked on */
  constructor(limit: number, limitOfAll: number) {
    this.#limit = limit;
    this.#limitOfAll = limitOfAll;
  }

  /**
   * Reads the body and hands it to `use`; its bytes count until `use` is done.
   * @throws WattleError `ingest.too-large`, `ingest.busy`, `ingest.cut-short`
   */
  async read<T>(request: Request, use: (body: Buffer) => Promise<T>): Promise<T> {
    // A body that says it is too large is refused before a byte of it is read.
    if (Number(request.headers.get('content-length') ?? 0) > this.#limit) throw this.#tooLarge();
    const chunks: Uint8Array[] = [];
    let length = 0;
    const reader = (request.body as ReadableStream<Uint8Array> | null)?.getReader();
    try {
      for (;;) {
        const next = await reader?.read().catch((cause: unknown) => {
          throw new WattleError('ingest.cut-short', 'the body was cut short', 'send it again', { cause });
        });
        if (!next || next.done) break;
        length += next.value.byteLength;
        this.#held += next.value.byteLength;
        if (length > this.#limit) throw this.#tooLarge();
        if (this.#held > this.#limitOfAll) {
          throw new WattleError('ingest.busy', 'too much is being sent at once', 'try again shortly');
        }
        chunks.push(next.value);
      }
      return await use(Buffer.concat(chunks));
    } finally {
      this.#held -= length;
      // Without this an unread rest would keep the connection's buffers alive.
      await reader?.cancel().catch(() => undefined);
    }
  }

  #tooLarge(): WattleError {
    const remedy = 'split the batch: see MAX_BATCH_BYTES';
    return new WattleError('ingest.too-large', `the body is larger than ${this.#limit} bytes`, remedy);
  }
}
