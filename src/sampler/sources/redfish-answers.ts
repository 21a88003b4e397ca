/**
 * What a BMC's answers say, and nothing that they do not say: a field of another type, a negative or endless number or a
 * link that leads elsewhere counts as absent. Each function throws only SourceProblem, where the answer is no object at all.
 *
 * Schemas: DMTF Chassis, EnvironmentMetrics, Sensor, PowerSubsystem, PowerSupply, PowerSupplyMetrics, and the deprecated
 * Power, which older BMCs have instead.
 */
import { JOULES_PER_KWH } from '../../contract/index.js';
import { SourceProblem } from './problem.js';

/** A large GPU server lists some 50 chassis; more is no server. */
const MAX_MEMBERS = 64;
const MAX_LINK = 512;

/** A number that a resource shows, and the sensor that it was taken from. */
export interface Excerpt {
  readonly reading: number;
  readonly sensor?: string;
}

export interface ChassisAnswer {
  readonly environmentMetrics?: string;
  readonly powerSubsystem?: string;
  readonly power?: string;
  /** Whether a computer runs in it: not so for a fan tray, or a rack. */
  readonly hasSystem: boolean;
}

export interface EnvironmentAnswer {
  readonly joules?: Excerpt;
  readonly watts?: Excerpt;
  /** From EnergykWh, in joules. */
  readonly kwhJoules?: Excerpt;
}

export interface SensorAnswer {
  readonly watts?: number;
  readonly joules?: number;
  /** As the BMC writes it. */
  readonly readingTime?: string;
}

export interface SupplyAnswer {
  readonly metrics?: string;
  /** In its slot and switched on. */
  readonly inUse: boolean;
}

export interface PowerAnswer {
  readonly watts?: number;
  /** Where old firmware lists PowerControl as a resource of its own. */
  readonly control?: string;
}

/** The links of a collection. */
export function parseMembers(json: unknown): string[] {
  const members = field(record(json), 'Members');
  if (!Array.isArray(members)) return [];
  return members.slice(0, MAX_MEMBERS).flatMap((member) => link(member) ?? []);
}

export function parseChassis(json: unknown): ChassisAnswer {
  const chassis = record(json);
  const systems = field(maybe(field(chassis, 'Links')), 'ComputerSystems');
  return {
    ...present('environmentMetrics', link(field(chassis, 'EnvironmentMetrics'))),
    ...present('powerSubsystem', link(field(chassis, 'PowerSubsystem'))),
    ...present('power', link(field(chassis, 'Power'))),
    hasSystem: Array.isArray(systems) && systems.length > 0,
  };
}

export function parseEnvironmentMetrics(json: unknown): EnvironmentAnswer {
  const metrics = record(json);
  const kwh = maybe(field(metrics, 'EnergykWh'));
  // Reading can be reset by an administrator; LifetimeReading cannot.
  const kwhJoules =
    amount(field(kwh, 'LifetimeReading'), JOULES_PER_KWH) ?? amount(field(kwh, 'Reading'), JOULES_PER_KWH);
  return {
    ...present('joules', excerpt(field(metrics, 'EnergyJoules'))),
    ...present('watts', excerpt(field(metrics, 'PowerWatts'))),
    ...(kwhJoules === undefined ? {} : { kwhJoules: { reading: kwhJoules } }),
  };
}

export function parseSensor(json: unknown): SensorAnswer {
  const sensor = record(json);
  const reading = amount(field(sensor, 'Reading'));
  const time = field(sensor, 'ReadingTime');
  const type = field(sensor, 'ReadingType');
  return {
    ...(type === 'Power' ? present('watts', reading) : {}),
    ...(type === 'EnergyJoules' ? present('joules', reading) : {}),
    ...(typeof time === 'string' && time.length <= 64 ? { readingTime: time } : {}),
  };
}

/** The link to the collection of power supplies. */
export function parsePowerSubsystem(json: unknown): string | undefined {
  return link(field(record(json), 'PowerSupplies'));
}

export function parsePowerSupply(json: unknown): SupplyAnswer {
  const supply = record(json);
  const state = field(maybe(field(supply, 'Status')), 'State');
  const inUse = !['Absent', 'Disabled', 'UnavailableOffline'].some((unused) => unused === state);
  return { ...present('metrics', link(field(supply, 'Metrics'))), inUse };
}

/** Watts that a supply takes from the mains. */
export function parsePowerSupplyMetrics(json: unknown): number | undefined {
  return amount(field(maybe(field(record(json), 'InputPowerWatts')), 'Reading'));
}

/** The resource Power: its first PowerControl is that of the whole chassis. */
export function parsePower(json: unknown): PowerAnswer {
  const controls = field(record(json), 'PowerControl');
  const first: unknown = Array.isArray(controls) ? controls[0] : undefined;
  return { ...present('watts', parseControl(first)), ...present('control', link(first)) };
}

/** A PowerControl that is a resource of its own. */
export function parsePowerControl(json: unknown): number | undefined {
  return parseControl(record(json));
}

function parseControl(control: unknown): number | undefined {
  return amount(field(maybe(control), 'PowerConsumedWatts'));
}

type Fields = Readonly<Record<string, unknown>>;

function record(json: unknown): Fields {
  const fields = maybe(json);
  if (fields === undefined) throw new SourceProblem('the BMC answered with JSON that is no object');
  return fields;
}

function maybe(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function field(fields: Fields | undefined, name: string): unknown {
  return fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function amount(value: unknown, factor = 1): number | undefined {
  if (typeof value !== 'number') return undefined;
  const product = value * factor;
  return Number.isFinite(product) && product >= 0 ? product : undefined;
}

function excerpt(value: unknown): Excerpt | undefined {
  const fields = maybe(value);
  const reading = amount(field(fields, 'Reading'));
  if (reading === undefined) return undefined;
  return { reading, ...present('sensor', path(field(fields, 'DataSourceUri'))) };
}

function link(value: unknown): string | undefined {
  return path(field(maybe(value), '@odata.id'));
}

/** A path of this BMC's Redfish service; anything else could lead the password elsewhere. */
function path(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > MAX_LINK) return undefined;
  return /^\/redfish\/[\w/.()'~:@%,+=-]*$/.test(value) && !/\/\.{1,2}(\/|$)/.test(value) ? value : undefined;
}

function present<Key extends string, Value>(key: Key, value: Value | undefined): Partial<Record<Key, Value>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>);
}
