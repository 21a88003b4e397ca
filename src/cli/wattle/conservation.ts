/** `wattle conservation`: law 1 over the stored ledger, node by node. */
import * as v from 'valibot';
import { OWNER_KINDS } from '../../contract/vocabulary.js';
import { EXIT, type ExitCode } from '../../contract/errors.js';
import { epochMs } from '../../contract/units.js';
import { ask, badAnswer } from '../controller-client.js';
import { findEndpoint } from '../endpoint.js';
import { printable } from '../printable.js';
import { plainEnergy } from '../scarbon/quantities.js';
import { parseTime } from '../scarbon/time.js';
import { usageError } from '../program.js';

export interface ConservationArguments {
  readonly config?: string | undefined;
  readonly controller?: string | undefined;
  readonly since: string;
  readonly until: string;
}

const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const conservationAnswer = v.object({
  nodes: v.array(
    v.object({
      node: v.string(),
      total: amount,
      owners: v.record(v.string(), amount),
      intervalsOff: amount,
      intervals: amount,
      coverage: amount,
    }),
  ),
});
type NodeAnswer = v.InferOutput<typeof conservationAnswer>['nodes'][number];

/** Exit code 1 where an interval's owners do not add up to its node. */
export async function conservation(args: ConservationArguments): Promise<ExitCode> {
  const now = epochMs(Date.now());
  const since = parseTime(args.since, now);
  const until = parseTime(args.until, now);
  if (until < since) throw usageError(`--until ${args.until} is before --since ${args.since}`, 'Exchange them.');

  const endpoint = findEndpoint(args);
  const answer = await ask(endpoint, '/v1/conservation', { since: String(since), until: String(until) });
  const checked = v.safeParse(conservationAnswer, answer, { abortEarly: true });
  if (!checked.success) {
    const [issue] = checked.issues;
    throw badAnswer(endpoint, `${v.getDotPath(issue) ?? 'a value'}: ${issue.message}`);
  }
  const { nodes } = checked.output;
  process.stdout.write(table(nodes));
  return nodes.every(isConserved) ? EXIT.done : EXIT.failed;
}

const booked = ({ owners }: NodeAnswer): number => Object.values(owners).reduce((sum, part) => sum + part, 0);

/** By interval, as the controller counts; and in sum, as this page shows. Microjoules are whole, so the sum is exact. */
const isConserved = (node: NodeAnswer): boolean => node.intervalsOff === 0 && booked(node) === node.total;

function table(nodes: readonly NodeAnswer[]): string {
  const heading = [
    'Node',
    'Total(J)',
    ...OWNER_KINDS.map((owner) => `${owner}(J)`),
    'Off(J)',
    'Intervals',
    'Coverage',
    'Law1',
  ];
  const rows = nodes.map((node) => [
    printable(node.node),
    joules(node.total),
    ...OWNER_KINDS.map((owner) => joules(node.owners[owner] ?? 0)),
    plainEnergy(node.total - booked(node), 'J'),
    node.intervalsOff === 0 ? String(node.intervals) : `${node.intervalsOff} of ${node.intervals} off`,
    `${(Math.floor(node.coverage * 1000) / 10).toFixed(1)}%`,
    isConserved(node) ? 'holds' : 'BROKEN',
  ]);
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [heading, ...rows]
    .map((row) => row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))))
    .map((cells) => `${cells.join('  ').trimEnd()}\n`)
    .join('');
}

/** Three decimals: enough to compare by eye; the column Off is exact. */
const joules = (microjoules: number): string => (microjoules / 1e6).toFixed(3);
