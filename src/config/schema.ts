/** The one schema of the configuration file: every key with its meaning, its kind of value and its default. */
import { availableParallelism, hostname } from 'node:os';
import * as v from 'valibot';
import { DEFAULT_CONTROLLER } from './address.js';
import { DEFAULT_METERS, METER_NAMES, METER_RATE_LIMITS, type MeterName } from './types.js';
import {
  bmcUrl,
  column,
  cores,
  databaseUrl,
  duration,
  flag,
  hostList,
  key,
  linesFrom,
  list,
  listenAddress,
  maxWatts,
  meterRateHz,
  multiplier,
  name,
  named,
  path,
  power,
  pue,
  rateHz,
  separator,
  serviceAddress,
  size,
  table,
  tcpAddress,
  user,
  word,
  zone,
} from './values.js';

const { optional } = v;

/** As Slurm names a node by default: the host name up to its first dot. */
const shortHostName = (): string => hostname().split('.', 1)[0] ?? 'localhost';

const place = table({
  zone: key('Electricity zone.', optional(zone())),
  pue: key('Power usage effectiveness.', optional(pue())),
});

const meterRate = (name: MeterName) =>
  key(`Reads per second of ${name}.`, optional(meterRateHz(METER_RATE_LIMITS[name])));
const METER_RATES = Object.fromEntries(METER_NAMES.map((name) => [name, meterRate(name)])) as Record<
  MeterName,
  ReturnType<typeof meterRate>
>;

