/** Who may see everybody's jobs, in Slurm's own terms: AdminLevel of the accounting database. */
import { type SlurmCommandOptions, runSlurmCommand } from './command.js';

/** Parses `sacctmgr --parsable2 --noheader show user format=User,AdminLevel`: the operators and administrators. */
export function parseOperators(output: string): Set<string> {
  const operators = new Set<string>();
  for (const line of output.split('\n')) {
    const [user = '', level = ''] = line.split('|');
    if (/^(Operator|Administrator)$/.test(level)) operators.add(user);
  }
  return operators;
}

/** Names of the users whose AdminLevel is Operator or Administrator. */
export async function slurmOperators(options: SlurmCommandOptions = {}): Promise<Set<string>> {
  const args = ['--parsable2', '--noheader', '--readonly', 'show', 'user', 'format=User,AdminLevel'];
  return parseOperators(await runSlurmCommand('sacctmgr', args, options));
}
