/** Starts Wattle on a running Slurm: an agent per node and one controller, and asks the controller. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { WattleError } from '../../src/contract/index.js';
import { endProcesses, signal, startDaemon, tailOf, type Daemon } from './processes.js';
import type { Programs } from './programs.js';
import type { Slurm } from './slurm.js';
import { until } from './waiting.js';
import { agentConf, controllerConf, controllerSocket, type Tuning } from './wattle-conf.js';

/** GET of the controller's API over its unix socket, as the user who runs this process. */
export function getJson(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, timeout: 10_000 }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        const body = Buffer.concat(parts).toString('utf8');
        if (answer.statusCode === 200) resolve(JSON.parse(body));
        else reject(new Error(`${path}: ${answer.statusCode ?? '?'} ${body.slice(0, 300)}`));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`${path}: no answer`)));
    call.on('error', reject);
    call.end();
  });
}

/** The agents and the controller of a cluster. Each can be killed and started again, which is what tests are for. */
export class WattleDaemons {
  readonly #slurm: Slurm;
  readonly #programs: Programs;
  readonly #agents = new Map<string, Daemon>();
  #controller: Daemon | undefined;

  constructor(slurm: Slurm, programs: Programs, tuning: Tuning) {
    this.#slurm = slurm;
    this.#programs = programs;
    const { site } = slurm;
    const slurmFolder = dirname(programs.system('sacct'));
    mkdirSync(join(site.folder, 'wattle/ledger'), { mode: 0o700 });
    writeFileSync(this.configFile, controllerConf(site, tuning, slurmFolder));
    for (const node of site.nodes) {
      mkdirSync(join(site.folder, 'run', node), { mode: 0o755 });
      mkdirSync(join(site.folder, 'wattle', node), { mode: 0o700 });
      writeFileSync(this.#agentFile(node), agentConf(site, tuning, slurmFolder, node));
    }
  }

  /** Configuration of the controller and of commands that people type. */
  get configFile(): string {
    return join(this.#slurm.site.folder, 'etc/wattle.toml');
  }

  #agentFile(node: string): string {
    return join(this.#slurm.site.folder, 'etc', `agent-${node}.toml`);
  }

  #start(name: string, args: readonly string[]): Daemon {
    const { site, env } = this.#slurm;
    return startDaemon({
      name,
      command: process.execPath,
      args: [this.#programs.wattle, ...args],
      env,
      cwd: site.folder,
      log: join(site.folder, 'log', `${name}.log`),
    });
  }

  /** Returns once the ledger answers. */
  async startController(): Promise<void> {
    const daemon = this.#start('controller', ['controller', '--config', this.configFile]);
    this.#controller = daemon;
    const failed = (why: string): WattleError =>
      new WattleError('demo.start', `the controller ${why}:\n${tailOf(daemon.log)}`, 'The log above tells why.');
    await until(
      async () => {
        const ended = daemon.ended();
        if (ended !== undefined) return ended;
        await this.get('/healthz');
        return 'healthy';
      },
      { withinMs: 60_000, onTimeout: () => failed('does not answer after 60 s') },
    ).then((answer) => {
      if (answer !== 'healthy') throw failed(`ended with ${answer}`);
    });
  }

  startAgent(node: string): void {
    this.#agents.set(node, this.#start(`agent-${node}`, ['agent', '--config', this.#agentFile(node)]));
  }

  /** Throws with its log when an agent has ended. */
  checkAgents(): void {
    for (const daemon of this.#agents.values()) {
      const ended = daemon.ended();
      if (ended !== undefined) {
        const text = `${daemon.name} ended with ${ended}:\n${tailOf(daemon.log)}`;
        throw new WattleError('demo.agent', text, 'The log above tells why.');
      }
    }
  }

  /** Ends an agent as a crash would. Resolves once it is gone. */
  async killAgent(node: string): Promise<void> {
    const daemon = this.#agents.get(node);
    if (daemon === undefined) throw new RangeError(`no agent on ${node}`);
    signal(daemon.pid, 'SIGKILL');
    await until(() => daemon.ended(), { withinMs: 5_000, onTimeout: () => new Error(`${daemon.name} will not die`) });
    this.#agents.delete(node);
  }

  /** Ends the controller as `systemctl stop` would. */
  async stopController(): Promise<void> {
    if (this.#controller !== undefined) await endProcesses([this.#controller.pid], 8_000);
    this.#controller = undefined;
  }

  get(path: string): Promise<unknown> {
    return getJson(controllerSocket(this.#slurm.site.folder), path);
  }

  /** Agents first: what they have not sent yet they send while the controller still listens. */
  async stop(): Promise<void> {
    await endProcesses(
      [...this.#agents.values()].map((daemon) => daemon.pid),
      8_000,
    );
    await this.stopController();
  }
}
