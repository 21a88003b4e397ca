/** Checks that need more than one room: what the configuration says, held against what there is. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Finding } from '../../agent/index.js';
import { canonicalZone } from '../../carbon/index.js';
import { ConfigError, redactUrl, type Config, type ConfigProblem, type KeyPath } from '../../config/index.js';
import { messageOf, WattleError } from '../../contract/errors.js';
import { runSlurmCommand } from '../../slurm/command.js';
import { Munge } from '../../slurm/munge.js';

/**
 * How many zones the configuration names.
 * @throws {ConfigError} naming file and line of every zone that the table does not know
 */
export function checkZones({ carbon, source }: Config): number {
  const zones: [KeyPath, string | undefined][] = [
    [['carbon', 'zone'], carbon.zone],
    ...(['partitions', 'nodes'] as const).flatMap((kind) =>
      Object.entries(carbon[kind]).map(([name, { zone }]): [KeyPath, string | undefined] => [
        ['carbon', kind, name, 'zone'],
        zone,
      ]),
    ),
  ];
  const problems = zones.flatMap(([keyPath, zone]): ConfigProblem[] => {
    const problem = zone === undefined ? undefined : zoneProblem(zone);
    return problem === undefined
      ? []
      : [{ code: 'config.value', keyPath, position: source.positionOf(keyPath), ...problem }];
  });
  const [first, ...others] = problems;
  if (first !== undefined) throw new ConfigError(source.path, [first, ...others]);
  return zones.filter(([, zone]) => zone !== undefined).length;
}

function zoneProblem(zone: string): Pick<ConfigProblem, 'message' | 'remedy'> | undefined {
  try {
    canonicalZone(zone);
    return undefined;
  } catch (error) {
    if (!(error instanceof WattleError)) throw error;
    return { message: `expected a zone of the table, found ${error.message}`, remedy: error.remedy };
  }
}

/** Meters that are declared in a table of their own, and not read: the list of meters does not name them. */
export function unusedMeters({ sampler }: Config): Finding[] {
  return (['redfish', 'wattmeter', 'model'] as const)
    .filter((meter) => sampler[meter] !== undefined && !sampler.meters.includes(meter))
    .map((meter) => ({
      what: `meter ${meter}`,
      state: 'warn',
      found: `declared in [sampler.${meter}], but not named in [sampler] meters: it is not read`,
      remedy: `write meters = ${JSON.stringify([...sampler.meters, meter])} into [sampler], in order of preference`,
    }));
}

/** What `sacct --version` says. */
export async function slurmVersion({ slurm }: Config): Promise<string> {
  const output = await runSlurmCommand('sacct', ['--version'], { ...slurm, timeoutMs: 10_000 });
  return output.trim();
}

/** @throws {WattleError} where munged does not seal, or does not open what it sealed */
export async function checkMunge({ munge: settings }: Config): Promise<string> {
  const munge = new Munge(settings);
  await munge.open(await munge.seal(new Uint8Array()));
  return 'munged seals and opens';
}

export const zonesFound = (count: number): string =>
  count === 0 ? 'none named: energy without grams' : `${count} named, all known`;

/** Opens no embedded database: that would make it, and one that a running controller holds would refuse. */
export async function checkDatabase({ database: { url, path } }: Config): Promise<string> {
  if (url === undefined) return embeddedDatabase(path);
  const { openDatabase } = await import('../../ledger/index.js');
  const database = await openDatabase({ url, path, onConnectionLost: () => undefined });
  await database.close();
  return `answers at ${redactUrl(url)}`;
}

/** @throws {WattleError} where whoever asks could not write the embedded database */
async function embeddedDatabase(path: string): Promise<string> {
  const at = await nearestExisting(path);
  try {
    await access(at, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new WattleError(
      'ledger.folder',
      `embedded, in ${path}: ${messageOf(error)}`,
      `run the controller as the owner of ${at}, or make ${path} and give it to the controller's user`,
    );
  }
  return `embedded, in ${path}${at === path ? '' : ` (will be made in ${at})`}`;
}

/** The folder or, where it is still to be made, the nearest one above it. */
async function nearestExisting(path: string): Promise<string> {
  const isThere = await access(path).then(
    () => true,
    (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT',
  );
  return isThere || path === dirname(path) ? path : nearestExisting(dirname(path));
}
