/**
 * The kinds of value that a key can take, as schemas.
 *
 * Convention for issues: a schema's message is what was expected; in an issue that a reader adds, `expected`
 * is what was expected and `message` is the remedy. load.ts turns both into a ConfigProblem.
 */
import { closest } from 'fastest-levenshtein';
import * as v from 'valibot';
import { durationMs, watts, type DurationMs, type Watts } from '../contract/index.js';
import { readServiceAddress, readTcpAddress, readUnixAddress, type Address } from './address.js';
import { readDuration, readSize, type QuantityReading } from './quantity.js';
import type { LinesFrom, RateLimits } from './types.js';

/** What the reference page says of a kind of value. */
export interface ValueMetadata {
  readonly accepts: string;
  readonly example: string;
  readonly secret?: boolean;
}

type Reading<T> = { readonly value: T } | { readonly expected: string; readonly remedy: string };

/** Text that a reader turns into a value, or refuses with what it expected and a remedy. */
function text<T>(metadata: ValueMetadata, read: (text: string) => Reading<T>) {
  return v.pipe(
    v.string(metadata.accepts),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const reading = read(dataset.value);
      if ('value' in reading) return reading.value;
      addIssue({ expected: reading.expected, message: reading.remedy });
      return NEVER;
    }),
    v.metadata({ ...metadata }),
  );
}

const quoted = (value: string): string => JSON.stringify(value);
const example = (value: string): string => `Write for example ${quoted(value)}.`;

/** Text that a test accepts as it is. */
function matching(metadata: ValueMetadata, accepts: (text: string) => boolean) {
  const refusal = { expected: metadata.accepts, remedy: `Write for example ${metadata.example}.` };
  return text(metadata, (value): Reading<string> => (accepts(value) ? { value } : refusal));
}

interface DurationLimits {
  readonly min: string;
  readonly max: string;
  readonly dividesHour?: boolean;
}

/** A duration in ms between two others, inclusive. */
export function duration({ min, max, dividesHour = false }: DurationLimits) {
  const limit = (written: string): number => limitOf(readDuration(written));
  const accepts = `a duration from ${quoted(min)} to ${quoted(max)}${dividesHour ? ' that divides an hour' : ''}`;
  return text({ accepts, example: quoted(min) }, (written): Reading<DurationMs> => {
    const reading = readDuration(written);
    if ('nearest' in reading) {
      const expected = `${accepts}: a number and one of ms, s, min, h, d without a space`;
      return { expected, remedy: `Write ${quoted(reading.nearest)}.` };
    }
    const inLimits = reading.value >= limit(min) && reading.value <= limit(max);
    if (inLimits && (!dividesHour || 3_600_000 % reading.value === 0)) return { value: durationMs(reading.value) };
    return { expected: accepts, remedy: example(dividesHour ? '5min' : min) };
  });
}

/** A size in bytes, at least `min`. */
export function size({ min }: { readonly min: string }) {
  const accepts = `a size of at least ${quoted(min)}`;
  return text({ accepts, example: quoted(min) }, (written): Reading<number> => {
    const reading = readSize(written);
    if ('nearest' in reading) {
      const expected = `${accepts}: a number and one of B, KiB, MiB, GiB, TiB without a space`;
      return { expected, remedy: `Write ${quoted(reading.nearest)}.` };
    }
    if (reading.value >= limitOf(readSize(min))) return { value: reading.value };
    return { expected: accepts, remedy: example(min) };
  });
}

function limitOf(reading: QuantityReading): number {
  if ('nearest' in reading) throw new TypeError(`a limit of the schema is no quantity: ${reading.nearest}`);
  return reading.value;
}

/** A number between two others, inclusive. */
function number<T>(metadata: ValueMetadata, min: number, max: number, make: (value: number) => T) {
  return v.pipe(
    v.number(metadata.accepts),
    v.rawTransform<number, T>(({ dataset, addIssue, NEVER }) => {
      if (dataset.value >= min && dataset.value <= max) return make(dataset.value);
      addIssue({ expected: metadata.accepts, message: `Write for example ${metadata.example}.` });
      return NEVER;
    }),
    v.metadata({ ...metadata }),
  );
}

export const rateHz = () => number({ accepts: 'a rate in Hz from 1 to 10000', example: '10' }, 1, 10_000, (hz) => hz);

export const meterRateHz = ({ least, most }: RateLimits) =>
  number({ accepts: `a rate in Hz from ${least} to ${most}`, example: '10' }, least, most, (hz) => hz);

