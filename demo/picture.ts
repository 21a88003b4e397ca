/** Pictures for a terminal: bars, and the account of where the joules went. No colour unless a person looks at it. */
import {
  MICROJOULES_PER_JOULE,
  type ConservationAnswer,
  type EnergyAnswer,
  type JobAnswer,
} from '../src/contract/index.js';

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** A bar of `share` (0 to 1) of `width` characters, to an eighth of a character; never empty where there is something. */
export function bar(share: number, width: number): string {
  const eighths = Math.max(share > 0 ? 1 : 0, Math.round(share * width * 8));
  return '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '');
}

export function joulesOf(energy: EnergyAnswer): number {
  return (energy.package + energy.dram + energy.gpu + energy.other) / MICROJOULES_PER_JOULE;
}

export interface Style {
  readonly colour: boolean;
  /** Columns of the terminal. */
  readonly width: number;
}

/** Colour only for a terminal, and not where NO_COLOR asks for none (https://no-color.org). */
export function styleOf(stream: { isTTY?: boolean; columns?: number }, env: NodeJS.ProcessEnv): Style {
  const refused = env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '';
  return { colour: stream.isTTY === true && !refused && env['TERM'] !== 'dumb', width: stream.columns ?? 80 };
}

const PALETTE = [32, 33, 36, 35] as const;

function paint(text: string, index: number, style: Style): string {
  return style.colour ? `\u001B[${PALETTE[index % PALETTE.length] ?? 32}m${text}\u001B[0m` : text;
}

/** One line per job: name, bar, joules. Each partition has its colour. */
export function jobBars(jobs: readonly JobAnswer[], style: Style): string {
  const partitions = [...new Set(jobs.map((job) => job.partition))];
  const labels = jobs.map((job) => `${job.jobId} ${job.name}`);
  const labelWidth = Math.max(0, ...labels.map((label) => label.length));
  const most = Math.max(0, ...jobs.map((job) => joulesOf(job.energy)));
  const room = Math.max(10, Math.min(60, style.width - labelWidth - 24));
  return jobs
    .map((job, index) => {
      const joules = joulesOf(job.energy);
      const drawn = bar(most > 0 ? joules / most : 0, room);
      const painted = paint(drawn, partitions.indexOf(job.partition), style) + ' '.repeat(room - drawn.length);
      return `  ${(labels[index] ?? '').padEnd(labelWidth)}  ${painted} ${joules.toFixed(1).padStart(8)} J  ${job.partition}`;
    })
    .join('\n');
}

/** Law 1 as a table: what each node used, and whom it was booked to. */
export function conservationTable(answer: ConservationAnswer): string {
  const joules = (value: number): string => (value / MICROJOULES_PER_JOULE).toFixed(3);
  const owners = ['job', 'idle', 'system', 'unattributed'] as const;
  const head = ['node', 'used (J)', ...owners.map((owner) => `${owner} (J)`), 'left over (J)'];
  const rows = answer.nodes.map((node) => {
    const booked = Object.values(node.owners).reduce<number>((sum, value) => sum + value, 0);
    return [
      node.node,
      joules(node.total),
      ...owners.map((owner) => joules(node.owners[owner] ?? 0)),
      joules(node.total - booked),
    ];
  });
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}`;
  return [line(head), ...rows.map(line)].join('\n');
}

/** Every interval of every node adds up to the microjoule. */
export function isConserved(answer: ConservationAnswer): boolean {
  return (
    answer.nodes.length > 0 &&
    answer.nodes.every((node) => {
      const booked = Object.values(node.owners).reduce<number>((sum, value) => sum + value, 0);
      return node.intervalsOff === 0 && booked === node.total;
    })
  );
}
