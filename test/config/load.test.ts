import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConfigError, loadConfig, parseConfig, redact } from '../../src/config/index.js';
import { WattleError } from '../../src/contract/index.js';

const CLUSTER = '[cluster]\nname = "hpc1"\n';

/** The error that a text gives; fails where it gives none. */
function refusal(text: string): ConfigError {
  try {
    parseConfig(text, 'wattle.toml');
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was taken');
}

/** Its only problem as `line: message -> remedy`. */
function onlyProblem(text: string): string {
  const { problems } = refusal(text);
  expect(problems).toHaveLength(1);
  const [problem] = problems;
  return `${problem?.position?.line ?? '?'}: ${problem?.keyPath.join('.') ?? ''}: ${problem?.message ?? ''} -> ${problem?.remedy ?? ''}`;
}

describe('a configuration that is right', () => {
  test('needs the name of the cluster only', () => {
    const config = parseConfig(CLUSTER, 'wattle.toml');
    expect(config.cluster).toEqual({
      name: 'hpc1',
      controller: { kind: 'unix', path: '/run/wattle-controller/api.sock' },
    });
    expect(config.agent.reportIntervalMs).toBe(10_000);
    expect(config.agent.spoolMaxBytes).toBe(1024 ** 3);
    expect(config.ledger.intervalMs).toBe(300_000);
    expect(config.database).toEqual({ path: '/var/lib/wattle/ledger' });
    expect(config.sampler.model).toBeUndefined();
    expect(config.carbon).toEqual({ pue: 1, partitions: {}, nodes: {} });
  });

  test('has its units turned into those of the names', () => {
    const config = parseConfig(
      `${CLUSTER}controller = "http://[::1]:6822"
[agent]
report_interval = "2s"
spool_max = "64MiB"
metrics_listen = "127.0.0.1:9822"
[sampler.model]
idle_watts = 60
watts_per_core = 9.5
cpu_time = "slurm"
[ledger]
interval = "15min"
[controller]
listen = ["unix:/run/w.sock", "0.0.0.0:6822"]
[carbon.nodes."n[1-2]"]
zone = "DE"
`,
      'wattle.toml',
    );
    expect(config.cluster.controller).toEqual({ kind: 'tcp', host: '::1', port: 6822 });
    expect(config.agent).toMatchObject({
      reportIntervalMs: 2000,
      spoolMaxBytes: 64 * 1024 ** 2,
      metricsListen: { kind: 'tcp', host: '127.0.0.1', port: 9822 },
    });
    expect(config.sampler.model).toEqual({ idleWatts: 60, wattsPerCore: 9.5, gpuWatts: 0, cpuTime: 'slurm' });
    expect(config.ledger.intervalMs).toBe(900_000);
    expect(config.controller.listen).toHaveLength(2);
    expect(config.carbon.nodes).toEqual({ 'n[1-2]': { zone: 'DE' } });
    expect(config.source.positionOf(['carbon', 'nodes', 'n[1-2]', 'zone'])).toEqual({ line: 17, column: 1 });
  });

  test('is frozen all through', () => {
    const config = parseConfig(CLUSTER, 'wattle.toml');
    expect(() => {
      (config.agent as { node: string }).node = 'other';
    }).toThrow(TypeError);
    expect(() => (config.controller.operators as string[]).push('eve')).toThrow(TypeError);
  });
});

describe('what is wrong is named with line, expectation and remedy', () => {
  test.each([
    [
      'unknown key',
      `${CLUSTER}[agent]\nreport_intervall = "10s"\n`,
      /^4: agent\.report_intervall: unknown key.* report_interval -> Write report_interval/,
    ],
    ['unknown table', `${CLUSTER}[sampel]\n`, /^3: sampel: unknown key.* sampler/],
    [
      'key of another table',
      `${CLUSTER}[agent]\nrate_hz = 5\n`,
      /^4: agent\.rate_hz: .*sampler\.rate_hz -> Move it into the table \[sampler\]/,
    ],
    ['key that the schema library passes over', `${CLUSTER}[agent]\nconstructor = 1\n`, /^3: agent: .*constructor/],
    ['missing key', '[cluster]\n', /^1: cluster\.name: .*found no such key -> .*name = "hpc1"/],
    ['unit with a space', `${CLUSTER}[agent]\nreport_interval = "10 m"\n`, /^4: .*found "10 m" -> Write "10min"/],
    ['unit of another language', `${CLUSTER}[agent]\nreport_interval = "10sek"\n`, /found "10sek" -> Write "10s"/],
    ['no unit', `${CLUSTER}[agent]\nreport_interval = "10"\n`, /found "10" -> Write "10s"/],
    ['number for a duration', `${CLUSTER}[agent]\nreport_interval = 10\n`, /expected a duration .*found 10 -> Write/],
    ['decimal size', `${CLUSTER}[agent]\nspool_max = "64MB"\n`, /found "64MB" -> Write "64MiB"/],
    ['size too small', `${CLUSTER}[agent]\nspool_max = "1KiB"\n`, /expected a size of at least "1MiB", found "1KiB"/],
    [
      'interval that does not divide an hour',
      `${CLUSTER}[ledger]\ninterval = "7min"\n`,
      /divides an hour, found "7min" -> .*"5min"/,
    ],
    ['port', `${CLUSTER}[agent]\nmetrics_listen = "localhost:70000"\n`, /port 1 to 65535.*found "localhost:70000"/],
    [
      'URL',
      `${CLUSTER}controller = "tcp://x:1"\n`,
      /^3: cluster\.controller: expected "unix:\/path".*found "tcp:\/\/x:1"/,
    ],
    ['socket path too long', `${CLUSTER}controller = "unix:/${'x'.repeat(107)}"\n`, /at most 107 bytes/],
    ['relative path', `${CLUSTER}[agent]\nevent_dir = "spool"\n`, /expected an absolute path, found "spool"/],
    [
      'zone of a wrong type',
      `${CLUSTER}[carbon]\nzone = 33\n`,
      /^4: carbon\.zone: expected an electricity zone.*found 33/,
    ],
    ['PUE below 1', `${CLUSTER}[carbon]\npue = 0.9\n`, /expected a power usage effectiveness.*found 0\.9/],
    ['word', `${CLUSTER}[log]\nformat = "jsn"\n`, /expected one of "text", "json", found "jsn" -> .*"json"/],
    [
      'element of a list',
      `${CLUSTER}[sampler]\nmeters = [\n  "model",\n  "rapl-powrcap",\n]\n`,
      /^6: sampler\.meters\.1: .*-> .*"rapl-powercap"/,
    ],
    ['empty list', `${CLUSTER}[controller]\nlisten = []\n`, /expected a list of addresses, found an empty list/],
    [
      'most watts of 0, with which every reading would be dropped',
      `${CLUSTER}[sampler.redfish]\nurl = "https://b"\ncredentials_file = "/b"\nmax_watts = 0\n`,
      /^6: .*from 1 to 100000, found 0/,
    ],
    [
      'tab of two characters',
      `${CLUSTER}[sampler.wattmeter]\nformat = "csv"\nfrom = "/m"\nchannels = [1]\nseparator = "\\\\t"\n`,
      /^7: .*expected one character.* -> Write "\\t", in double quotes/,
    ],
    [
      'path of a password',
      `${CLUSTER}[sampler.redfish]\nurl = "https://b"\ncredentials_file = "bmc"\n`,
      /-> Write for example "\/etc\/wattle\/bmc"/,
    ],
    ['rate that a meter does not take', `${CLUSTER}[sampler.rates]\nipmi = 50\n`, /^4: .*from 0\.1 to 10, found 50/],
    ['rate too low for a counter', `${CLUSTER}[sampler.rates]\nrapl-perf = 0.5\n`, /^4: .*from 1 to 10000, found 0\.5/],
    [
      'meter that is named twice',
      `${CLUSTER}[sampler]\nmeters = [\n  "nvml",\n  "model",\n  "nvml",\n]\n`,
      /^7: sampler\.meters\.2: expected each meter once, found "nvml" again -> /,
    ],
    [
      'meter that is not declared',
      `${CLUSTER}[sampler]\nmeters = ["nvml", "redfish"]\n[sampler.wattmeter]\nformat = "csv"\nfrom = "/m"\nchannels = [1]\n`,
      /^4: sampler\.meters\.1: expected a table \[sampler\.redfish\].*found none -> Write \[sampler\.redfish\] with url/,
    ],
    [
      'serial meter that is not declared',
      `${CLUSTER}[sampler]\nmeters = ["wattmeter"]\n`,
      /^4: .*\[sampler\.wattmeter\].* with format, from and channels/,
    ],
    ['table where text belongs', `${CLUSTER}[log.level]\n`, /log\.level: expected one of .*found a table/],
    ['text where a table belongs', `log = 1\n${CLUSTER}`, /^1: log: expected a table.*found 1/],
    [
      'inline table',
      `${CLUSTER}[carbon]\npartitions.a = { zone = "FR", pu = 1.2 }\n`,
      /^4: carbon\.partitions\.a\.pu: .* pue/,
    ],
  ])('%s', (_, text, expected) => {
    expect(onlyProblem(text)).toMatch(expected);
  });

  test('a syntax error has a line, and shows no line of the file', () => {
    const error = refusal(`${CLUSTER}[database]\nurl = "postgres://u:s3cret@h/db\n`);
    expect(error.message).toMatch(/^wattle\.toml:4:\d+: expected TOML/);
    expect(error.message).not.toContain('s3cret');
  });

  test('all problems come at once, in the order of the file', () => {
    const error = refusal('[cluster]\nnam = "x"\n[agent]\nnode = ""\nfoo = 1\nbar = 2\n[carbon]\npue = "x"\n');
    expect(error.code).toBe('config.invalid');
    expect(error.problems.map(({ position, keyPath }) => `${position?.line ?? 0} ${keyPath.join('.')}`)).toEqual([
      '1 cluster.name',
      '2 cluster.nam',
      '4 agent.node',
      '5 agent.foo',
      '6 agent.bar',
      '8 carbon.pue',
    ]);
    expect(error.message.split('\n')).toHaveLength(6);
  });

  test('a password is in no error and in no listing', () => {
    const error = refusal(`${CLUSTER}[database]\nurl = "mysql://u:s3cret@h/db"\n`);
    expect(error.message + error.remedy).not.toContain('s3cret');
    for (const url of ['postgres://u:s3cret@h/db', 'postgres://h/db?user=u&password=s3cret']) {
      const config = parseConfig(`${CLUSTER}[database]\nurl = "${url}"\n`, 'wattle.toml');
      expect(config.database.url).toBe(url);
      expect(JSON.stringify(redact(config))).not.toContain('s3cret');
    }
  });
});

describe('the file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wattle-config-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function write(name: string, cluster: string): string {
    const path = join(folder, name);
    writeFileSync(path, `[cluster]\nname = "${cluster}"\n`);
    return path;
  }

  test('is that of --config before that of WATTLE_CONFIG', () => {
    const env = { WATTLE_CONFIG: write('env.toml', 'env') };
    expect(loadConfig({ env }).cluster.name).toBe('env');
    expect(loadConfig({ path: write('option.toml', 'option'), env }).cluster.name).toBe('option');
  });

  test('is refused where everyone can write it', () => {
    const path = write('w.toml', 'x');
    chmodSync(path, 0o666);
    expect(() => loadConfig({ path })).toThrow(
      expect.objectContaining({ code: 'config.unsafe', remedy: `Run: chmod o-w ${path}` }),
    );
    chmodSync(path, 0o664);
    expect(loadConfig({ path }).cluster.name).toBe('x');
  });

  test.each(['missing.toml', '.'])('is named where it cannot be read: %s', (name) => {
    expect(() => loadConfig({ path: join(folder, name) })).toThrow(WattleError);
    expect(() => loadConfig({ path: join(folder, name) })).toThrow(folder);
  });
});

