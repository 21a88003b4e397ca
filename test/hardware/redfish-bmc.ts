/**
 * An emulated BMC: a real HTTP server with a Redfish tree, whose power follows a known waveform, so that the truth is
 * known at any instant. It can lie and fail in the ways that BMCs do.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { energyUj, type Waveform } from './waveform.mjs';

/**
 * Where the power is shown. `idrac`: only the old Power, chassis System.Embedded.1; `idrac-link`: the same, with PowerControl
 * as a resource of its own; `environment`: EnvironmentMetrics; `sensor`: EnvironmentMetrics with a link to its sensor;
 * `energy`: EnvironmentMetrics with EnergyJoules; `kwh`: only EnergykWh; `supplies`: two power supplies, and an empty slot;
 * `gpu-server`: several chassis of which one has a computer; `twins`: two chassis that both show power.
 */
export type BmcLayout =
  'idrac' | 'idrac-link' | 'environment' | 'sensor' | 'energy' | 'kwh' | 'supplies' | 'gpu-server' | 'twins';

export type BmcFault =
  | 'none'
  | 'unauthorized'
  | 'error'
  | 'hang'
  | 'truncated'
  | 'endless'
  | 'redirect-away'
  | 'wrong-types'
  | 'huge'
  | 'zero'
  | 'null'
  | 'not-json'
  | 'drop'
  /** Values and times stand still. */
  | 'stuck';

export interface BmcOptions {
  readonly layout: BmcLayout;
  readonly waveform: Waveform;
  /** CLOCK_MONOTONIC at which the waveform begins, ns. Default: a while ago. */
  readonly startNs?: number;
  readonly user?: string;
  readonly password?: string;
  /** With a certificate of its own making. Default: plain HTTP. */
  readonly tls?: SelfSigned;
  /** Answers each first request with a redirect to the same path with a slash, as some do. */
  readonly redirects?: boolean;
}

export interface Bmc {
  readonly url: string;
  /** Path and authorization of every request. */
  readonly requests: readonly { readonly path: string; readonly authorization: string | undefined }[];
  /** Bytes that the last endless answer has sent before it was cut off. */
  readonly endlessBytes: number;
  fault(fault: BmcFault): void;
  /** Joules really used between two instants of CLOCK_MONOTONIC (ns). */
  truthJ(fromMonoNs: number, toMonoNs: number): number;
  close(): Promise<void>;
}

export interface SelfSigned {
  readonly key: string;
  readonly cert: string;
}

