/** Where in a BMC's Redfish tree the node's power or energy is found, best first. */
import {
  parseChassis,
  parseEnvironmentMetrics,
  parseMembers,
  parsePower,
  parsePowerControl,
  parsePowerSubsystem,
  parsePowerSupply,
  parsePowerSupplyMetrics,
  parseSensor,
  type ChassisAnswer,
} from './redfish-answers.js';
import { shown, SourceProblem } from './problem.js';

/** JSON at a path of the service; undefined where there is nothing. */
export type Get = (path: string) => Promise<unknown>;

/** What is counted: readings of two kinds do not go on from each other. */
export type RouteKind = 'watts' | 'EnergyJoules' | 'EnergykWh';

export interface Route {
  readonly kind: RouteKind;
  /** Null where the BMC shows no number at present. */
  readonly read: (get: Get) => Promise<RouteReading | null>;
  /** After this time the route is looked for anew, as what it adds up may have changed. */
  readonly goodForMs?: number;
}

export interface RouteReading {
  /** Watts or joules. */
  readonly value: number;
  /** When the sensor was read, as the BMC writes it. */
  readonly readingTime?: string;
}

const CHASSIS = '/redfish/v1/Chassis';
const IDRAC = 'System.Embedded.1';
/** A supply that is plugged in later is missing from the sum for at most this long. */
const SUPPLIES_GOOD_FOR_MS = 60_000;

/**
 * @param chassis Id of the chassis to read; absent: iDRAC's, or the only one that has a computer and shows its power.
 * @param kind Only a route of this kind, as the readings so far were of it.
 * @throws {SourceProblem} where there is none, or more than one.
 */
export async function findRoute(get: Get, chassis?: string, kind?: RouteKind): Promise<Route> {
  const members = parseMembers(found(await get(CHASSIS), CHASSIS));
  const named = members.find((path) => idOf(path) === (chassis ?? IDRAC));
  if (chassis !== undefined && named === undefined) {
    throw new SourceProblem(`the BMC has no chassis ${shown(chassis)}; it has ${ids(members)}`);
  }
  const candidates = named === undefined ? await withSystem(get, members) : [await chassisAt(get, named)];
  const routes: { readonly path: string; readonly route: Route }[] = [];
  for (const { path, answer } of candidates) {
    const route = await routeOf(get, answer, kind);
    if (route !== undefined) routes.push({ path, route });
  }
  const [first, ...others] = routes;
  if (first === undefined) {
    const seen = ids(candidates.map(({ path }) => path));
    throw new SourceProblem(`the BMC shows no ${kind ?? 'power'} for its chassis (${seen})`);
  }
  if (others.length > 0) {
    const choice = ids(routes.map(({ path }) => path));
    throw new SourceProblem(`several chassis of the BMC show power (${choice}): name the node's own as chassis`);
  }
  return first.route;
}

interface Candidate {
  readonly path: string;
  readonly answer: ChassisAnswer;
}

async function chassisAt(get: Get, path: string): Promise<Candidate> {
  return { path, answer: parseChassis(found(await get(path), path)) };
}

async function withSystem(get: Get, members: readonly string[]): Promise<Candidate[]> {
  const all: Candidate[] = [];
  for (const path of members) all.push(await chassisAt(get, path));
  const withSystems = all.filter(({ answer }) => answer.hasSystem);
  return withSystems.length > 0 ? withSystems : all;
}

