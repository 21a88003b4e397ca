/** The options of `scarbon`, spelled as sacct spells them. */
import { parseArgs } from 'node:util';
import { EXIT } from '../../contract/errors.js';
import { nearest } from '../nearest.js';
import { usageError } from '../program.js';

interface OptionSpec {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** What stands for the value in the help. */
  readonly value?: string;
  readonly help: string;
}

const OPTIONS = {
  jobs: { type: 'string', short: 'j', value: 'LIST', help: 'these jobs: 12, 12_3, 12_[1-3], 12+1 or 12.batch' },
  user: { type: 'string', short: 'u', value: 'LIST', help: 'jobs of these users, by name or numeric id' },
  uid: { type: 'string', value: 'LIST', help: 'same as --user' },
  accounts: { type: 'string', short: 'A', value: 'LIST', help: 'jobs of these accounts' },
  partition: { type: 'string', short: 'r', value: 'LIST', help: 'jobs in these partitions' },
  state: { type: 'string', short: 's', value: 'LIST', help: 'jobs in these states: CD or COMPLETED, F, CA, TO, R ...' },
  starttime: {
    type: 'string',
    short: 'S',
    value: 'TIME',
    help: 'jobs that ran after this time; default: midnight, with -j: ever',
  },
  endtime: { type: 'string', short: 'E', value: 'TIME', help: 'jobs that ran before this time; default: now' },
  nodelist: { type: 'string', short: 'N', value: 'LIST', help: 'jobs that ran on any of these nodes, such as n[1-3]' },
  allusers: { type: 'boolean', short: 'a', help: 'jobs of all users whose jobs you may see' },
  allocations: { type: 'boolean', short: 'X', help: 'one line per job, without its steps' },
  format: {
    type: 'string',
    short: 'o',
    value: 'LIST',
    help: 'columns, with widths if wanted: JobID,JobName%20,Energy',
  },
  helpformat: { type: 'boolean', short: 'e', help: 'list the columns' },
  units: { type: 'string', value: 'J|Wh|kWh', help: 'energy as plain numbers in this unit' },
  total: { type: 'boolean', help: 'add a line with the sum of all jobs shown' },
  noheader: { type: 'boolean', short: 'n', help: 'no heading' },
  parsable: { type: 'boolean', short: 'p', help: 'fields with | between and behind them' },
  parsable2: { type: 'boolean', short: 'P', help: 'fields with | between them' },
  delimiter: { type: 'string', value: 'TEXT', help: 'what stands between the fields of -p and -P' },
  csv: { type: 'boolean', help: 'comma-separated values with quotes where needed' },
  json: { type: 'boolean', help: 'JSON with all figures' },
  controller: { type: 'string', value: 'ADDRESS', help: 'the controller: unix:/path or http://host:port' },
  config: { type: 'string', value: 'FILE', help: 'the configuration file; default: /etc/wattle/wattle.toml' },
  help: { type: 'boolean', short: 'h', help: 'print this page' },
  version: { type: 'boolean', short: 'V', help: 'print the version' },
} as const satisfies Record<string, OptionSpec>;

type OptionName = keyof typeof OPTIONS;
const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

export type Options = {
  readonly [Name in OptionName]?: (typeof OPTIONS)[Name]['type'] extends 'string' ? string : boolean;
};

/**
 * Reads the arguments as getopt_long does for sacct: `-Snow-1day`, `-XnP`, `--format=...`, and long names shortened as
 * long as they are clear. yargs cannot be used here: it takes `-Snow-1day` apart into letters.
 * @throws {WattleError} wrong usage
 */
export function parseOptions(args: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: args.map(completeName),
      options: OPTIONS,
      strict: true,
      allowPositionals: false,
    });
    return values;
  } catch (error) {
    throw toUsageError(error);
  }
}

/** `--start=x` becomes `--starttime=x`. */
function completeName(arg: string): string {
  const [, name = '', rest = ''] = /^--([a-z0-9]+)(=.*)?$/s.exec(arg) ?? [];
  if (name === '' || name in OPTIONS) return arg;
  const [only, another] = OPTION_NAMES.filter((candidate) => candidate.startsWith(name));
  return only === undefined || another !== undefined ? arg : `--${only}${rest}`;
}

function toUsageError(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code !== 'string' || !code.startsWith('ERR_PARSE_ARGS_')) return error;
  const complaint = String(message).split(/\. |\n/, 1)[0] ?? '';
  switch (code) {
    case 'ERR_PARSE_ARGS_UNKNOWN_OPTION':
      return usageError(complaint, suggestOption(/'(-[^' ]*)/.exec(complaint)?.[1] ?? ''));
    case 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL':
      return usageError(complaint, 'Name jobs with -j, users with -u; scarbon --help lists all options.');
    default:
      return usageError(complaint, 'See scarbon --help.');
  }
}

function suggestOption(written: string): string {
  if (written.startsWith('--')) {
    const meant = OPTION_NAMES.filter((name) => name.startsWith(written.slice(2)));
    if (meant.length > 1) return `Write ${meant.map((name) => `--${name}`).join(' or ')}.`;
    const option = nearest(written.slice(2), OPTION_NAMES);
    return `${option === undefined ? '' : `The nearest known option is --${option}; `}scarbon --help lists all options.`;
  }
  const specs: readonly OptionSpec[] = Object.values(OPTIONS);
  const shorts = specs.flatMap(({ short }) => (short === undefined ? [] : `-${short}`));
  return `Known are ${shorts.join(' ')}; scarbon --help explains them.`;
}

export function helpText(): string {
  const lines = OPTION_NAMES.map((name) => {
    const { short, value, help }: OptionSpec = OPTIONS[name];
    const shortForm = short === undefined ? '    ' : `-${short}, `;
    const names = shortForm + '--' + name + (value === undefined ? '' : `=${value}`);
    return `  ${names.padEnd(26)} ${help}\n`;
  });
  return [
    'Usage: scarbon [OPTION]...\n',
    'Energy and carbon of Slurm jobs, asked for as with sacct.\n\n',
    ...lines,
    '\nA figure with ~ before it is estimated, one with * was sampled for part of the time only.\n',
    `Exit codes: ${EXIT.done} done, ${EXIT.failed} failed, ${EXIT.usage} wrong usage, ${EXIT.unreachable} cannot reach the controller.\n`,
  ].join('');
}
