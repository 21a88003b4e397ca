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

/** A meter's command without what follows an option that names a password, such as `-P` of mosquitto_sub. */
function redactFrom(from: LinesFrom): LinesFrom {
  if (!('command' in from)) return from;
  const isSecret = (word: string): boolean => /^-{1,2}(P|pw|.*(pass|secret|token|key).*)$/i.test(word);
  const command = from.command.map((word, index) => {
    if (index > 0 && isSecret(from.command[index - 1] ?? '')) return '***';
    const [option = '', value] = word.split('=', 2);
    return value !== undefined && isSecret(option) ? `${option}=***` : word;
  });
  return { command };
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
