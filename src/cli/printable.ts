/** Text from outside, made safe to print: job names are chosen by users and may hold escape sequences. */

/** Control, format (bidirectional overrides among them), surrogate, private and unassigned characters, line ends. */
const UNPRINTABLE = /[\p{C}\u2028\u2029]/gu;

/** The text with `?` in place of every character that could move a cursor, change a colour or end a line. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '?');
}

/** JSON that is exact and yet safe on a terminal: such characters are written as \uXXXX. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, null, 2)
    .split('\n')
    .map((line) => line.replace(UNPRINTABLE, escapeCodeUnits))
    .join('\n');
}

function escapeCodeUnits(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    const code = character.charCodeAt(index);
    return `\\u${code.toString(16).padStart(4, '0')}`;
  }).join('');
}
