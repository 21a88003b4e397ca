/**
 * One emulated node whose meters all follow one known power: perf events, registers and a management controller in the
 * emulated addon; the powercap tree, AMD's hwmon files and Cray's pm_counters in files that a process of its own
 * drives; a GPU in an NVML library; a BMC that speaks Redfish and a wattmeter. So every meter has the same truth.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Sampler, type MeterOptions, type SamplerOptions } from '../../src/sampler/index.js';
import type { EmulatedAddon, EmulatedHardware, HardwareFault } from '../emulation/addon.js';
import { driveFiles, type DrivenFile, type FileDriver, type FileFault } from './files.js';
import { startBmc, type Bmc, type BmcFault, type BmcLayout } from './redfish-bmc.js';
import { buildNvmlLibrary, startNvmlEmulator, type NvmlEmulator, type NvmlFault } from './nvml.js';
import { powercapFiles } from './powercap.js';
import { emulateWattmeter, type EmulatedWattmeter } from './wattmeter-stream.js';
import { energyUj, peakWatts, scaled, type Waveform } from './waveform.mjs';

/** `rapl-msr` reads the registers of the processor that it is told of. */
export type Processor = 'intel' | 'amd';
export type NodeMeter = Exclude<MeterOptions['kind'], 'model'>;
export type NodeFault = FileFault | HardwareFault | NvmlFault | BmcFault;

export interface NodeOptions {
  /** An empty folder. */
  readonly root: string;
  readonly addon: EmulatedAddon;
  /** Of the whole node; each domain draws a fixed share of it. */
  readonly power: Waveform;
  /** Domains that follow a waveform of their own. */
  readonly domains?: Readonly<Record<string, Waveform>>;
  /** Default 2, with 2 cores each. */
  readonly packages?: number;
  /** Counters that wrap do so when so many joules were used since the node was switched on (perf: was opened). */
  readonly joulesToWrap?: number;
  /** What the BMC shows over Redfish. Default: its count of joules. */
  readonly bmc?: BmcLayout;
  /** Differs between nodes of one process. Default 0. */
  readonly number?: number;
}

/** The GPU as Cray numbers it; NVML goes by its UUID, and adds `/instant` and `/average`. */
const GPU = 'gpu-accel0';

/** Shares of the node's power; what is left goes to fans and the like. */
const SHARES = { packages: 0.6, dram: 0.16, gpu: 0.1 } as const;
const CORES_SHARE = 0.7;
const CORES = 2;

/** The node was switched on a while ago: no counter shows 0, and means over a second have one to look back to. */
const UP_NS = 2e9;
const CPUS_PER_NODE = 64;
const PERF_TYPE = 20;
const WATTMETER_CHANNEL = 2;

const EVENTS = { 'energy-cores': 1, 'energy-pkg': 2, 'energy-ram': 3, 'energy-psys': 5 } as const;
const INTEL = { unit: 0x606, package: 0x611, dram: 0x619, core: 0x639, psys: 0x64d } as const;
const AMD = { unit: 0xc001_0299, core: 0xc001_029a, package: 0xc001_029b } as const;
/** Bits 12 to 8 of the unit register: counters step by 2^-n J. */
const unitRegister = (exponent: number): number => 0xa_0003 | (exponent << 8);
const INTEL_EXPONENT = 14;
/** Of AMD, and of memory on Intel's servers from Haswell to Ice Lake. */
const FINE_EXPONENT = 16;
/** What powercap shows as the largest value of a counter of 2^-14 J, and of 2^-16 J. */
const RANGE_UJ = 262_143_328_850;
const FINE_RANGE_UJ = 65_535_999_984;

const CPUINFO: Readonly<Record<Processor, string>> = {
  intel: 'vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Emulated Xeon\n',
  amd: 'vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: Emulated EPYC\n',
};

export class EmulatedNode {
  readonly sysfs: string;
  readonly packages: number;
  readonly #options: NodeOptions;
  readonly #number: number;
  readonly #startNs = Number(process.hrtime.bigint()) - UP_NS;
  readonly #waveforms: Readonly<Record<string, Waveform>>;
  readonly #away = new Set<number>();
  #driver!: FileDriver;
  #gpus!: NvmlEmulator;
  #bmc!: Bmc;
  #wattmeter!: EmulatedWattmeter;

  private constructor(options: NodeOptions) {
    this.#options = options;
    this.#number = options.number ?? 0;
    this.packages = options.packages ?? 2;
    this.sysfs = join(options.root, 'sys');
    this.#waveforms = { ...domainsOf(options.power, this.packages), ...options.domains };
  }