export const configSchema = table({
  cluster: key(
    'The cluster that this machine belongs to.',
    table({
      name: key("Slurm's ClusterName.", name()),
      controller: key('Where agents and commands find the controller.', optional(serviceAddress(), DEFAULT_CONTROLLER)),
    }),
  ),
  agent: key(
    'The agent, one per compute node.',
    optional(
      table({
        node: key(
          "This node's name in Slurm. Default: the host name up to its first dot.",
          optional(name(), shortHostName),
        ),
        cores: key(
          "Cores of this node as Slurm counts them (CPUs= of its NodeName line). Default: the host's.",
          optional(cores(), () => availableParallelism()),
        ),
        state_dir: key(
          'Directory of the durable spool and of what the agent remembers.',
          optional(path(), '/var/lib/wattle'),
        ),
        event_dir: key(
          'Directory into which prolog and epilog write job events.',
          optional(path('/var/spool/wattle/events'), '/var/spool/wattle/events'),
        ),
        run_dir: key("Directory of the agent's sockets.", optional(path('/run/wattle'), '/run/wattle')),
        report_interval: key(
          'How often ledger rows are sent to the controller.',
          optional(duration({ min: '1s', max: '1h' }), '10s'),
        ),
        discover_interval: key(
          'How often control groups are searched for jobs that no hook has announced.',
          optional(duration({ min: '100ms', max: '5min' }), '5s'),
        ),
        spool_max: key(
          'Size at which the durable spool drops its oldest profile samples.',
          optional(size({ min: '1MiB' }), '1GiB'),
        ),
        metrics_listen: key("Address of the agent's own /metrics. Absent: none.", optional(tcpAddress())),
      }),
      {},
    ),
  ),
  sampler: key(
    'The sampling thread and the meters it reads.',
    optional(
      table({
        rate_hz: key('Ticks per second.', optional(rateHz(), 10)),
        sysfs: key('Root of sysfs.', optional(path('/sys'), '/sys')),
        procfs: key('Root of procfs.', optional(path('/proc'), '/proc')),
        cgroup_root: key('Root of the control groups.', optional(path('/sys/fs/cgroup'), '/sys/fs/cgroup')),
        meters: key(
          'Meters in order of preference; of several that give a kind of domain (package, dram, gpu, node) the first that is there wins it. `rapl-msr`, `ipmi`, `redfish` and `wattmeter` are used only where they are named.',
          optional(list(word(METER_NAMES), 'a list of meter names'), [...DEFAULT_METERS]),
        ),
        rates: key(
          'Reads per second of single meters. Absent: `rate_hz`, or less for a meter that has nothing new that often (nvml and pm-counters 10, ipmi 1). The fastest sets the pace of the ticks.',
          optional(table(METER_RATES), {}),
        ),
        nvml: key(
          'NVIDIA GPUs.',
          optional(
            table({
              library: key(
                "Path of libnvidia-ml.so.1. Absent: where the loader or NVIDIA's driver has it.",
                optional(path('/usr/lib64/libnvidia-ml.so.1')),
              ),
            }),
            {},
          ),
        ),
        ipmi: key(
          "The management controller's power reading.",
          optional(table({ device: key('The IPMI device.', optional(path('/dev/ipmi0'), '/dev/ipmi0')) }), {}),
        ),
        redfish: key(
          "The node's BMC, asked over Redfish by the meter `redfish`; see docs/meters/redfish.md. Absent: not used.",
          optional(
            table({
              url: key('Address of the BMC.', bmcUrl()),
              credentials_file: key(
                'File with `user:password`, or the two on two lines; its owner only may read it.',
                path('/etc/wattle/bmc'),
              ),
              ca_file: key(
                "Certificates of the authority that signed the BMC's. Absent: the system's.",
                optional(path('/etc/wattle/bmc-ca.pem')),
              ),
              insecure: key(
                'Takes any certificate, and plain HTTP: whoever is on the way can read the password.',
                optional(flag(), false),
              ),
              chassis: key(
                "Id of the node's chassis. Absent: `System.Embedded.1`, or the only one with a computer that shows its power.",
                optional(name()),
              ),
              period: key('How often it is asked.', optional(duration({ min: '500ms', max: '1min' }), '2s')),
              timeout: key('How long an answer may take.', optional(duration({ min: '500ms', max: '1min' }), '5s')),
              max_watts: key('More is no power of this node, and is dropped.', optional(maxWatts(), 20_000)),
              hold: key(
                'For how long a reading stands when none follows: what lies between two readings further apart is a gap. Absent: 10 s, at least three periods; 5 min where it counts energy.',
                optional(duration({ min: '1s', max: '24h' })),
              ),
            }),
          ),
        ),
        wattmeter: key(
          'A wattmeter that feeds this node, read by the meter `wattmeter`; see docs/meters/wattmeter.md. Absent: not used.',
          optional(
            table({
              format: key('What its lines look like.', word(['omegawatt', 'omegawatt-tsv', 'csv'])),
              from: key('Where its lines come from.', linesFrom()),
              channels: key(
                "What feeds this node, added up: sockets of an OmegaWatt box; columns of `csv`, by number from 1 or by the header's name.",
                list(column(), 'a list of channels'),
              ),
              unit: key('What the columns of `csv` are.', optional(word(['watts', 'joules', 'kWh']), 'watts')),
              multiplier: key('Times this, they are in that unit.', optional(multiplier(), 1)),
              separator: key('Stands between the columns of `csv`.', optional(separator(), ',')),
              time_column: key(
                "Column of `csv` with the meter's own time. Absent: a line is of the moment in which it arrives.",
                optional(column()),
              ),
              every: key(
                'Readings are averaged over this time.',
                optional(duration({ min: '10ms', max: '10s' }), '100ms'),
              ),
              poll: key('How often a document is fetched.', optional(duration({ min: '1s', max: '10min' }), '10s')),
              max_watts: key('More is no power of this node, and is dropped.', optional(maxWatts(), 20_000)),
              hold: key(
                'For how long a reading stands when none follows: what lies between two readings further apart is a gap. Absent: 10 s; 5 min for `joules` and `kWh`; 15 min for documents whose rows have their time.',
                optional(duration({ min: '1s', max: '24h' })),
              ),
            }),
          ),
        ),
        model: key(
          'Declared power profile of a machine without counters; all that it produces is marked `estimated`. Absent: not used.',
          optional(
            table({
              idle_watts: key('Power of the node with nothing to do.', power()),
              watts_per_core: key('Power that one busy core adds.', power()),
              gpu_watts: key('Power of all GPUs together.', optional(power(), 0)),
              cpu_time: key(
                "Whose CPU time drives the estimate: the whole host's, or only that under this node's own Slurm control group (several slurmd on one host).",
                optional(word(['host', 'slurm']), 'host'),
              ),
            }),
          ),
        ),
      }),
      {},
    ),
  ),
  ledger: key(
    'The rows that every report is made of.',
    optional(
      table({
        interval: key(
          'Length of a ledger interval.',
          optional(duration({ min: '1s', max: '1h', dividesHour: true }), '5min'),
        ),
      }),
      {},
    ),
  ),
  database: key(
    'Where the controller keeps the ledger.',
    optional(
      table({
        url: key('PostgreSQL 14 or newer. Absent: the embedded database.', optional(databaseUrl())),
        path: key('Directory of the embedded database.', optional(path(), '/var/lib/wattle/ledger')),
      }),
      {},
    ),
  ),
  controller: key(
    'The controller, one per cluster.',
    optional(
      table({
        listen: key(
          'Addresses of the HTTP API.',
          optional(list(listenAddress(), 'a list of addresses'), [DEFAULT_CONTROLLER]),
        ),
        agent_users: key('Users whose batches are accepted.', optional(list(user(), 'a list of users'), ['root'])),
        operators: key("Users who see everyone's jobs.", optional(list(user(), 'a list of users'), ['root'])),
        facts_interval: key(
          'How often Slurm is asked for job facts.',
          optional(duration({ min: '1s', max: '1h' }), '30s'),
        ),
      }),
      {},
    ),
  ),
  slurm: key(
    "Slurm's commands.",
    optional(
      table({
        bin_dir: key("Directory of Slurm's commands. Absent: PATH.", optional(path('/usr/bin'))),
        conf: key(
          'slurm.conf, handed to the commands as SLURM_CONF. Absent: their own search.',
          optional(path('/etc/slurm/slurm.conf')),
        ),
        accounting: key(
          'Where job facts come from; `none` leaves what the agents saw.',
          optional(word(['sacct', 'none']), 'sacct'),
        ),
      }),
      {},
    ),
  ),
  munge: key(
    'The cluster-wide authentication service.',
    optional(
      table({
        socket: key("munged's socket. Absent: libmunge's default.", optional(path('/run/munge/munge.socket.2'))),
      }),
      {},
    ),
  ),
  carbon: key(
    'From joules to grams. A node beats its partition, a partition beats the default.',
    optional(
      table({
        zone: key(
          'Electricity zone of the cluster: a country by its ISO 3166 code of two or three letters, or any zone of the table. Absent: energy without grams, unless a partition or node names its own.',
          optional(zone()),
        ),
        pue: key('Power usage effectiveness: what the site draws per watt of its computers.', optional(pue(), 1)),
        partitions: key('By partition name.', optional(named(name(), place), {})),
        nodes: key('By node name or host list.', optional(named(hostList(), place), {})),
      }),
      {},
    ),
  ),
  log: key(
    'What the daemons write to standard error.',
    optional(
      table({
        level: key(
          'Least severity that is written.',
          optional(word(['trace', 'debug', 'info', 'warn', 'error', 'fatal']), 'info'),
        ),
        format: key(
          'One line per message for people, or one JSON object per line.',
          optional(word(['text', 'json']), 'text'),
        ),
      }),
      {},
    ),
  ),
});

export type ConfigFile = v.InferOutput<typeof configSchema>;
