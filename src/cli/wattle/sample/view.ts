/** What `wattle sample` shows: a frame that is drawn again and again, a line per second, and the summary. Pure. */
import { disagreement, type Domain, type GpuStatus, type SamplerStats, witnessName } from '../../../sampler/index.js';
import { printable } from '../../printable.js';
import { energyScale, humanPower } from '../../scarbon/quantities.js';
import { type Branch, branches } from '../domain-tree.js';
import { gpuLines, shortGpuLines } from '../gpu-lines.js';
import { ESTIMATED, GAPPED, hertz, micro, percent, power, signedPercent, table } from '../figures-text.js';
import type { CpuFollower, DomainFigures } from './figures.js';
import type { OwnFigures } from './own-figures.js';
import { clip, coloured, fit, sparkline, type Style } from './style.js';

export interface JobState {
  readonly jobId: number;
  readonly cpu: ReturnType<CpuFollower['figures']>;
}

/** The rate in force from a moment on. */
export interface RateChange {
  readonly atSeconds: number;
  readonly rateHz: number;
}

export interface Problem {
  readonly meter: string;
  readonly problem: string;
}

export interface SampleState {
  readonly node: string;
  readonly elapsedSeconds: number;
  readonly domains: readonly Domain[];
  /** By domain index. */
  readonly figures: readonly DomainFigures[];
  readonly stats: SamplerStats;
  readonly own: OwnFigures;
  readonly job: JobState | undefined;
  readonly gpus: readonly GpuStatus[];
  /** What is wrong at present with meters outside the node. */
  readonly problems: readonly Problem[];
  /** Without the rate at the start. */
  readonly rateChanges: readonly RateChange[];
}

const FIGURE_WIDTH = 9;
/** Narrower than this a history says nothing. */
const LEAST_HISTORY = 6;
const GOOD_HISTORY = 20;
const GAP = 2;
const MARKS_PER_SECOND = 2;
/** So much of a name is enough to tell one from another. */
const READABLE_NAME = 20;
const TITLES = ['domain', 'now', 'mean', 'min', 'max'] as const;
const ENDS = 'Ctrl-C ends';

interface Row {
  readonly label: string;
  readonly cells: readonly string[];
  readonly history: readonly (number | null)[];
  readonly isWitness: boolean;
}

/** How the columns of a frame share its width. */
interface Layout {
  readonly name: number;
  /** Of now, mean, min, max. */
  readonly figures: number;
  readonly history: number;
}

function layOut(labels: readonly string[], columns: number): Layout {
  const longest = Math.max(...labels.map(({ length }) => length), TITLES[0].length);
  const wanted = Math.min(longest, READABLE_NAME);
  const figures = [4, 2].find((count) => columns >= wanted + count * FIGURE_WIDTH) ?? 1;
  const left = columns - figures * FIGURE_WIDTH;
  if (figures < 4 || left - wanted - GAP < LEAST_HISTORY) return { name: Math.min(longest, left), figures, history: 0 };
  // A history that shows something is worth the middle of a very long name.
  const name = Math.min(longest, Math.max(wanted, left - GAP - GOOD_HISTORY));
  return { name, figures, history: left - name - GAP };
}

/** Lines of a frame that is drawn over the last one: at most `rows`, none wider than `columns`. */
export function liveFrame(state: SampleState, style: Style): string[] {
  const rows = branches(state.domains).flatMap((branch) => rowsOf(branch, state));
  const layout = layOut(
    rows.map(({ label }) => label),
    style.columns,
  );
  const extras = [...jobLine(state), ...state.gpus.flatMap(shortGpuLines), ...problemLines(state)].map((text) =>
    clip(text, style.columns),
  );
  const head = [
    headline(state, style),
    coloured(clip(paceLine(state), style.columns), 'dim', style),
    '',
    coloured(heading(layout, style), 'bold', style),
  ];
  const tail = extras.length === 0 ? [] : ['', ...extras];
  const room = style.rows - head.length - tail.length;
  const body = cut(
    rows.map((row) => rowLine(row, layout, style)),
    Math.max(1, room),
    style,
  );
  return [...head, ...body, ...tail].slice(0, style.rows);
}

function heading({ name, figures, history }: Layout, { columns }: Style): string {
  const [domain, ...titles] = TITLES;
  const cells = titles.slice(0, figures).map((title) => title.padStart(FIGURE_WIDTH));
  const past = history > 0 ? `  last ${Math.floor(history / MARKS_PER_SECOND)} s` : '';
  return clip(`${domain.slice(0, name).padEnd(name)}${cells.join('')}${past}`, columns);
}

