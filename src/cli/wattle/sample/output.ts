/** Where the figures go: a terminal, lines of text, or every tick to a file or a program. */
import type { Domain } from '../../../sampler/index.js';
import { toStdout, type SampleOptions } from './options.js';
import { Screen } from './screen.js';
import { openSink, type Sink } from './sink.js';
import { canRedraw, styleOf } from './style.js';
import { summaryLine, TickLines, type RecordedTick } from './tick-lines.js';
import { liveFrame, plainLine, summary, type SampleState } from './view.js';

const PLAIN_MS = 1000;

export class Output {
  readonly #screen: Screen | undefined;
  readonly #plain: boolean;
  readonly #recorder: { readonly sink: Sink; readonly lines: TickLines } | undefined;
  readonly #asJson: boolean;
  #pending = '';
  #plainDueMs = PLAIN_MS;

  private constructor(options: SampleOptions, recorder: { sink: Sink; lines: TickLines } | undefined) {
    const busy = toStdout(options);
    const terminal = process.stdout.isTTY && canRedraw(process.env);
    this.#screen = terminal && !busy ? new Screen(process.stdout) : undefined;
    this.#plain = !terminal && !busy;
    this.#recorder = recorder;
    this.#asJson = options.recording?.format === 'json';
  }

  static async open(options: SampleOptions, domains: readonly Domain[], node: string): Promise<Output> {
    const { recording, jobId } = options;
    if (recording === undefined) return new Output(options, undefined);
    const sink = await openSink(recording);
    const lines = new TickLines({ format: recording.format, node, domains, jobId });
    const output = new Output(options, { sink, lines });
    output.#pending = lines.heading();
    return output;
  }

  get record(): ((tick: RecordedTick) => void) | undefined {
    const recorder = this.#recorder;
    if (recorder === undefined) return undefined;
    return (tick) => {
      this.#pending += recorder.lines.tick(tick);
    };
  }

  /** Writes the ticks that were recorded; what there was no room for before the signal waits for the next time. */
  async flush(signal: AbortSignal): Promise<void> {
    const text = this.#pending;
    this.#pending = '';
    this.#pending = (await this.#recorder?.sink.write(text, signal)) ?? '';
  }

  show(state: () => SampleState, elapsedMs: number): void {
    if (this.#screen !== undefined) {
      const { columns, rows } = process.stdout;
      // A terminal over a serial line may not tell its size. The line below the frame holds the cursor.
      const style = styleOf(process.env, columns > 0 ? columns : 80, (rows > 0 ? rows : 24) - 1);
      this.#screen.draw(liveFrame(state(), style));
    } else if (this.#plain && elapsedMs >= this.#plainDueMs) {
      this.#plainDueMs = Math.max(this.#plainDueMs + PLAIN_MS, elapsedMs);
      process.stdout.write(`${plainLine(state())}\n`);
    }
  }

  restore(): void {
    this.#screen?.close();
  }

  /** The summary: beside ticks on standard output it goes to standard error, and as a last line into JSON. */
  async finish(state: SampleState): Promise<void> {
    const unwritten = this.#pending;
    this.#pending = '';
    try {
      await this.#recorder?.sink.end(this.#asJson ? unwritten + summaryLine(state) : unwritten);
    } finally {
      const out = this.#plain || this.#screen !== undefined ? process.stdout : process.stderr;
      out.write(`${this.#screen === undefined && !this.#plain ? '' : '\n'}${summary(state).join('\n')}\n`);
    }
  }
}
