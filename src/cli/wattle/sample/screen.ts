/** Draws frames over each other on a terminal, and leaves it as it was found. */
import type { WriteStream } from 'node:tty';

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_TO_LINE_END = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
// eslint-disable-next-line no-control-regex
const COLOURS = /\u001b\[\d+m/g;

const up = (rows: number): string => (rows > 0 ? `\u001b[${rows}A` : '');

export class Screen {
  readonly #out: Pick<WriteStream, 'write' | 'columns'>;
  #widths: number[] = [];
  #open = false;
  readonly #restore = (): void => {
    this.close();
  };

  constructor(out: Pick<WriteStream, 'write' | 'columns'>) {
    this.#out = out;
  }

  /** Draws the lines in place of those before. */
  draw(lines: readonly string[]): void {
    if (!this.#open) {
      this.#open = true;
      // Also where the process is ended from elsewhere, such as by a reader that goes away.
      process.once('exit', this.#restore);
      this.#out.write(HIDE_CURSOR);
    }
    // A window made narrower since has wrapped the old lines.
    const columns = Math.max(1, this.#out.columns);
    const rows = this.#widths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    const text = lines.map((line) => `${line}${CLEAR_TO_LINE_END}\n`).join('');
    this.#out.write(`\r${up(rows)}${text}${CLEAR_BELOW}`);
    this.#widths = lines.map((line) => line.replace(COLOURS, '').length);
  }

  /** The last frame stays; the cursor stands below it and is seen again. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    process.off('exit', this.#restore);
    this.#out.write(SHOW_CURSOR);
    this.#widths = [];
  }
}
