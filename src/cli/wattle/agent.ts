/** `wattle agent`: runs the agent, or with `--check` tells what it would lack. */
import { checkAgent, type Finding } from '../../agent/index.js';
import { loadConfig, type Config } from '../../config/index.js';
import { EXIT, type ExitCode } from '../../contract/errors.js';
import { probeMeters, type MeterProbe } from '../../sampler/index.js';
import { Munge } from '../../slurm/munge.js';
import { agentOptions, runAgent, samplerOptions } from '../daemons/agent.js';
import { unusedMeters } from './checks.js';
import { exitCodeOf, printFindings, tryTo } from './findings.js';
import { meterFindings } from './meter-findings.js';

export interface DaemonArguments {
  readonly config: string | undefined;
  readonly check: boolean;
}

export async function agent({ config: path, check }: DaemonArguments): Promise<ExitCode> {
  const load = (): Config => loadConfig({ path });
  const config = load();
  if (check) {
    const { findings } = await examineNode(config);
    printFindings(findings);
    return exitCodeOf(findings);
  }
  await runAgent(config, load);
  return EXIT.done;
}

export interface NodeExamination {
  readonly findings: readonly Finding[];
  readonly probes: readonly MeterProbe[];
}

/** What the agent of this node has and lacks. */
export async function examineNode(config: Config): Promise<NodeExamination> {
  let probes: readonly MeterProbe[] = [];
  const sampler = await tryTo('sampler', 'fail', () => {
    probes = probeMeters(samplerOptions(config));
    return 'loaded';
  });
  const munge = new Munge(config.munge);
  const checked = await checkAgent(agentOptions(config), (bytes) => munge.seal(bytes));
  return { probes, findings: [sampler, ...meterFindings(probes), ...unusedMeters(config), ...checked] };
}
