/** The reference page of the configuration, written from the schema so that the two cannot differ. */
import { knownKeys, type KnownKey } from './known-keys.js';

const HEAD = `<!-- Written by scripts/config-reference.mjs from src/config/schema.ts: edit there, then run that script. -->

# Configuration

One TOML file, the same for agents, controller and commands. Searched in this order: \`--config FILE\`, the environment
variable \`WATTLE_CONFIG\`, \`/etc/wattle/wattle.toml\`. A file that everyone can write is refused.

Durations are text such as \`"500ms"\`, \`"10s"\`, \`"5min"\`, \`"24h"\`, \`"7d"\`; sizes such as \`"64MiB"\`, \`"1GiB"\`. All problems of
a file are told at once, each with its line: \`wattle config\` reads the file and prints what is in force.

The shortest file:

\`\`\`toml
[cluster]
name = "hpc1"
\`\`\`

The commands \`scarbon\` and \`wattle conservation\` also take the controller's address from \`--controller\` or the
environment variable \`WATTLE_CONTROLLER\`. If \`database.url\` holds a password, let only the controller's user read the file;
commands that may not read it ask the default socket.
`;

/** The page as Markdown. */
export function configReference(): string {
  const sections = knownKeys()
    .filter(({ isTable }) => isTable)
    .map(section);
  return [HEAD, ...sections].join('\n');
}

function section(table: KnownKey): string {
  const keys = knownKeys().filter(({ path, isTable }) => !isTable && isDirectlyIn(path, table));
  const ofNames = keys.some(({ path }) => path.length > table.path.length + 1);
  const title = `## [${table.path.join('.')}${ofNames ? '.NAME' : ''}]`;
  const paragraphs = [title, table.description + (table.required ? ' Required.' : '')];
  if (keys.length > 0) paragraphs.push(keys.map(item).join('\n'));
  return `${paragraphs.join('\n\n')}\n`;
}

function item(key: KnownKey): string {
  const value = `Value: ${key.accepts ?? 'any'}${key.required ? '; required' : ''}.`;
  const preset = key.default === undefined ? '' : ` Default: \`${written(key.default)}\`.`;
  return `- \`${key.path.at(-1) ?? ''}\`: ${key.description} ${value}${preset}`;
}

function written(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(written).join(', ')}]` : JSON.stringify(value);
}

/** A key of the table itself, or of the tables of chosen names in it. */
function isDirectlyIn(path: readonly string[], { path: table }: KnownKey): boolean {
  const inside = path.slice(table.length);
  return (
    table.every((name, index) => path[index] === name) &&
    (inside.length === 1 || (inside.length === 2 && inside[0] === '*'))
  );
}