/** A certificate for 127.0.0.1, made now. */
export function selfSigned(): SelfSigned {
  const folder = mkdtempSync(join(tmpdir(), 'wattle-cert-'));
  try {
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const names = ['-subj', '/CN=bmc.test', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
    execFileSync('openssl', ['req', '-x509', ...key, '-out', certFile, '-days', '2', ...names], { stdio: 'ignore' });
    return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export async function startBmc(options: BmcOptions): Promise<Bmc> {
  const bmc = new EmulatedBmc(options);
  await bmc.listen();
  return bmc;
}

const nowNs = (): number => Number(process.hrtime.bigint());
/** Power that a BMC shows is that of the last moments. */
const SENSED_NS = 50e6;
const AWAY = 'http://192.0.2.1';

class EmulatedBmc implements Bmc {
  readonly requests: { path: string; authorization: string | undefined }[] = [];
  endlessBytes = 0;
  readonly #options: BmcOptions;
  readonly #startNs: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #redirected = new Set<string>();
  #fault: BmcFault = 'none';
  #stuckNs = 0;
  #stuckTime = '';

  constructor(options: BmcOptions) {
    this.#options = options;
    this.#startNs = options.startNs ?? nowNs() - 10e9;
    const handle: RequestListener = (request, response) => {
      this.#answer(request, response);
    };
    this.#server = options.tls === undefined ? createServer(handle) : createTlsServer(options.tls, handle);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    });
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `${this.#options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  fault(fault: BmcFault): void {
    this.#fault = fault;
    this.#stuckNs = nowNs();
    this.#stuckTime = new Date().toISOString();
  }

  truthJ(fromMonoNs: number, toMonoNs: number): number {
    return this.#joules(toMonoNs) - this.#joules(fromMonoNs);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').replace(/\/$/, '');
    const { authorization } = request.headers;
    this.requests.push({ path, authorization });
    const { user = 'root', password = 'calvin' } = this.#options;
    const right = authorization === `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    if (!right || this.#fault === 'unauthorized') return void response.writeHead(401).end('{"error":{}}');
    if (this.#fail(request, response)) return;
    if (this.#options.redirects === true && !this.#redirected.has(path)) {
      this.#redirected.add(path);
      return void response.writeHead(308, { location: `${path}/` }).end();
    }
    const resource = this.#tree()[path];
    if (resource === undefined) return void response.writeHead(404).end('{"error":{}}');
    const text = JSON.stringify(resource);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  }

  #fail(request: IncomingMessage, response: ServerResponse): boolean {
    const failures: Partial<Record<BmcFault, () => unknown>> = {
      error: () => response.writeHead(503).end('busy'),
      hang: () => undefined,
      drop: () => request.socket.destroy(),
      truncated: () => {
        response.writeHead(200, { 'content-length': '1000' }).write('{"Members": [{"@odata');
        setTimeout(() => request.socket.destroy(), 20);
      },
      'not-json': () => response.writeHead(200).end('<html>login</html>'),
      endless: () => {
        this.#endless(response);
      },
      'redirect-away': () => response.writeHead(302, { location: `${AWAY}${request.url ?? ''}` }).end(),
    };
    const fail = failures[this.#fault];
    fail?.();
    return fail !== undefined;
  }

  /** 100 MB, if anyone takes them. */
  #endless(response: ServerResponse): void {
    this.endlessBytes = 0;
    const part = Buffer.alloc(256 * 1024, ' ');
    const more = (): void => {
      while (this.endlessBytes < 100e6 && !response.destroyed) {
        this.endlessBytes += part.length;
        if (!response.write(part)) return void response.once('drain', more);
      }
      response.end();
    };
    response.writeHead(200);
    more();
  }

  #joules(atNs: number): number {
    return energyUj(this.#options.waveform, Math.max(0, atNs - this.#startNs)) / 1e6;
  }

  /** A number as the present fault has it. */
  #shown(value: number): unknown {
    const lies: Partial<Record<BmcFault, unknown>> = { 'wrong-types': String(value), huge: 1e300, zero: 0, null: null };
    return this.#fault in lies ? lies[this.#fault] : value;
  }

  #tree(): Record<string, unknown> {
    const { layout } = this.#options;
    const stuck = this.#fault === 'stuck';
    const atNs = stuck ? this.#stuckNs : nowNs();
    const watts = ((this.#joules(atNs) - this.#joules(atNs - SENSED_NS)) / SENSED_NS) * 1e9;
    const time = stuck ? this.#stuckTime : new Date().toISOString();
    const names = CHASSIS_OF[layout] ?? ['1'];
    const tree: Record<string, unknown> = {
      '/redfish/v1/Chassis': { Members: names.map((name) => link(`/redfish/v1/Chassis/${name}`)) },
    };
    for (const name of names) {
      const base = `/redfish/v1/Chassis/${name}`;
      const isNode = !(layout === 'gpu-server' && name !== 'Node');
      tree[base] = {
        Id: name,
        Links: { ComputerSystems: isNode ? [link('/redfish/v1/Systems/1')] : [] },
        ...Object.fromEntries(LINKS_OF[layout].map((part) => [part, link(`${base}/${part}`)])),
      };
      Object.assign(tree, this.#resources(base, isNode ? watts : 700, this.#joules(atNs) + 1e6, time));
    }
    return tree;
  }

  #resources(base: string, watts: number, joules: number, time: string): Record<string, unknown> {
    const value = this.#shown(watts);
    const sensor = `${base}/Sensors/TotalPower`;
    const environment = (metrics: object): Record<string, unknown> => ({ [`${base}/EnvironmentMetrics`]: metrics });
    switch (this.#options.layout) {
      case 'idrac':
        return { [`${base}/Power`]: { PowerControl: [{ MemberId: 'PowerControl', PowerConsumedWatts: value }] } };
      case 'idrac-link':
        return {
          [`${base}/Power`]: { PowerControl: [link(`${base}/Power/PowerControl`)] },
          [`${base}/Power/PowerControl`]: { PowerConsumedWatts: value },
        };
      case 'environment':
      case 'gpu-server':
      case 'twins':
        return environment({ PowerWatts: { Reading: value } });
      case 'sensor':
        return {
          ...environment({ PowerWatts: { Reading: value, DataSourceUri: sensor } }),
          [sensor]: { ReadingType: 'Power', ReadingUnits: 'W', Reading: value, ReadingTime: time },
        };
      case 'energy':
        return environment({ EnergyJoules: { Reading: this.#shown(joules) }, PowerWatts: { Reading: value } });
      case 'kwh':
        return environment({ EnergykWh: { Reading: this.#shown(Math.floor(joules / 36) / 1e5) } });
      case 'supplies':
        return this.#supplies(base, watts);
    }
  }

  #supplies(base: string, watts: number): Record<string, unknown> {
    const supplies = `${base}/PowerSubsystem/PowerSupplies`;
    const of = (name: string, part: number): [string, unknown][] => [
      [`${supplies}/${name}`, { Status: { State: 'Enabled' }, Metrics: link(`${supplies}/${name}/Metrics`) }],
      [`${supplies}/${name}/Metrics`, { InputPowerWatts: { Reading: this.#shown(watts * part) } }],
    ];
    return {
      [`${base}/PowerSubsystem`]: { PowerSupplies: link(supplies) },
      [supplies]: { Members: ['PSU1', 'PSU2', 'PSU3'].map((name) => link(`${supplies}/${name}`)) },
      ...Object.fromEntries([...of('PSU1', 0.75), ...of('PSU2', 0.25)]),
      [`${supplies}/PSU3`]: { Status: { State: 'Absent' } },
    };
  }
}

const link = (path: string): object => ({ '@odata.id': path });

const CHASSIS_OF: Partial<Record<BmcLayout, readonly string[]>> = {
  idrac: ['Enclosure.Internal.0-1', 'System.Embedded.1'],
  'idrac-link': ['System.Embedded.1'],
  'gpu-server': ['GPU_1', 'GPU_2', 'Node'],
  twins: ['1', '2'],
};

const LINKS_OF: Readonly<Record<BmcLayout, readonly string[]>> = {
  idrac: ['Power'],
  'idrac-link': ['Power'],
  environment: ['EnvironmentMetrics'],
  sensor: ['EnvironmentMetrics'],
  energy: ['EnvironmentMetrics'],
  kwh: ['EnvironmentMetrics'],
  supplies: ['PowerSubsystem', 'EnvironmentMetrics'],
  'gpu-server': ['EnvironmentMetrics'],
  twins: ['EnvironmentMetrics'],
};