function rowLine({ label, cells, history, isWitness }: Row, layout: Layout, style: Style): string {
  const figures = cells.slice(0, layout.figures).map((cell) => cell.padStart(FIGURE_WIDTH));
  const text = clip(`${fit(label, layout.name, style).padEnd(layout.name)}${figures.join('')}`, style.columns);
  if (isWitness) return coloured(text, 'dim', style);
  if (layout.history === 0) return text;
  return `${text}${' '.repeat(GAP)}${coloured(sparkline(history, layout.history, style), 'cyan', style)}`;
}

/** What does not fit is counted: a line that scrolled away could not be drawn over. */
function cut(lines: readonly string[], room: number, style: Style): string[] {
  if (lines.length <= room) return [...lines];
  const kept = Math.max(0, room - 1);
  return [...lines.slice(0, kept), clip(`${lines.length - kept} more: make the window higher`, style.columns)];
}

function rowsOf({ domain, depth, label, witnesses }: Branch, { figures }: SampleState): Row[] {
  const indent = '  '.repeat(depth);
  const own = figures[domain.index];
  const { now = null, mean = null, min = null, max = null, history = [], coverage = 0 } = own ?? {};
  const cells = [power(now, domain), power(mean, domain, coverage < 1), power(min, domain), power(max, domain)];
  const first = { label: indent + printable(label), cells, history, isWitness: false };
  return [
    first,
    ...witnesses.map((witness): Row => {
      const other = figures[witness.index];
      const share = mean === null || (other?.mean ?? null) === null ? null : disagreement(mean, other?.mean ?? 0);
      return {
        label: `${indent}  also ${printable(witnessName(domain, witness))}`,
        cells: [
          power(other?.now ?? null, witness),
          power(other?.mean ?? null, witness, (other?.coverage ?? 0) < 1),
          share === null ? '' : signedPercent(share),
          '',
        ],
        history: [],
        isWitness: true,
      };
    }),
  ];
}

function headline({ node, elapsedSeconds }: SampleState, style: Style): string {
  const left = clip(`wattle sample  ${printable(node)}  ${clock(elapsedSeconds)}`, style.columns);
  const room = style.columns - left.length - ENDS.length;
  return coloured(left, 'bold', style) + (room < 1 ? '' : ' '.repeat(room) + ENDS);
}

function paceLine({ stats, own }: SampleState): string {
  const { ticks, missed, lost, latenessUs, rateHz, requestedHz } = stats;
  const rate = rateHz < requestedHz * 0.99 ? `${hertz(rateHz)} (asked for ${hertz(requestedHz)})` : hertz(rateHz);
  return `${rate}, ${ticks} ticks, ${missed} missed, ${lost} lost, p99 ${micro(latenessUs.p99)} late, ${percent(own.process, 1)} of a core`;
}

function jobLine({ job }: SampleState): string[] {
  if (job === undefined) return [];
  if (job.cpu === null) return [`job ${job.jobId}: CPU time not known yet`];
  return [`job ${job.jobId}: ${job.cpu.now.toFixed(2)} cores in use, ${job.cpu.mean.toFixed(2)} on the mean`];
}

/** One line of watts now, for an output that is no terminal. */
export function plainLine(state: SampleState): string {
  const watts = state.domains
    .filter(({ witnessOf }) => witnessOf === null)
    .map((domain) => `${printable(domain.name)} ${power(state.figures[domain.index]?.now ?? null, domain)}`);
  const cores = state.job?.cpu ? [`job ${state.job.jobId} ${state.job.cpu.now.toFixed(2)} cores`] : [];
  return `${state.elapsedSeconds.toFixed(1).padStart(7)} s  ${[...watts, ...cores].join('  ')}`;
}

