/** What `wattle sample` was asked for, read from the command line. Pure. */
import { METER_NAMES, METER_RATE_LIMITS, type Config, type MeterName } from '../../../config/index.js';
import { readDuration } from '../../../config/quantity.js';
import { DOMAIN_KINDS, type DomainKind } from '../../../contract/vocabulary.js';
import { nearest } from '../../nearest.js';
import { usageError } from '../../program.js';

export interface SampleArguments {
  readonly config?: string | undefined;
  readonly rate?: string | undefined;
  readonly meter?: readonly string[] | undefined;
  readonly domain?: readonly string[] | undefined;
  readonly for?: string | undefined;
  readonly job?: string | undefined;
  readonly csv?: string | undefined;
  readonly json?: string | undefined;
  readonly witnesses?: boolean | undefined;
}

/** Where every tick is written: a file, or `-` for standard output. */
export interface Recording {
  readonly format: 'csv' | 'json';
  readonly path: string;
}

export interface SampleOptions {
  readonly rateHz: number | undefined;
  /** Empty: those of the configuration. */
  readonly meters: readonly { readonly name: MeterName; readonly rateHz: number | undefined }[];
  /** Empty: all. */
  readonly kinds: readonly DomainKind[];
  readonly durationMs: number | undefined;
  readonly jobId: number | undefined;
  readonly recording: Recording | undefined;
  readonly witnesses: boolean;
}

const STDOUT = '-';

/** @throws {WattleError} wrong usage */
export function readOptions(args: SampleArguments): SampleOptions {
  const { csv, json } = args;
  if (csv !== undefined && json !== undefined) {
    throw usageError('expected one of --csv and --json, found both', 'Leave one out.');
  }
  const written = csv ?? json;
  return {
    rateHz: args.rate === undefined ? undefined : readRate('--rate', args.rate),
    meters: readMeters(words(args.meter)),
    kinds: words(args.domain).map((word) => oneOf('--domain', word, DOMAIN_KINDS)),
    durationMs: args.for === undefined ? undefined : readSpan(args.for),
    jobId: args.job === undefined ? undefined : readJob(args.job),
    recording:
      written === undefined
        ? undefined
        : { format: csv === undefined ? 'json' : 'csv', path: written === '' ? STDOUT : written },
    witnesses: args.witnesses === true,
  };
}

export const toStdout = ({ recording }: Pick<SampleOptions, 'recording'>): boolean => recording?.path === STDOUT;

interface Bounds {
  readonly least: number;
  readonly most: number;
}

/** What a sampling thread can be asked for. */
const TICKS: Bounds = { least: 1, most: 10_000 };

/** `10`, `100Hz`, `1k`, `1kHz`, `10 kHz`: a rate between two bounds. */
function readRate(option: string, text: string, { least, most } = TICKS): number {
  const [, number, kilo] = /^(\d{1,5}(?:\.\d{1,6})?) ?(k)?(?:hz)?$/i.exec(text) ?? [];
  const rateHz = Number(number) * (kilo === undefined ? 1 : 1000);
  if (rateHz >= least && rateHz <= most) return rateHz;
  const examples = most < 1000 ? `${least}, ${most} or ${most}Hz` : '10, 100Hz or 1kHz';
  throw usageError(
    `${option}: expected a rate from ${hertz(least)} to ${hertz(most)}, found "${text}"`,
    `Write for example ${examples}.`,
  );
}

const hertz = (rate: number): string => (rate < 1000 ? `${rate}Hz` : `${rate / 1000}kHz`);

/** Twice the same meter would count its joules twice. */
function readMeters(texts: readonly string[]): SampleOptions['meters'] {
  const meters = texts.map(readMeter);
  const again = meters.find(({ name }, at) => meters.findIndex((meter) => meter.name === name) < at);
  if (again === undefined) return meters;
  throw usageError(`--meter: expected each meter once, found ${again.name} twice`, 'Leave one out.');
}

/** `NAME` or `NAME=HZ`. */
function readMeter(text: string): SampleOptions['meters'][number] {
  const at = text.indexOf('=');
  const name = oneOf('--meter', at < 0 ? text : text.slice(0, at), METER_NAMES);
  return {
    name,
    rateHz: at < 0 ? undefined : readRate(`--meter ${name}`, text.slice(at + 1), METER_RATE_LIMITS[name]),
  };
}

function readSpan(text: string): number {
  const spanOf = (duration: string): number => {
    const reading = readDuration(duration);
    return 'value' in reading ? reading.value : 0;
  };
  const span = spanOf(text);
  if (span > 0) return span;
  const reading = readDuration(text);
  // What is nearest to `0` is no time either.
  const hint = 'nearest' in reading && spanOf(reading.nearest) > 0 ? reading.nearest : '10s';
  throw usageError(
    `--for: expected a duration, a number and one of ms, s, min, h, d, found "${text}"`,
    `Write for example ${hint}.`,
  );
}

function readJob(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) > 0) return Number(text);
  throw usageError(
    `--job: expected the number of a job, found "${text}"`,
    'Take the plain number of an array task or component: squeue -o %A.',
  );
}

/** Each may be given several times, and several at a time with commas between. */
function words(given: readonly string[] | undefined): string[] {
  return (given ?? []).flatMap((text) => text.split(',')).filter((word) => word !== '');
}

function oneOf<Word extends string>(option: string, written: string, known: readonly Word[]): Word {
  const found = known.find((word) => word === written.toLowerCase());
  if (found !== undefined) return found;
  const meant = nearest(written, known);
  throw usageError(
    `${option}: expected one of ${known.join(', ')}, found "${written}"`,
    meant === undefined ? 'Write one of these.' : `The nearest is ${meant}.`,
  );
}

/** The configuration with the meters and rates of the command line in place of its own. */
export function withOptions(config: Config, { rateHz, meters }: SampleOptions): Config {
  const { sampler } = config;
  const rates = Object.fromEntries(meters.flatMap(({ name, rateHz: own }) => (own === undefined ? [] : [[name, own]])));
  return {
    ...config,
    sampler: {
      ...sampler,
      // A rate on the command line is for all meters; the file's rates of single meters were for another purpose.
      ...(rateHz === undefined ? {} : { rateHz }),
      rates: { ...(rateHz === undefined ? sampler.rates : {}), ...rates },
      ...(meters.length === 0 ? {} : { meters: meters.map(({ name }) => name) }),
    },
  };
}
