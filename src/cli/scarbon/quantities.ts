/** Energy, mass, power and time as text: in units chosen for people, or as plain numbers for programs. */
import { JOULES_PER_KWH, MICROJOULES_PER_JOULE, type EpochMs } from '../../contract/units.js';

export const ENERGY_UNITS = ['J', 'Wh', 'kWh'] as const;
export type EnergyUnit = (typeof ENERGY_UNITS)[number];

const MICROJOULES_PER: Readonly<Record<EnergyUnit, number>> = {
  J: MICROJOULES_PER_JOULE,
  Wh: (MICROJOULES_PER_JOULE * JOULES_PER_KWH) / 1000,
  kWh: MICROJOULES_PER_JOULE * JOULES_PER_KWH,
};

type Unit = readonly [name: string, factor: number];
/** Smallest unit first, then the one that a zero is told in. */
type Scale = readonly [Unit, Unit, ...Unit[]];

/** Joules end at kJ: from there on people think in watt-hours. */
const JOULE_SCALE: Scale = [
  ['mJ', 1e3],
  ['J', 1e6],
  ['kJ', 1e9],
];
const WATT_HOUR_SCALE: Scale = [
  ['mWh', 3.6e6],
  ['Wh', 3.6e9],
  ['kWh', 3.6e12],
  ['MWh', 3.6e15],
  ['GWh', 3.6e18],
];
const GRAM_SCALE: Scale = [
  ['mg', 1e-3],
  ['g', 1],
  ['kg', 1e3],
  ['t', 1e6],
];
const WATT_SCALE: Scale = [
  ['mW', 1e-3],
  ['W', 1],
  ['kW', 1e3],
  ['MW', 1e6],
];

/** 100 Wh. A table whose largest figure is below is told in joules, else in watt-hours: never in both. */
const JOULE_SCALE_ENDS_AT_MICROJOULES = 3.6e11;

/** One scale for all energies of a table, so that a column can be compared by eye. */
export function energyScale(largestMicrojoules: number): (microjoules: number) => string {
  const scale = largestMicrojoules < JOULE_SCALE_ENDS_AT_MICROJOULES ? JOULE_SCALE : WATT_HOUR_SCALE;
  return (microjoules) => scaled(microjoules, scale);
}

export const humanMass = (grams: number): string => scaled(grams, GRAM_SCALE);
export const humanPower = (watts: number): string => scaled(watts, WATT_SCALE);

/** Three significant digits in the unit that leaves one to three of them before the point. */
function scaled(value: number, scale: Scale): string {
  if (value === 0) return `0 ${scale[1][0]}`;
  let [unit, factor] = scale[0];
  for (const [largerUnit, largerFactor] of scale) {
    // 999.6 would be rounded to four digits before the point: it is the next unit's 1.00.
    if (Math.abs(value) / largerFactor >= 0.9995) [unit, factor] = [largerUnit, largerFactor];
  }
  const number = value / factor;
  const decimals = number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  return `${number.toFixed(decimals)} ${unit}`;
}

/** A number in one unit, exact to the microjoule, without exponent. */
export function plainEnergy(microjoules: number, unit: EnergyUnit): string {
  return plainNumber(microjoules / MICROJOULES_PER[unit], unit === 'J' ? 6 : 12);
}

/** A number without exponent and without trailing zeros. */
export function plainNumber(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/** `[D-]HH:MM:SS`, as sacct prints elapsed time. */
export function elapsed(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(':');
  return days === 0 ? clock : `${days}-${clock}`;
}

/** `YYYY-MM-DDTHH:MM:SS` in the local time zone; `Unknown` where there is none, as sacct prints it. */
export function timestamp(time: EpochMs | null): string {
  if (time === null) return 'Unknown';
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day}T${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}