  /** Resolves when every meter can be read. */
  static async start(options: NodeOptions): Promise<EmulatedNode> {
    // What takes long, before its clock starts.
    await buildNvmlLibrary();
    const node = new EmulatedNode(options);
    node.#writeConstants();
    node.#driver = await driveFiles({ startNs: node.#startNs, updateHz: 1000, files: node.#files() });
    node.#gpus = await node.#startGpu();
    const power = { waveform: node.#waveform('node'), startNs: node.#startNs };
    node.#bmc = await startBmc({ ...power, layout: options.bmc ?? 'energy' });
    node.#wattmeter = emulateWattmeter({ ...power, channel: WATTMETER_CHANNEL });
    options.addon.emulation.add(node.#hardware());
    return node;
  }

  /** Ends what drives it. The addon's hardware stays until it is cleared. */
  async stop(): Promise<void> {
    await this.#driver.stop();
    await this.#bmc.close();
  }

  /** A sampler of some of the node's meters, in order of preference. */
  sampler(
    meters: readonly NodeMeter[],
    options: Omit<Partial<SamplerOptions>, 'meters'> & { readonly processor?: Processor } = {},
  ): Sampler {
    const { processor = 'intel', ...given } = options;
    const procfs = join(this.#options.root, `proc-${processor}`);
    const list = meters.map((kind) => this.#meter(kind));
    return new Sampler({ cpuSlots: 1, ...given, sysfs: this.sysfs, procfs, meters: list }, this.#options.addon);
  }

  /** Microjoules that a domain really used between two instants of CLOCK_MONOTONIC (ns), whatever its meters show. */
  truthUj(domain: string, fromMonoNs: number, toMonoNs: number): number {
    return this.#waveformsOf(domain).reduce(
      (sum, waveform) =>
        sum + energyUj(waveform, toMonoNs - this.#startNs) - energyUj(waveform, fromMonoNs - this.#startNs),
      0,
    );
  }

  /** The most that a domain ever draws. */
  peakWatts(domain: string): number {
    return this.#waveformsOf(domain).reduce((sum, waveform) => sum + peakWatts(waveform), 0);
  }

  /** Resolves when the fault has begun; `none` heals it. Without a domain: the meter's whole interface. */
  async fault(meter: NodeMeter, fault: NodeFault, domain?: string): Promise<void> {
    const { emulation } = this.#options.addon;
    switch (meter) {
      case 'rapl-perf':
      case 'rapl-msr':
      case 'ipmi': {
        const name = this.#name(meter, domain);
        if (!emulation.fault(name, fault as HardwareFault)) throw new Error(`${name} has no fault ${fault}`);
        return;
      }
      case 'wattmeter':
        throw new Error('the wattmeter has no faults');
      case 'redfish':
        this.#bmc.fault(fault as BmcFault);
        return;
      case 'nvml':
        this.#gpus.fault(this.#uuid, fault as NvmlFault);
        return;
      case 'rapl-powercap':
      case 'amd-energy':
      case 'pm-counters': {
        const wanted = this.#name(meter, domain);
        const names = this.#files().map(({ name }) => name);
        const matching = names.filter(
          (name) => name === wanted || (domain === undefined && name.startsWith(`${wanted}/`)),
        );
        if (matching.length === 0) throw new Error(`${wanted} has no file`);
        for (const name of matching) await this.#driver.fault(name, fault as FileFault);
      }
    }
  }

  /** CPUs are numbered from 0, package by package. */
  unplug(cpu: number, away: boolean): void {
    if (away) this.#away.add(cpu);
    else this.#away.delete(cpu);
    this.#options.addon.emulation.unplug(this.#cpu(cpu), away);
    this.#writeOnline();
  }

  #meter(kind: NodeMeter): MeterOptions {
    switch (kind) {
      case 'ipmi':
        return { kind, device: this.#device };
      case 'nvml':
        return { kind, library: this.#gpus.library };
      case 'redfish':
        return { kind, url: this.#bmc.url, credentialsFile: join(this.#options.root, 'bmc'), insecure: true };
      case 'wattmeter': {
        const from = { command: this.#wattmeter.command };
        return { kind, format: 'omegawatt', from, channels: [WATTMETER_CHANNEL] };
      }
      case 'rapl-perf':
      case 'rapl-powercap':
      case 'rapl-msr':
      case 'amd-energy':
      case 'pm-counters':
        return { kind };
    }
  }

  get #uuid(): string {
    return `GPU-00000000-0000-0000-0000-${String(this.#number).padStart(12, '0')}`;
  }

  get #device(): string {
    return `/dev/ipmi${this.#number}`;
  }

  #name(meter: string, domain?: string): string {
    const interfaceName = `node ${this.#number} ${meter}`;
    return domain === undefined ? interfaceName : `${interfaceName}/${domain}`;
  }

  #cpu(cpu: number): number {
    return this.#number * CPUS_PER_NODE + cpu;
  }

  /** The node's own numbers of a package's CPUs. */
  #cpusOf(socket: number): number[] {
    return Array.from({ length: CORES }, (_, core) => socket * CORES + core);
  }

  /** `package` and `dram`, as Cray shows them, are those of all sockets. */
  #waveformsOf(domain: string): Waveform[] {
    const waveform = this.#waveforms[domain.startsWith('gpu-') ? GPU : domain];
    if (waveform !== undefined) return [waveform];
    const parts = Object.keys(this.#waveforms).filter((name) =>
      domain === 'package' ? /^package-\d+$/.test(name) : domain === 'dram' && name.endsWith('/dram'),
    );
    if (parts.length === 0) throw new Error(`the node has no domain ${domain}`);
    return parts.flatMap((name) => this.#waveformsOf(name));
  }

  #waveform(domain: string): Waveform {
    const [waveform] = this.#waveformsOf(domain);
    if (waveform === undefined) throw new Error(`the node has no domain ${domain}`);
    return waveform;
  }

  async #startGpu(): Promise<NvmlEmulator> {
    const folder = join(this.#options.root, 'nvml');
    mkdirSync(folder);
    const gpus = [{ uuid: this.#uuid, waveform: this.#waveform(GPU) }];
    return startNvmlEmulator({ folder, gpus, startNs: this.#startNs });
  }

  #writeConstants(): void {
    const file = (path: string, text: string | number): void => {
      const whole = join(this.#options.root, path);
      mkdirSync(join(whole, '..'), { recursive: true });
      writeFileSync(whole, `${text}\n`);
    };
    for (const processor of ['intel', 'amd'] as const)
      file(`proc-${processor}/cpuinfo`, `processor\t: 0\n${CPUINFO[processor]}`);
    const perf = 'sys/bus/event_source/devices/power';
    file(`${perf}/type`, PERF_TYPE + this.#number);
    for (const [name, config] of Object.entries(EVENTS)) {
      file(`${perf}/events/${name}`, `event=0x0${config}`);
      file(`${perf}/events/${name}.scale`, '2.3283064365386962890625e-10');
      file(`${perf}/events/${name}.unit`, 'Joules');
    }
    for (let socket = 0; socket < this.packages; socket++) {
      const cpus = this.#cpusOf(socket).map((cpu) => this.#cpu(cpu));
      file(`sys/devices/system/node/node${socket}/cpulist`, cpus.join(','));
      cpus.forEach((cpu, core) => {
        const topology = `sys/devices/system/cpu/cpu${cpu}/topology`;
        file(`${topology}/physical_package_id`, socket);
        file(`${topology}/die_id`, 0);
        file(`${topology}/core_id`, core);
      });
    }
    writeFileSync(join(this.#options.root, 'bmc'), 'root:calvin\n', { mode: 0o600 });
    mkdirSync(join(this.sysfs, 'devices', 'system', 'cpu'), { recursive: true });
    this.#writeOnline();
  }

  #writeOnline(): void {
    const online = (socket: number): number[] =>
      this.#cpusOf(socket)
        .filter((cpu) => !this.#away.has(cpu))
        .map((cpu) => this.#cpu(cpu));
    const sockets = Array.from({ length: this.packages }, (_, socket) => online(socket));
    writeFileSync(join(this.sysfs, 'devices/system/cpu/online'), `${sockets.flat().join(',')}\n`);
    // The kernel reads each package through its first CPU that is there.
    const mask = sockets.flatMap((cpus) => cpus.slice(0, 1));
    writeFileSync(join(this.sysfs, 'bus/event_source/devices/power/cpumask'), `${mask.join(',')}\n`);
  }

  #files(): DrivenFile[] {
    const { joulesToWrap } = this.#options;
    const sockets = Array.from({ length: this.packages }, (_, socket) => `package-${socket}`);
    const zone = (name: string, kind: 'package' | 'core' | 'dram' | 'psys') => {
      const rangeUj = kind === 'dram' ? FINE_RANGE_UJ : RANGE_UJ;
      const initialUj = joulesToWrap === undefined ? 0 : rangeUj - joulesToWrap * 1e6;
      return { name, kind, waveform: this.#waveform(name), rangeUj, initialUj };
    };
    const zones = [
      zone('psys', 'psys'),
      ...sockets.flatMap((name) => [zone(name, 'package'), zone(`${name}/core`, 'core'), zone(`${name}/dram`, 'dram')]),
    ];
    const files = powercapFiles(this.sysfs, zones).map((file) => ({
      ...file,
      name: this.#name('rapl-powercap', file.name),
    }));

    const hwmon = join(this.sysfs, 'class', 'hwmon', 'hwmon0');
    const cores = sockets.flatMap((name, socket) =>
      this.#cpusOf(socket).map((cpu, core) => ({
        domain: `${name}/core-${core}`,
        label: `Ecore${String(this.#cpu(cpu)).padStart(3, '0')}`,
      })),
    );
    const sensors = [...cores, ...sockets.map((domain, socket) => ({ domain, label: `Esocket${socket}` }))];
    sensors.forEach(({ domain, label }, i) => {
      files.push({
        kind: 'counter',
        name: this.#name('amd-energy', domain),
        path: join(hwmon, `energy${i + 1}_input`),
        waveform: this.#waveform(domain),
        initialUj: 0,
        constants: { name: 'amd_energy', [`energy${i + 1}_label`]: label },
      });
    });

    files.push({
      kind: 'pm-counters',
      name: this.#name('pm-counters'),
      path: join(this.sysfs, 'cray', 'pm_counters'),
      energies: {
        energy: this.#waveformsOf('node'),
        cpu_energy: this.#waveformsOf('package'),
        memory_energy: this.#waveformsOf('dram'),
        accel0_energy: this.#waveformsOf(GPU),
      },
    });
    return files;
  }

  #hardware(): EmulatedHardware {
    const { joulesToWrap = 0 } = this.#options;
    const key = (domain: string): string => `node ${this.#number} ${domain}`;
    const all = Array.from({ length: this.packages }, (_, socket) => this.#cpusOf(socket)).flat();
    const counter = (meter: NodeMeter, domain: string, cpus: readonly number[], exponent: number) => ({
      name: this.#name(meter, domain),
      domain: key(domain),
      cpus: cpus.map((cpu) => this.#cpu(cpu)),
      exponent,
      unitsToWrap: joulesToWrap * 2 ** exponent,
    });
    const type = PERF_TYPE + this.#number;
    const event = (name: keyof typeof EVENTS, domain: string, cpus: readonly number[], exponent = INTEL_EXPONENT) => ({
      ...counter('rapl-perf', domain, cpus, exponent),
      type,
      config: EVENTS[name],
    });
    const register = (address: number, domain: string, cpus: readonly number[], exponent = INTEL_EXPONENT) => ({
      ...counter('rapl-msr', domain, cpus, exponent),
      address,
    });
    const events = [event('energy-psys', 'psys', all)];
    const registers = [register(INTEL.psys, 'psys', all)];
    for (let socket = 0; socket < this.packages; socket++) {
      const cpus = this.#cpusOf(socket);
      const name = `package-${socket}`;
      events.push(
        event('energy-pkg', name, cpus),
        event('energy-cores', `${name}/core`, cpus),
        event('energy-ram', `${name}/dram`, cpus, FINE_EXPONENT),
      );
      registers.push(
        register(INTEL.package, name, cpus),
        register(INTEL.core, `${name}/core`, cpus),
        register(INTEL.dram, `${name}/dram`, cpus, FINE_EXPONENT),
        register(AMD.package, name, cpus, FINE_EXPONENT),
        ...cpus.map((cpu, core) => register(AMD.core, `${name}/core-${core}`, [cpu], FINE_EXPONENT)),
      );
    }
    return {
      startNs: this.#startNs,
      waveforms: Object.fromEntries(Object.entries(this.#waveforms).map(([name, waveform]) => [key(name), waveform])),
      events,
      registers,
      constants: [
        { address: INTEL.unit, cpus: all.map((cpu) => this.#cpu(cpu)), value: unitRegister(INTEL_EXPONENT) },
        { address: AMD.unit, cpus: all.map((cpu) => this.#cpu(cpu)), value: unitRegister(FINE_EXPONENT) },
      ],
      controllers: [{ name: this.#name('ipmi'), domain: key('node'), device: this.#device }],
    };
  }
}

/** Each domain's part of the node's power. */
function domainsOf(power: Waveform, packages: number): Record<string, Waveform> {
  const domains: Record<string, Waveform> = {
    node: power,
    psys: scaled(power, SHARES.packages + SHARES.dram),
    [GPU]: scaled(power, SHARES.gpu),
  };
  for (let socket = 0; socket < packages; socket++) {
    const name = `package-${socket}`;
    const share = SHARES.packages / packages;
    domains[name] = scaled(power, share);
    domains[`${name}/core`] = scaled(power, share * CORES_SHARE);
    domains[`${name}/dram`] = scaled(power, SHARES.dram / packages);
    for (let core = 0; core < CORES; core++)
      domains[`${name}/core-${core}`] = scaled(power, (share * CORES_SHARE) / CORES);
  }
  return domains;
}