/** All that was found, at the end. */
export function summary(state: SampleState): string[] {
  const { node, elapsedSeconds, stats, job, gpus } = state;
  const marks = [
    ...(state.domains.some(({ quality }) => quality === 'estimated') ? [`${ESTIMATED} an estimate`] : []),
    ...(state.figures.some(({ coverage }) => coverage < 1) ? [`${GAPPED} less than all of the time was sampled`] : []),
  ];
  return [
    `Sampled ${printable(node)} for ${elapsedSeconds.toFixed(1)} s at ${hertz(stats.rateHz)}`,
    '',
    ...energyTable(state),
    ...(marks.length === 0 ? [] : [`(${marks.join('; ')})`]),
    ...(job === undefined ? [] : ['', ...jobSummary(job)]),
    ...(gpus.length === 0 ? [] : ['', ...gpus.flatMap(gpuLines)]),
    ...(state.problems.length === 0 ? [] : ['', ...problemLines(state)]),
    '',
    'Sampler',
    ...ownLines(state).map(([name, text]) => `  ${name.padEnd(12)}${text}`),
  ];
}

const problemLines = ({ problems }: SampleState): string[] =>
  problems.map(({ meter, problem }) => printable(`${meter}: ${problem}`));

function jobSummary({ jobId, cpu }: JobState): string[] {
  if (cpu === null) return [`Job ${jobId}: its CPU time could not be read`];
  return [`Job ${jobId}: ${cpu.cpuSeconds.toFixed(1)} CPU seconds, ${cpu.mean.toFixed(2)} cores in use on the mean`];
}

function energyTable({ domains, figures }: SampleState): string[] {
  const energy = energyScale(Math.max(0, ...figures.map(({ energyUj }) => energyUj)));
  const lines = branches(domains).flatMap(({ domain, depth, label, witnesses }) =>
    [domain, ...witnesses].map((each, at) => {
      const { energyUj = 0, mean = null, coverage = 0 } = figures[each.index] ?? {};
      const mark = `${coverage < 1 ? GAPPED : ''}${each.quality === 'estimated' ? ESTIMATED : ''}`;
      const own = figures[domain.index]?.mean ?? null;
      const share = at === 0 || own === null || mean === null ? null : disagreement(own, mean);
      return [
        `${'  '.repeat(depth)}${at === 0 ? printable(label) : `  also ${printable(witnessName(domain, each))}`}`,
        mean === null ? '-' : `${mark}${energy(energyUj)}`,
        mean === null ? '-' : `${mark}${humanPower(mean)}`,
        // Rounded down: only what was sampled all through is 100%.
        `${(Math.floor(coverage * 1000) / 10).toFixed(1)} %`,
        each.quality,
        at === 0 ? `${each.meter}, ${hertz(each.rateHz)}` : share === null ? '' : signedPercent(share),
      ];
    }),
  );
  return table([['domain', 'energy', 'mean', 'coverage', 'quality', 'meter'], ...lines], [1, 2, 3]);
}

function ownLines({ stats, own, rateChanges }: SampleState): [string, string][] {
  const { requestedHz, rateHz, achievedHz, ticks, forced, late, missed, lost, latenessUs } = stats;
  const { p50, p99, max } = latenessUs;
  return [
    ['rate', `${hertz(requestedHz)} asked for, ${hertz(rateHz)} in force, ${hertz(achievedHz)} achieved`],
    ...rateChanges.map(({ atSeconds, rateHz: changed }): [string, string] => [
      '',
      changed < requestedHz * 0.99
        ? `this machine cannot hold ${hertz(requestedHz)}: sampled at ${hertz(changed)} from ${atSeconds.toFixed(1)} s on`
        : `back at ${hertz(changed)} from ${atSeconds.toFixed(1)} s on`,
    ]),
    ['ticks', `${ticks} taken, ${forced} more on request; ${late} late, ${missed} missed, ${lost} lost`],
    ['lateness', `p50 ${micro(p50)}, p99 ${micro(p99)}, max ${micro(max)}`],
    ['timer', `a wait of 1 us takes ${micro(stats.timerResolutionUs)} here`],
    ['scheduling', stats.urgency],
    ...(stats.suspends === 0 ? [] : [['suspends', `the host slept ${stats.suspends} times`] as [string, string]]),
    [
      'own CPU',
      `${percent(own.process, 2)} of a core: sampling thread ${percent(own.samplingThread, 2)}, slow meters ${percent(own.slowMeters, 2)}`,
    ],
    ...(own.joules === null
      ? []
      : [
          [
            'own energy',
            `${ESTIMATED}${energyScale(own.joules * 1e6)(own.joules * 1e6)} (estimated, by its share of CPU time)`,
          ] as [string, string],
        ]),
  ];
}

/** `1:02:03` or `02:03`. */
function clock(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  return `${hours > 0 ? `${hours}:` : ''}${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}