describe('meters outside the node', () => {
  const meter = (lines: string): string => `${CLUSTER}[sampler.wattmeter]\n${lines}\n`;

  test('a BMC', () => {
    const text = `${CLUSTER}[sampler.redfish]\nurl = "https://n1-bmc"\ncredentials_file = "/etc/wattle/bmc"\nperiod = "5s"\nhold = "1min"\n`;
    expect(parseConfig(text, 'wattle.toml').sampler.redfish).toEqual({
      url: 'https://n1-bmc',
      credentialsFile: '/etc/wattle/bmc',
      insecure: false,
      periodMs: 5000,
      timeoutMs: 5000,
      maxWatts: 20_000,
      holdMs: 60_000,
    });
  });

  test.each([
    ['["wattmetre-read", "--nb=6"]', { command: ['wattmetre-read', '--nb=6'] }],
    ['"/dev/ttyUSB0"', { file: '/dev/ttyUSB0' }],
    ['"tcp://[::1]:4000"', { tcp: { host: '::1', port: 4000 } }],
    ['"http://box/power.tsv"', { url: 'http://box/power.tsv' }],
  ])('a wattmeter from %s', (written, from) => {
    const config = parseConfig(
      meter(`format = "omegawatt"\nfrom = ${written}\nchannels = [1, "#activepow5"]`),
      'wattle.toml',
    );
    expect(config.sampler.wattmeter).toEqual({
      format: 'omegawatt',
      from,
      channels: [1, '#activepow5'],
      unit: 'watts',
      multiplier: 1,
      separator: ',',
      everyMs: 100,
      pollMs: 10_000,
      maxWatts: 20_000,
    });
  });

  test.each(['[]', '[""]', '"wattmetre-read"', '"tcp://meter"', '"http://user:pass@box"', '7'])(
    'not from %s',
    (written) => {
      const problem = onlyProblem(meter(`format = "csv"\nfrom = ${written}\nchannels = [1]`));
      expect(problem).toContain('sampler.wattmeter.from: expected a program');
    },
  );

  test.each(['[]', '[0]', '[1.5]', '[true]', '1'])('not of channels %s', (written) => {
    const problem = onlyProblem(meter(`format = "csv"\nfrom = "/dev/ttyS0"\nchannels = ${written}`));
    expect(problem).toContain('sampler.wattmeter.channels');
  });

  test.each(['"n1-bmc"', '"https://root:calvin@n1-bmc"', '"https://n1-bmc/redfish/v1"', '"ftp://n1-bmc"'])(
    'not %s',
    (url) => {
      const problem = onlyProblem(`${CLUSTER}[sampler.redfish]\nurl = ${url}\ncredentials_file = "/etc/wattle/bmc"\n`);
      expect(problem).toContain('sampler.redfish.url: expected the address of a BMC');
    },
  );

  test.each([
    [
      '["mosquitto_sub", "-u", "n1", "-P", "hidden1", "--pw=hidden2", "--token", "hidden3", "-t", "rack/n1"]',
      '"mosquitto_sub","-u","***","-P","***","--pw=***","--token","***","-t","rack/n1"',
    ],
    ['["curl", "-sN", "-u", "me:hidden", "https://box/x"]', '"curl","-sN","-u","***","https://box/x"'],
    ['["curl", "--user=me:hidden", "-ume:hidden", "-Phidden"]', '"curl","--user=***","-u***","-P***"'],
    ['["curl", "http://me:hidden@box/x?t=hidden"]', '"curl","http://***@box/x?***"'],
    ['["curl", "-H", "Authorization: Bearer hidden"]', '"curl","-H","Authorization: ***"'],
    ['["env", "MQTT_PASSWORD=hidden", "read", "key"]', '"env","MQTT_PASSWORD=***","read","key"'],
    ['"https://box/power.tsv?token=hidden&ch=1"', '"url":"https://box/power.tsv?***"'],
  ])('a password in %s is not shown', (from, expected) => {
    const text = meter(`format = "csv"\nfrom = ${from}\nchannels = [1]`);
    const shown = JSON.stringify(redact(parseConfig(text, 'wattle.toml')));
    expect(shown).not.toContain('hidden');
    expect(shown).toContain(expected);
  });

  test.each(['"http://u:hidden@h/x"', '"https//u:hidden@h"', '["", "-P", "hidden"]', '["a", "hidden", 1]'])(
    'a password in %s, which is refused, is not shown either',
    (written) => {
      const error = refusal(meter(`format = "csv"\nfrom = ${written}\nchannels = [1]`));
      expect(error.message + error.remedy).not.toContain('hidden');
      const bmc = refusal(`${CLUSTER}[sampler.redfish]\nurl = ${written}\ncredentials_file = "/etc/wattle/bmc"\n`);
      expect(bmc.message + bmc.remedy).not.toContain('hidden');
    },
  );
});
