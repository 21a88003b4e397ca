/** The daemons' log on stderr: JSON lines for machines, or one readable line per entry. */
import { Writable } from 'node:stream';
import pino, { type Logger } from 'pino';
import type { Config } from '../../config/index.js';
import { printable } from '../printable.js';

const LEVELS: Readonly<Record<number, string>> = pino.levels.labels;

/** `2026-11-21T10:00:00.000Z warn  message key=value`: what an entry says comes first, its fields after. */
function readable(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const at = new Date(Number(time)).toISOString();
  const label = (LEVELS[Number(level)] ?? String(level)).padEnd(5);
  return `${printable([at, label, String(msg), ...rest].join(' '))}\n`;
}

export function daemonLog(config: Pick<Config, 'log'>): Logger {
  const options = { level: config.log.level, base: null };
  if (config.log.format === 'json') return pino(options, pino.destination({ dest: 2, sync: true }));
  const text = new Writable({
    write(chunk: Buffer, _encoding, done) {
      process.stderr.write(readable(chunk.toString()), done);
    },
  });
  return pino(options, text);
}
