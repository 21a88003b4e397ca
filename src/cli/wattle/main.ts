/** `wattle`: reads the command line and hands over to one command, of which only that one is loaded. */
import yargs from 'yargs';
import { EXIT, type ExitCode } from '../../contract/errors.js';
import { nearest } from '../nearest.js';
import { usageError } from '../program.js';
import { version } from '../version.js';

const CONFIG = {
  config: {
    type: 'string',
    requiresArg: true,
    describe: 'configuration file; default: WATTLE_CONFIG, /etc/wattle/wattle.toml',
  },
} as const;
const CHECK = {
  check: { type: 'boolean', describe: 'say what is missing, start nothing; exit code 1 if something is' },
} as const;
const CONTROLLER = {
  controller: { type: 'string', requiresArg: true, describe: 'unix:/path or http://host:port; default: as configured' },
} as const;

/** An option given twice counts once, the last time. */
function lastOf<T>(given: T | readonly T[]): T | undefined {
  return Array.isArray(given) ? (given as readonly T[]).at(-1) : (given as T);
}
const lastText: (given: string | readonly string[]) => string | undefined = lastOf;
const lastFlag: (given: boolean | readonly boolean[]) => boolean | undefined = lastOf;

const SAMPLE = {
  rate: { type: 'string', requiresArg: true, coerce: lastText, describe: 'ticks per second: 10, 100, 1kHz, 10kHz' },
  meter: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'read this meter, NAME or NAME=HZ, in place of those configured; several in order of preference',
  },
  domain: { type: 'string', array: true, requiresArg: true, describe: 'only domains of this kind, such as package' },
  for: { type: 'string', requiresArg: true, coerce: lastText, describe: 'how long: 10s, 5min; default: until Ctrl-C' },
  job: {
    type: 'string',
    requiresArg: true,
    coerce: lastText,
    describe: 'as long as this Slurm job runs here, with its cores in use',
  },
  csv: { type: 'string', coerce: lastText, describe: 'write every tick to this file as CSV; - is standard output' },
  json: { type: 'string', coerce: lastText, describe: 'the same as lines of JSON' },
  witnesses: { type: 'boolean', coerce: lastFlag, describe: 'also what other meters say of the same domains' },
} as const;
/** The options of each command, but for those that all have. */
const OPTIONS = {
  agent: { ...CONFIG, ...CHECK },
  controller: { ...CONFIG, ...CHECK },
  doctor: { ...CONFIG, json: { type: 'boolean', describe: 'the same as JSON, for programs' } },
  sample: { config: { ...CONFIG.config, coerce: lastText }, ...SAMPLE },
  conservation: {
    ...CONFIG,
    ...CONTROLLER,
    since: { type: 'string', requiresArg: true, default: 'now-1day', describe: 'start, as scarbon -S takes it' },
    until: { type: 'string', requiresArg: true, default: 'now', describe: 'end, as scarbon -E takes it' },
  },
  config: CONFIG,
  version: {},
} as const;
type Command = keyof typeof OPTIONS;
const COMMANDS = Object.keys(OPTIONS) as Command[];

