import type { Config, LinesFrom } from './types.js';

/** The configuration as plain data to be shown to a person: no functions, and no password. */
export function redact(config: Config): Record<string, unknown> {
  const { source, sampler, database, ...others } = config;
  const shownUrl = database.url === undefined ? {} : { url: redactUrl(database.url) };
  const { wattmeter } = sampler;
  const shownMeter = wattmeter === undefined ? {} : { wattmeter: { ...wattmeter, from: redactFrom(wattmeter.from) } };
  const shown = { sampler: { ...sampler, ...shownMeter }, database: { ...database, ...shownUrl } };
  return { file: source.path, ...others, ...shown };
}

/** Options that are followed by a user with a password, or by a password: those of mosquitto_sub, curl and their like. */
const SECRET_OPTION = /^-{0,2}(u|p|pw|user|.*(pass|pwd|secret|token|key|cred|auth).*)$/i;
/** Such an option and its value in one word: `-Psecret`. */
const SECRET_WORD = /^(-[uP])(?=[^-=]).+$/;
const SECRET_HEADER = /^((proxy-)?authorization|cookie|x-[\w-]*(key|token))\s*:/i;

/** Where a meter's lines come from, without what may be a password. */
function redactFrom(from: LinesFrom): LinesFrom {
  if ('url' in from) return { url: redactWebUrl(from.url) };
  if (!('command' in from)) return from;
  const [program = '', ...args] = from.command;
  const shown = args.map((word, index) => {
    const before = args[index - 1];
    if (before?.startsWith('-') === true && SECRET_OPTION.test(before)) return '***';
    const [option = '', value] = word.split('=', 2);
    if (value !== undefined && SECRET_OPTION.test(option)) return `${option}=***`;
    if (SECRET_HEADER.test(word)) return word.replace(/:.*$/s, ': ***');
    return word.includes('://') ? redactWebUrl(word) : word.replace(SECRET_WORD, '$1***');
  });
  return { command: [program, ...shown] };
}

/** A URL without user and password, and without its query, which may hold a token. */
function redactWebUrl(url: string): string {
  return url.replace(/(:\/\/)\S*@/, '$1***@').replace(/\?.*$/s, '?***');
}

/** A PostgreSQL URL without its password, wherever in the URL it stands. */
export function redactUrl(url: string): string {
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  for (const name of shown.searchParams.keys()) {
    if (/pass/i.test(name)) shown.searchParams.set(name, '***');
  }
  return shown.href;
}