export const cores = () =>
  number({ accepts: 'a number of cores from 1 to 65536', example: '64' }, 1, 65_536, Math.floor);

export const power = () =>
  number<Watts>({ accepts: 'a power in watts from 0 to 100000', example: '65' }, 0, 100_000, watts);

/** Of 0 every reading would be dropped. */
export const maxWatts = () =>
  number<Watts>({ accepts: 'a power in watts from 1 to 100000', example: '20000' }, 1, 100_000, watts);

export const multiplier = () =>
  number({ accepts: 'a number from 1e-9 to 1e9', example: '0.001' }, 1e-9, 1e9, (value) => value);

export const pue = () =>
  number({ accepts: 'a power usage effectiveness (PUE) from 1.0 to 10.0', example: '1.25' }, 1, 10, (value) => value);

export const path = (shown = '/var/lib/wattle') =>
  matching(
    { accepts: 'an absolute path', example: quoted(shown) },
    (value) => value.startsWith('/') && !value.includes('\0'),
  );

/** A name that travels between the rooms and stands in file names: the alphabet of contract/wire.ts. */
export const name = () =>
  matching(
    { accepts: 'a name of at most 255 letters, digits and . _ @ + -', example: '"hpc1"' },
    (value) => value.length <= 255 && /^[\w.@+-]+$/.test(value) && !/^\.+$/.test(value),
  );

export const user = () =>
  matching({ accepts: 'a user name or a numeric user id', example: '"slurm"' }, (value) =>
    /^[A-Za-z0-9_][\w.@-]{0,254}\$?$/.test(value),
  );

/** Only the form is checked here; whether the zone exists is known by the table of the carbon room. */
export const zone = () =>
  matching({ accepts: 'an electricity zone such as "FR" or "US-CAL-CISO"', example: '"FR"' }, (value) =>
    /^[A-Za-z][\w-]{1,63}$/.test(value),
  );

export const hostList = () =>
  matching(
    { accepts: 'a node name or a host list such as "n[1-2]"', example: '"n[1-2]"' },
    (value) =>
      // Names with brackets that match and hold numbers; whether Slurm has such nodes is not known here.
      /^[A-Za-z0-9][\w.,[\]-]{0,1023}$/.test(value) && /^([^[\]]|\[\d+(-\d+)?(,\d+(-\d+)?)*\])+$/.test(value),
  );

export const databaseUrl = () =>
  matching(
    {
      accepts: 'a PostgreSQL URL: postgres://user@host:port/database',
      example: '"postgres://wattle@db.example.org/wattle"',
      secret: true,
    },
    (value) => /^postgres(ql)?:\/\//.test(value) && URL.canParse(value),
  );

export const flag = () => v.pipe(v.boolean('true or false'), v.metadata({ accepts: 'true or false', example: 'true' }));

/** `http://` or `https://`; a password in it would be shown. */
function isHttpUrl(value: string): boolean {
  return /^https?:\/\/[^\s@]+$/.test(value) && URL.canParse(value);
}

export const bmcUrl = () =>
  matching(
    {
      accepts: 'the address of a BMC: https://host or http://host, with no user in it',
      example: '"https://n1-bmc"',
      secret: true,
    },
    (value) => isHttpUrl(value) && /^\/?$/.test(new URL(value).pathname + new URL(value).search),
  );

const LINES_FROM =
  'a program with its arguments as a list, the absolute path of a file, FIFO or serial line, "tcp://host:port", or the ' +
  'URL of a document';

/** Where a wattmeter's lines come from. */
export const linesFrom = () =>
  v.pipe(
    v.custom<string | readonly string[]>(
      (value) => typeof value === 'string' || (Array.isArray(value) && value.every((word) => typeof word === 'string')),
      LINES_FROM,
    ),
    v.rawTransform<string | readonly string[], LinesFrom>(({ dataset, addIssue, NEVER }) => {
      const from = readLinesFrom(dataset.value);
      if (from !== undefined) return from;
      addIssue({ expected: LINES_FROM, message: example('tcp://wattmeter:4000') });
      return NEVER;
    }),
    v.metadata({ accepts: LINES_FROM, example: '["wattmetre-read", "--tty=/dev/ttyUSB0", "--nb=6"]', secret: true }),
  );