async function routeOf(get: Get, chassis: ChassisAnswer, kind: RouteKind | undefined): Promise<Route | undefined> {
  const wanted = (candidate: RouteKind): boolean => kind === undefined || kind === candidate;
  const { environmentMetrics, powerSubsystem, power } = chassis;
  const environment = await optional(get, environmentMetrics, parseEnvironmentMetrics);

  if (environmentMetrics !== undefined && positive(environment?.joules?.reading) && wanted('EnergyJoules')) {
    const read = async (ask: Get): Promise<RouteReading | null> =>
      reading((await optional(ask, environmentMetrics, parseEnvironmentMetrics))?.joules?.reading);
    return { kind: 'EnergyJoules', read };
  }
  if (wanted('watts')) {
    if (environmentMetrics !== undefined && positive(environment?.watts?.reading)) {
      return (await sensorRoute(get, environment.watts.sensor)) ?? environmentRoute(environmentMetrics);
    }
    const route = (await suppliesRoute(get, powerSubsystem)) ?? (await powerRoute(get, power));
    if (route !== undefined) return route;
  }
  // Last: its steps are coarse, often 1 Wh or more, so that short times are not resolved.
  if (environmentMetrics !== undefined && positive(environment?.kwhJoules?.reading) && wanted('EnergykWh')) {
    const read = async (ask: Get): Promise<RouteReading | null> =>
      reading((await optional(ask, environmentMetrics, parseEnvironmentMetrics))?.kwhJoules?.reading);
    return { kind: 'EnergykWh', read };
  }
  return undefined;
}

function environmentRoute(path: string): Route {
  const read = async (get: Get): Promise<RouteReading | null> =>
    reading((await optional(get, path, parseEnvironmentMetrics))?.watts?.reading);
  return { kind: 'watts', read };
}

/** The sensor itself says when it was read; the excerpt of it in EnvironmentMetrics does not. */
async function sensorRoute(get: Get, path: string | undefined): Promise<Route | undefined> {
  const read = async (ask: Get): Promise<RouteReading | null> => {
    const sensor = await optional(ask, path, parseSensor);
    return reading(sensor?.watts, sensor?.readingTime);
  };
  return (await read(get))?.readingTime === undefined ? undefined : { kind: 'watts', read };
}

/** The inputs of all supplies in use, added up: one without a number would make the sum too low. */
async function suppliesRoute(get: Get, powerSubsystem: string | undefined): Promise<Route | undefined> {
  const collection = await optional(get, powerSubsystem, parsePowerSubsystem);
  const metrics: string[] = [];
  for (const path of (await optional(get, collection, parseMembers)) ?? []) {
    const supply = await optional(get, path, parsePowerSupply);
    if (supply?.inUse !== true) continue;
    if (supply.metrics === undefined) return undefined;
    metrics.push(supply.metrics);
  }
  const read = async (ask: Get): Promise<RouteReading | null> => {
    let sum = 0;
    for (const path of metrics) {
      const watts = await optional(ask, path, parsePowerSupplyMetrics);
      if (watts === undefined) return null;
      sum += watts;
    }
    return reading(sum);
  };
  return (await read(get)) === null ? undefined : { kind: 'watts', read, goodForMs: SUPPLIES_GOOD_FOR_MS };
}

async function powerRoute(get: Get, path: string | undefined): Promise<Route | undefined> {
  const power = await optional(get, path, parsePower);
  const { control } = power ?? {};
  const read = async (ask: Get): Promise<RouteReading | null> =>
    power?.watts === undefined
      ? reading(await optional(ask, control, parsePowerControl))
      : reading((await optional(ask, path, parsePower))?.watts);
  return (await read(get)) === null ? undefined : { kind: 'watts', read };
}

/** The node runs this program, so it draws power: 0 is a sensor that is not ready. */
const positive = (value: number | undefined): value is number => value !== undefined && value > 0;

function reading(value: number | undefined, readingTime?: string): RouteReading | null {
  if (!positive(value)) return null;
  return { value, ...(readingTime === undefined ? {} : { readingTime }) };
}

async function optional<T>(get: Get, path: string | undefined, parse: (json: unknown) => T): Promise<T | undefined> {
  if (path === undefined) return undefined;
  const json = await get(path);
  return json === undefined ? undefined : parse(json);
}

function found(json: unknown, path: string): unknown {
  if (json === undefined) throw new SourceProblem(`the BMC has no ${path}: is Redfish enabled on it?`);
  return json;
}

const idOf = (path: string): string => path.replace(/\/$/, '').split('/').at(-1) ?? '';

const ids = (paths: readonly string[]): string => shown(paths.map(idOf).join(', ') || 'none', 200);
