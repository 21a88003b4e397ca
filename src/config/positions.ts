/** Finds where each key of a TOML document stands. The parser that we use keeps positions for syntax errors only. */

export interface Position {
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
}
/** Table names, key and, inside an array, the element's number: `['controller', 'listen', '0']`. */
export type KeyPath = readonly string[];

const joined = (path: KeyPath): string => path.join('\0');

/** Positions of all keys and array elements of a document that has parsed; anything else gives partial answers. */
export class KeyPositions {
  readonly #offsets = new Map<string, number>();
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    new Scanner(text, (path, offset) => {
      if (!this.#offsets.has(joined(path))) this.#offsets.set(joined(path), offset);
    }).document();
  }

  /** Position of the key, or of the nearest table or array around it. */
  of(path: KeyPath): Position | undefined {
    for (let length = path.length; length > 0; length--) {
      const offset = this.#offsets.get(joined(path.slice(0, length)));
      if (offset !== undefined) return this.#position(offset);
    }
    return undefined;
  }

  #position(offset: number): Position {
    const before = this.#text.slice(0, offset);
    const lineStart = before.lastIndexOf('\n') + 1;
    return { line: before.split('\n').length, column: offset - lineStart + 1 };
  }
}

type Found = (path: KeyPath, offset: number) => void;

/** Walks over a document once; it trusts the parser that the document is well formed, and stops where it is not. */
class Scanner {
  #at = 0;
  readonly #arrays = new Map<string, number>();

  constructor(
    private readonly text: string,
    private readonly found: Found,
  ) {}

  document(): void {
    let table: KeyPath = [];
    for (;;) {
      this.#skip(/[\s]*(?:#[^\n]*\s*)*/y);
      if (this.#at >= this.text.length) return;
      const start = this.#at;
      if (this.#skip(/\[\[?/y)) {
        table = this.#tableName(this.text.startsWith('[[', start));
        this.#skip(/[ \t]*\]\]?/y);
      } else {
        this.#pair(table);
      }
      if (this.#at === start) return;
    }
  }

  #tableName(isArray: boolean): KeyPath {
    const offset = this.#at;
    const name = this.#dottedKey();
    let path: KeyPath = name;
    if (isArray) {
      const index = this.#arrays.get(joined(name)) ?? 0;
      this.#arrays.set(joined(name), index + 1);
      path = [...name, String(index)];
    }
    this.#foundAll(name, 0, offset);
    this.found(path, offset);
    return path;
  }

  #pair(table: KeyPath): void {
    this.#skip(/\s*/y);
    const offset = this.#at;
    const path = [...table, ...this.#dottedKey()];
    this.#foundAll(path, table.length, offset);
    this.#skip(/[ \t]*=[ \t]*/y);
    this.#value(path);
  }

  /** `a.b.c = 1` also makes the tables a and a.b. */
  #foundAll(path: KeyPath, from: number, offset: number): void {
    for (let length = from + 1; length <= path.length; length++) this.found(path.slice(0, length), offset);
  }

  #dottedKey(): string[] {
    const keys: string[] = [];
    do {
      this.#skip(/[ \t]*/y);
      const key = this.#take(/"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+/y);
      if (key === undefined) break;
      keys.push(unquote(key));
      this.#skip(/[ \t]*/y);
    } while (this.#skip(/\./y));
    return keys;
  }

  #value(path: KeyPath): void {
    if (this.#skip(/\{/y))
      this.#list(/\}/y, () => {
        this.#pair(path);
      });
    else if (this.#skip(/\[/y)) {
      let index = 0;
      this.#list(/\]/y, () => {
        const element = [...path, String(index++)];
        this.found(element, this.#at);
        this.#value(element);
      });
    } else {
      this.#skip(/"""(?:[^\\]|\\[^])*?"""+|'''[^]*?'''+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^,\]}#\n]+/y);
    }
  }

  #list(close: RegExp, element: () => void): void {
    const gap = /(?:\s|,|#[^\n]*)*/y;
    for (;;) {
      this.#skip(gap);
      const start = this.#at;
      if (this.#skip(close) || start >= this.text.length) return;
      element();
      if (this.#at === start) return;
    }
  }

  #skip(pattern: RegExp): boolean {
    return (this.#take(pattern) ?? '') !== '';
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text)?.[0];
    this.#at += match?.length ?? 0;
    return match;
  }
}

function unquote(key: string): string {
  if (key.startsWith("'")) return key.slice(1, -1);
  if (!key.startsWith('"')) return key;
  try {
    return JSON.parse(key) as string;
  } catch {
    return key.slice(1, -1);
  }
}
