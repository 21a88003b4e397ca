/** `wattle`: reads the command line and hands over to one command, of which only that one is loaded. */
import yargs, { type Argv } from 'yargs';
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

const COMMANDS = ['agent', 'controller', 'doctor', 'conservation', 'config', 'version'];
const OPTIONS = ['config', 'check', 'controller', 'since', 'until', 'help', 'version'];

/** @throws {WattleError} wrong usage, or whatever keeps the command from its work */
export async function wattle(args: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.done;
  const run =
    <Arguments>(command: (args: Arguments) => Promise<ExitCode>) =>
    async (parsed: Arguments): Promise<void> => {
      exitCode = await command(parsed);
    };

  await yargs(args)
    .scriptName('wattle')
    .usage('$0 <command> [option]...\n\nMeasures the energy and the carbon of every Slurm job. Users ask with scarbon.')
    .command(
      'agent',
      'measure this compute node and book its energy to jobs',
      (command) => command.options({ ...CONFIG, ...CHECK }),
      run(async ({ config, check }) => {
        const { agent } = await import('./agent.js');
        return agent({ config, check: check === true });
      }),
    )
    .command(
      'controller',
      "keep the cluster's ledger and answer questions",
      (command) => command.options({ ...CONFIG, ...CHECK }),
      run(async ({ config, check }) => {
        const { controller } = await import('./controller.js');
        return controller({ config, check: check === true });
      }),
    )
    .command(
      'doctor',
      'tell what this node can measure, with which meter, and what is missing',
      (command) => command.options(CONFIG),
      run(async ({ config }) => {
        const { doctor } = await import('./doctor.js');
        return doctor({ config });
      }),
    )
    .command(
      'conservation',
      'check that all energy of the nodes is booked to owners, exactly',
      (command) =>
        command.options({
          ...CONFIG,
          ...CONTROLLER,
          since: { type: 'string', requiresArg: true, default: 'now-1day', describe: 'start, as scarbon -S takes it' },
          until: { type: 'string', requiresArg: true, default: 'now', describe: 'end, as scarbon -E takes it' },
        }),
      run(async (parsed) => {
        const { conservation } = await import('./conservation.js');
        return conservation(parsed);
      }),
    )
    .command(
      'config',
      'print the configuration in force, with defaults and without passwords',
      (command) => command.options(CONFIG),
      run(async ({ config }) => {
        const { showConfig } = await import('./config.js');
        return showConfig({ config });
      }),
    )
    .command(
      'version',
      'print the version',
      {},
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
    .fail(refuse)
    .parseAsync();
  return exitCode;
}

/** yargs hands over its own complaint, or what a command has thrown. */
function refuse(message: string | null, error: Error | undefined, _parser: Argv): never {
  if (error !== undefined && error.name !== 'YError') throw error;
  const complaint = message ?? error?.message ?? 'wrong usage';
  throw usageError(complaint, suggestion(complaint));
}

function suggestion(complaint: string): string {
  const [, written] = /^Unknown (?:arguments?|commands?): ([\w-]+)/.exec(complaint) ?? [];
  if (written === undefined) return `The commands are ${COMMANDS.join(', ')}; wattle --help explains them.`;
  // yargs does not say whether the unknown word stood where a command or where an option belongs.
  const word = nearest(written, [...COMMANDS, ...OPTIONS.map((option) => `--${option}`), ...OPTIONS]);
  if (word === undefined) return `The commands are ${COMMANDS.join(', ')}; wattle --help explains them.`;
  return `The nearest known is ${OPTIONS.includes(word) && !COMMANDS.includes(word) ? `--${word}` : word}; see wattle --help.`;
}