function readLinesFrom(value: string | readonly string[]): LinesFrom | undefined {
  if (typeof value !== 'string') {
    return (value[0] ?? '') === '' || value.some((word) => word.includes('\0')) ? undefined : { command: value };
  }
  if (value.startsWith('/') && !value.includes('\0')) return { file: value };
  if (isHttpUrl(value)) return { url: value };
  const tcp = value.startsWith('tcp://') ? readTcpAddress(value.slice('tcp://'.length)) : undefined;
  return tcp === undefined ? undefined : { tcp: { host: tcp.host, port: tcp.port } };
}

/** A column by its name in the header or by its number from 1. */
export const column = () => {
  const accepts = 'a whole number from 1 to 1000, or a name in quotes';
  const isColumn = (value: unknown): boolean =>
    typeof value === 'number'
      ? Number.isInteger(value) && value >= 1 && value <= 1000
      : typeof value === 'string' && /^[\x20-\x7e]{1,255}$/.test(value);
  return v.pipe(v.custom<number | string>(isColumn, accepts), v.metadata({ accepts, example: '1' }));
};

export const separator = () =>
  text({ accepts: 'one character, "\\t" for a tab', example: '";"' }, (value): Reading<string> => {
    if (value.length === 1 && !/[\r\n\0]/.test(value)) return { value };
    // Of a TOML text in single quotes, or with two backslashes.
    const isTab = /^(\\t|tab)$/i.test(value);
    return {
      expected: 'one character',
      remedy: isTab ? 'Write "\\t", in double quotes with one backslash.' : example(';'),
    };
  });

const address = <T extends Address>(accepts: string, shown: string, read: (text: string) => T | undefined) =>
  text({ accepts, example: quoted(shown) }, (written): Reading<T> => {
    const value = read(written);
    return value === undefined ? { expected: accepts, remedy: example(shown) } : { value };
  });

export const serviceAddress = () =>
  address(
    '"unix:/path" (at most 107 bytes of path) or "http://host:port" (port 1 to 65535)',
    'unix:/run/wattle-controller/api.sock',
    readServiceAddress,
  );

export const listenAddress = () =>
  address<Address>(
    '"unix:/path" (at most 107 bytes of path) or "host:port" (port 1 to 65535)',
    '0.0.0.0:6822',
    (written) => readUnixAddress(written) ?? readTcpAddress(written),
  );

export const tcpAddress = () => address('"host:port" (port 1 to 65535)', '127.0.0.1:9822', readTcpAddress);

/** One word of a list. A wrong one is answered with the nearest. */
export function word<const Words extends readonly [string, ...string[]]>(words: Words) {
  const accepts = `one of ${words.map(quoted).join(', ')}`;
  return text({ accepts, example: quoted(words[0]) }, (written): Reading<Words[number]> => {
    const value = words.find((candidate) => candidate === written);
    return value === undefined ? { expected: accepts, remedy: example(closest(written, words)) } : { value };
  });
}

/** A list with at least one element. */
export function list<Element extends v.GenericSchema>(element: Element, accepts: string) {
  return v.pipe(
    v.array(element, accepts),
    v.rawTransform<v.InferOutput<Element>[], readonly v.InferOutput<Element>[]>(({ dataset, addIssue, NEVER }) => {
      if (dataset.value.length > 0) return dataset.value;
      addIssue({ expected: accepts, message: 'Write at least one element, or leave the key out.' });
      return NEVER;
    }),
    v.metadata({ accepts }),
  );
}

/** A key: its kind of value and what it means, for the reference page. */
export function key<Schema extends v.GenericSchema>(description: string, schema: Schema) {
  return v.pipe(schema, v.description(description));
}

/**
 * TOML gives arrays, dates and tables as objects; only the last is a table. The two names are refused because
 * valibot passes over them, so they would be unknown keys that nobody is told of.
 */
const isTable = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  [Object.prototype, null].includes(Object.getPrototypeOf(value) as null) &&
  !Object.hasOwn(value, 'constructor') &&
  !Object.hasOwn(value, 'prototype');
const A_TABLE = 'a table, with no key called constructor or prototype';

type Table<Entries extends v.ObjectEntries> = v.ObjectWithRestSchema<Entries, v.NeverSchema<undefined>, undefined>;

/** A table of known keys. Each unknown one is an issue of type `never` at its own path. */
export function table<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(v.custom<v.InferInput<Table<Entries>>>(isTable, A_TABLE), v.objectWithRest(entries, v.never()));
}

/** A table whose keys are names of partitions or nodes. */
export function named<Value extends v.GenericSchema>(names: v.GenericSchema<string, string>, value: Value) {
  return v.pipe(v.custom<Record<string, v.InferInput<Value>>>(isTable, A_TABLE), v.record(names, value));
}
