/** A column's value as text: for people, or as a plain number for programs. */
import type { JobAnswer } from '../../contract/api.js';
import { printable } from '../printable.js';
import type { Column, FigureColumn, Row } from './columns.js';
import { marksOf, NO_DOUBTS, type Doubts } from './marks.js';
import {
  elapsed,
  energyScale,
  humanMass,
  humanPower,
  plainEnergy,
  plainNumber,
  type EnergyUnit,
} from './quantities.js';
import { anyGap, sumOf, worstOf, type Sum } from './total.js';

/** How a table turns its values into text. */
export interface CellStyle {
  readonly heading: (column: Column) => string;
  readonly cell: (column: Column, row: Row) => string;
  /** The cell of the line of totals; empty where the column's values add up to nothing. */
  readonly total: (column: Column, jobs: readonly JobAnswer[]) => string;
}

/** Plain numbers in units that the headings name; unknown values are empty. */
export function plainStyle(unit: EnergyUnit): CellStyle {
  const units: Partial<Record<Column['kind'], string>> = { energy: unit, mass: 'g', power: 'W' };
  const number = (kind: FigureColumn['kind'], value: number | null): string =>
    value === null ? '' : plainFigure(kind, value, unit);
  return {
    heading: ({ name, kind }) => (units[kind] === undefined ? name : `${name}(${units[kind]})`),
    cell: (column, row) =>
      column.kind === 'text' ? printable(column.value(row)) : number(column.kind, column.value(row)),
    total: (column, jobs) => {
      if (column.kind === 'text' || column.sums !== true) return '';
      return number(column.kind, sumOf(column, jobs).value);
    },
  };
}

function plainFigure(kind: FigureColumn['kind'], value: number, unit: EnergyUnit): string {
  switch (kind) {
    case 'energy':
      return plainEnergy(value, unit);
    case 'mass':
    case 'power':
      return plainNumber(value, 9);
    case 'share':
      return plainNumber(value, 6);
    case 'time':
      return elapsed(value);
    case 'seconds':
      return String(Math.floor(value / 1000));
    case 'count':
      return String(value);
  }
}

/**
 * Figures for people: each in a unit that suits it (or energy in `unit` as a plain number), with a mark where it is
 * no exact measurement. `shown` collects the marks that were used, so that a legend can explain them.
 */
export function humanStyle(rows: readonly Row[], columns: readonly Column[], unit: EnergyUnit | undefined): HumanStyle {
  const energy =
    unit === undefined ? scaleFor(rows, columns) : (value: number) => plainNumber(Number(plainEnergy(value, unit)), 6);
  let shown = NO_DOUBTS;
  const marked = (kind: FigureColumn['kind'], { value, partial }: Sum, jobs: readonly JobAnswer[]): string => {
    if (value === null) return 'Unknown';
    const doubts = { estimated: worstOf(jobs) === 'estimated', gap: anyGap(jobs), partial };
    if (kind !== 'energy' && kind !== 'mass' && kind !== 'power') return humanFigure(kind, value, energy);
    shown = {
      estimated: shown.estimated || doubts.estimated,
      gap: shown.gap || doubts.gap,
      partial: shown.partial || doubts.partial,
    };
    return marksOf(doubts) + humanFigure(kind, value, energy);
  };
  return {
    heading: ({ name, kind }) => (kind === 'energy' && unit !== undefined ? `${name}(${unit})` : name),
    cell: (column, row) => {
      if (column.kind === 'text') return printable(column.value(row));
      const value = column.value(row);
      return value === null && !isKnowable(column.kind, row)
        ? ''
        : marked(column.kind, { value, partial: false }, [row.job]);
    },
    total: (column, jobs) =>
      column.kind === 'text' || column.sums !== true ? '' : marked(column.kind, sumOf(column, jobs), jobs),
    doubts: () => shown,
  };
}

export interface HumanStyle extends CellStyle {
  /** The marks that were used so far. */
  readonly doubts: () => Doubts;
}

/** A job that has run has an energy and a footprint, whether or not anyone saw them. */
function isKnowable(kind: FigureColumn['kind'], { job }: Row): boolean {
  return (kind === 'energy' || kind === 'mass') && job.startMs !== null;
}

function scaleFor(rows: readonly Row[], columns: readonly Column[]): (microjoules: number) => string {
  let largest = 0;
  for (const column of columns) {
    if (column.kind !== 'energy') continue;
    for (const row of rows) largest = Math.max(largest, column.value(row) ?? 0);
  }
  return energyScale(largest);
}

function humanFigure(kind: FigureColumn['kind'], value: number, energy: (microjoules: number) => string): string {
  switch (kind) {
    case 'energy':
      return energy(value);
    case 'mass':
      return humanMass(value);
    case 'power':
      return humanPower(value);
    case 'share':
      // Rounded down: only what was sampled all through is 100%.
      return `${plainNumber(Math.floor(value * 1000) / 10, 1)}%`;
    case 'time':
    case 'seconds':
    case 'count':
      return plainFigure(kind, value, 'J');
  }
}