/** @throws {WattleError} wrong usage, or whatever keeps the command from its work */
export async function wattle(args: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.done;
  const run =
    <Arguments>(command: (args: Arguments) => Promise<ExitCode>) =>
    async (parsed: Arguments): Promise<void> => {
      exitCode = await command(parsed);
    };

  await yargs(withDashes(args))
    .scriptName('wattle')
    .usage('$0 <command> [option]...\n\nMeasures the energy and the carbon of every Slurm job. Users ask with scarbon.')
    .command(
      'agent',
      'measure this compute node and book its energy to jobs',
      (command) => command.options(OPTIONS.agent),
      run(async ({ config, check }) => {
        const { agent } = await import('./agent.js');
        return agent({ config, check: check === true });
      }),
    )
    .command(
      'controller',
      "keep the cluster's ledger and answer questions",
      (command) => command.options(OPTIONS.controller),
      run(async ({ config, check }) => {
        const { controller } = await import('./controller.js');
        return controller({ config, check: check === true });
      }),
    )
    .command(
      'doctor',
      'tell what this node can measure, with which meter, and what is missing',
      (command) => command.options(OPTIONS.doctor),
      run(async ({ config, json }) => {
        const { doctor } = await import('./doctor.js');
        return doctor({ config, json: json === true });
      }),
    )
    .command(
      'sample',
      'sample this node at up to 10 kHz and show its watts',
      (command) =>
        command
          .options(OPTIONS.sample)
          // Several meters are several options.
          .parserConfiguration({ 'duplicate-arguments-array': true, 'greedy-arrays': false }),
      run(async (parsed) => {
        const { sample } = await import('./sample.js');
        return sample(parsed);
      }),
    )
    .command(
      'conservation',
      'check that all energy of the nodes is booked to owners, exactly',
      (command) => command.options(OPTIONS.conservation),
      run(async (parsed) => {
        const { conservation } = await import('./conservation.js');
        return conservation(parsed);
      }),
    )
    .command(
      'config',
      'print the configuration in force, with defaults and without passwords',
      (command) => command.options(OPTIONS.config),
      run(async ({ config }) => {
        const { showConfig } = await import('./config.js');
        return showConfig({ config });
      }),
    )
    .command(
      'version',
      'print the version',
      OPTIONS.version,
      run(() => {
        process.stdout.write(`wattle ${version()}\n`);
        return Promise.resolve(EXIT.done);
      }),
    )
    .demandCommand(1, 1, 'expected a command, found none', 'expected one command, found several')
    .strict()
    // An option given twice counts once, the last time: an array would reach commands that expect text.
    .parserConfiguration({ 'duplicate-arguments-array': false })
    .version(version())
    .alias('help', 'h')
    .alias('version', 'V')
    .wrap(100)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => refuse(args, message, error))
    .parseAsync();
  return exitCode;
}

/** `--csv -`: a lone dash is the option's value, where yargs would take it for a word of its own. */
function withDashes(args: readonly string[]): string[] {
  return args.flatMap((word, at) => {
    if (word === '-' && /^--(csv|json)$/.test(args[at - 1] ?? '')) return [];
    return /^--(csv|json)$/.test(word) && args[at + 1] === '-' ? [`${word}=-`] : [word];
  });
}

/** yargs hands over its own complaint, or what a command has thrown. */
function refuse(args: readonly string[], message: string | null, error: Error | undefined): never {
  if (error !== undefined && error.name !== 'YError') throw error;
  const complaint = message ?? error?.message ?? 'wrong usage';
  throw usageError(complaint, suggestion(complaint, args));
}

function suggestion(complaint: string, args: readonly string[]): string {
  const all = `The commands are ${COMMANDS.join(', ')}; wattle --help explains them.`;
  const [, unknown] = /^Unknown (?:arguments?|commands?): ([\w-]+)/.exec(complaint) ?? [];
  const command = COMMANDS.find((name) => name === args.find((word) => !word.startsWith('-')));
  const help = `see wattle ${command === undefined ? '' : `${command} `}--help`;
  if (unknown === undefined) return command === undefined ? all : `For its options ${help}.`;
  // yargs does not say whether the unknown word stood where a command or where an option belongs.
  if (args.includes(unknown)) {
    if (command !== undefined) return `wattle ${command} takes options alone; ${help}.`;
    const meant = nearest(unknown, COMMANDS);
    return meant === undefined ? all : `The nearest known is ${meant}; ${help}.`;
  }
  const has = (name: Command): boolean => Object.hasOwn(OPTIONS[name], unknown);
  if (command !== undefined && COMMANDS.some(has)) {
    return `--${unknown} belongs to ${COMMANDS.filter(has).join(', ')}; ${help}.`;
  }
  const known = (command === undefined ? COMMANDS : [command]).flatMap((name) => Object.keys(OPTIONS[name]));
  const meant = nearest(unknown, [...known, 'help', 'version']);
  return meant === undefined ? `${help.replace('see', 'See')}.` : `The nearest known is --${meant}; ${help}.`;
}
