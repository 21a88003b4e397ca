/** The configuration as the rooms read it: camelCase, units in the names or in the types, frozen all through. */
import type { DurationMs, Watts } from '../contract/index.js';
import type { Address, TcpAddress } from './address.js';
import type { KeyPath, Position } from './positions.js';

/** A meter that the configuration can ask for. */
export const METER_NAMES = [
  'rapl-perf',
  'rapl-powercap',
  'rapl-msr',
  'amd-energy',
  'nvml',
  'pm-counters',
  'ipmi',
  'redfish',
  'wattmeter',
  'model',
] as const;
export type MeterName = (typeof METER_NAMES)[number];

/** Those that are tried where the configuration names none: what cannot disturb a machine and needs no declaration. */
export const DEFAULT_METERS = [
  'rapl-perf',
  'rapl-powercap',
  'amd-energy',
  'nvml',
  'pm-counters',
  'model',
] as const satisfies readonly MeterName[];

export interface RateLimits {
  readonly least: number;
  readonly most: number;
}

const FAST: RateLimits = { least: 1, most: 10_000 };

/**
 * How often each may be read, per second. Counters may wrap within a minute at full power, so they are read at least
 * once a second; the others have nothing new that often.
 */
export const METER_RATE_LIMITS: Readonly<Record<MeterName, RateLimits>> = {
  'rapl-perf': FAST,
  'rapl-powercap': FAST,
  'rapl-msr': FAST,
  'amd-energy': FAST,
  nvml: { least: 1, most: 1000 },
  'pm-counters': { least: 1, most: 100 },
  ipmi: { least: 0.1, most: 10 },
  // How often the latest report is fetched, which costs nothing; the source has its own pace.
  redfish: FAST,
  wattmeter: FAST,
  model: FAST,
};

/** Where the values were read, so that a later check can still name file and line. */
export interface ConfigSource {
  readonly path: string;
  /** Position of a key, or of its nearest table where the key itself is absent. Keys as in the file: snake_case. */
  readonly positionOf: (keyPath: KeyPath) => Position | undefined;
}

/** Declared power profile of a machine without counters. */
export interface ModelConfig {
  readonly idleWatts: Watts;
  readonly wattsPerCore: Watts;
  readonly gpuWatts: Watts;
  /** `slurm`: only CPU time under this node's own Slurm control group (several slurmd on one host). */
  readonly cpuTime: 'host' | 'slurm';
}

/** The node's BMC, asked over Redfish. */
export interface RedfishConfig {
  readonly url: string;
  readonly credentialsFile: string;
  readonly caFile?: string;
  readonly insecure: boolean;
  readonly chassis?: string;
  readonly periodMs: DurationMs;
  readonly timeoutMs: DurationMs;
  readonly maxWatts: Watts;
  /** Absent: by what is read. */
  readonly holdMs?: DurationMs;
}

/** A program that prints lines, a file or line that they are written to, a server that sends them, a document of them. */
export type LinesFrom =
  | { readonly command: readonly string[] }
  | { readonly file: string }
  | { readonly tcp: { readonly host: string; readonly port: number } }
  | { readonly url: string };

/** A wattmeter that feeds this node. */
export interface WattmeterConfig {
  readonly format: 'omegawatt' | 'omegawatt-tsv' | 'csv';
  /** A command may hold a password: never log it, see `redact`. */
  readonly from: LinesFrom;
  readonly channels: readonly (number | string)[];
  readonly unit: 'watts' | 'joules' | 'kWh';
  readonly multiplier: number;
  readonly separator: string;
  readonly timeColumn?: number | string;
  readonly everyMs: DurationMs;
  readonly pollMs: DurationMs;
  readonly maxWatts: Watts;
  /** Absent: by what is read. */
  readonly holdMs?: DurationMs;
}

/** Grid area and power usage effectiveness of a partition or of some nodes; what is absent falls back. */
export interface PlaceConfig {
  readonly zone?: string;
  readonly pue?: number;
}

export interface Config {
  readonly source: ConfigSource;
  readonly cluster: {
    readonly name: string;
    /** Where agents and commands find the controller. */
    readonly controller: Address;
  };
  readonly agent: {
    readonly node: string;
    /** Cores of the node as Slurm counts them. */
    readonly cores: number;
    readonly stateDir: string;
    readonly eventDir: string;
    readonly runDir: string;
    readonly reportIntervalMs: DurationMs;
    readonly discoverIntervalMs: DurationMs;
    readonly spoolMaxBytes: number;
    readonly metricsListen?: TcpAddress;
  };
  readonly sampler: {
    readonly rateHz: number;
    readonly sysfs: string;
    readonly procfs: string;
    readonly cgroupRoot: string;
    readonly meters: readonly MeterName[];
    /** Reads per second of single meters; the others are read at `rateHz`, or less where they have nothing new. */
    readonly rates: Readonly<Partial<Record<MeterName, number | undefined>>>;
    /** What dlopen takes. Absent: where the driver puts it. */
    readonly nvmlLibrary?: string;
    readonly ipmiDevice: string;
    /** Absent: the meter redfish is not used. */
    readonly redfish?: RedfishConfig;
    /** Absent: the meter wattmeter is not used. */
    readonly wattmeter?: WattmeterConfig;
    /** Absent: the model meter is not used. */
    readonly model?: ModelConfig;
  };
  readonly ledger: {
    /** Divides an hour. */
    readonly intervalMs: DurationMs;
  };
  readonly database: {
    /** Absent: the embedded database under `path`. May hold a password: never log it, see `redact`. */
    readonly url?: string;
    readonly path: string;
  };
  readonly controller: {
    readonly listen: readonly Address[];
    readonly agentUsers: readonly string[];
    readonly operators: readonly string[];
    readonly factsIntervalMs: DurationMs;
  };
  readonly slurm: {
    readonly binDir?: string;
    readonly conf?: string;
    readonly accounting: 'sacct' | 'none';
  };
  readonly munge: { readonly socket?: string };
  readonly carbon: {
    /** Absent: no grams for nodes that neither their partition nor their own table places. */
    readonly zone?: string;
    /** Power usage effectiveness: what the site draws per watt of its computers, at least 1. */
    readonly pue: number;
    readonly partitions: Readonly<Record<string, PlaceConfig>>;
    /** By host list expression, such as `n[1-2]`. */
    readonly nodes: Readonly<Record<string, PlaceConfig>>;
  };
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
    readonly format: 'text' | 'json';
  };
}
