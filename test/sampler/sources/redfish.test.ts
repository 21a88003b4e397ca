/** The Redfish source against an emulated BMC that speaks HTTP, and lies. */
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { monotonicNs, type RedfishOptions } from '../../../src/sampler/sources/index.js';
import { redfishSource } from '../../../src/sampler/sources/redfish.js';
import {
  selfSigned,
  startBmc,
  type Bmc,
  type BmcFault,
  type BmcLayout,
  type BmcOptions,
} from '../../hardware/redfish-bmc.js';
import { afterTest, Run, temporaryFolder, until } from './support.js';

const CONSTANT = { shape: 'constant', watts: 420 } as const;
const PASSWORD = 'S3cret-calvin';

async function bmcWith(options: Partial<BmcOptions> & { readonly layout: BmcLayout }): Promise<Bmc> {
  const bmc = await startBmc({ waveform: CONSTANT, user: 'root', password: PASSWORD, ...options });
  afterTest(() => bmc.close());
  return bmc;
}

function credentials(text = `root:${PASSWORD}\n`, mode = 0o600): string {
  const path = join(temporaryFolder(), 'bmc');
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function run(bmc: Bmc, options: Partial<RedfishOptions> = {}, lockoutMs = 60_000): Run {
  const access = { url: bmc.url, credentialsFile: credentials(), insecure: true };
  return new Run(redfishSource({ kind: 'redfish', ...access, periodMs: 50, timeoutMs: 2000, ...options }, lockoutMs));
}

describe('finds the power in', () => {
  test.each<BmcLayout>(['idrac', 'idrac-link', 'environment', 'sensor', 'supplies', 'gpu-server'])(
    '%s',
    async (layout) => {
      const reading = run(await bmcWith({ layout }));
      await reading.count(3);
      for (const { unit, value } of reading.readings) {
        expect(unit).toBe('watts');
        expect(value).toBeCloseTo(420, 0);
      }
      expect(reading.problem).toBeNull();
    },
  );

  test('a named chassis', async () => {
    const reading = run(await bmcWith({ layout: 'gpu-server' }), { chassis: 'GPU_2' });
    await reading.count(1);
    expect(reading.readings[0]?.value).toBe(700);
  });
});

test('energy in joules is counted from the first reading, and agrees with the truth', async () => {
  const waveform = { shape: 'square', lowWatts: 200, highWatts: 800, periodS: 0.3 } as const;
  const bmc = await bmcWith({ layout: 'energy', waveform });
  const reading = run(bmc);
  await reading.count(20);
  expect(reading.readings[0]).toMatchObject({ unit: 'joules', value: 0 });
  const counted = reading.readings.at(-1)?.value ?? 0;
  expect(counted).toBeGreaterThan(0);
  // Each value was read at some time within its own request, which took less than the longest time between two.
  const apartNs = reading.readings.slice(1).map(({ monoNs }, index) => monoNs - (reading.readings[index]?.monoNs ?? 0));
  const off = Math.abs(counted - bmc.truthJ(reading.firstNs, reading.lastNs));
  expect(off).toBeLessThan((800 * 2 * Math.max(...apartNs)) / 1e9);
});

test('kWh are used where there is nothing better, and a value that stands still is not reported', async () => {
  const bmc = await bmcWith({ layout: 'kwh' });
  const reading = run(bmc);
  await reading.count(4);
  const values = reading.readings.map(({ value }) => value);
  expect(reading.readings.every(({ unit }) => unit === 'joules')).toBe(true);
  // Steps of 1e-5 kWh, which is 36 J.
  expect(values.every((value) => Math.abs(value / 36 - Math.round(value / 36)) < 1e-3)).toBe(true);
  expect(new Set(values).size).toBe(values.length);
});

test('the time of a reading lies between question and answer', async () => {
  const bmc = await bmcWith({ layout: 'environment' });
  const beforeNs = monotonicNs();
  const reading = run(bmc);
  await reading.count(5);
  const times = reading.readings.map(({ monoNs }) => monoNs);
  expect(times[0]).toBeGreaterThan(beforeNs);
  expect(times.at(-1)).toBeLessThan(monotonicNs());
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

test('two chassis that show power are not guessed between', async () => {
  const reading = run(await bmcWith({ layout: 'twins' }));
  expect(await reading.trouble(/several/)).toMatch(/\(1, 2\): name the node's own/);
  expect(reading.readings).toEqual([]);
});

test('a chassis that is not there is told with those that are', async () => {
  const reading = run(await bmcWith({ layout: 'idrac' }), { chassis: 'Blade7' });
  expect(await reading.trouble(/no chassis/)).toContain('Enclosure.Internal.0-1, System.Embedded.1');
});

test('redirects within the service are followed', async () => {
  const reading = run(await bmcWith({ layout: 'environment', redirects: true }));
  await reading.count(2);
});

describe('a BMC in trouble', () => {
  test.each<[BmcFault, RegExp]>([
    ['error', /status 503/],
    ['truncated', /cannot be asked/],
    ['not-json', /not JSON/],
    ['wrong-types', /no power above 0|no watts/],
    ['huge', /more than max_watts|no power/],
    ['zero', /no power above 0|no watts/],
    ['null', /no power above 0|no watts/],
    ['drop', /cannot be asked/],
    ['redirect-away', /redirects to http:\/\/192\.0\.2\.1\/.*not asked/],
    ['endless', /more than 1048576 bytes/],
  ])('%s is a gap that says why, and ends with it', async (fault, why) => {
    const bmc = await bmcWith({ layout: 'environment' });
    const reading = run(bmc, { periodMs: 20, timeoutMs: 300 });
    await reading.count(2);
    bmc.fault(fault);
    await sleep(100);
    const before = reading.readings.length;
    expect(await reading.trouble(why)).not.toContain(PASSWORD);
    expect(reading.readings.length).toBeLessThanOrEqual(before + 1);
    bmc.fault('none');
    await reading.count(before + 3);
    expect(reading.readings.every(({ value }) => Math.abs(value - 420) < 1)).toBe(true);
    await until('no problem', () => reading.problem === null);
  });

  test('an answer without end is cut off', async () => {
    const bmc = await bmcWith({ layout: 'environment' });
    bmc.fault('endless');
    const reading = run(bmc, { timeoutMs: 10_000 });
    await reading.trouble(/more than 1048576 bytes/);
    // What the kernel's buffers hold is sent, not what the BMC has.
    expect(bmc.endlessBytes).toBeLessThan(50e6);
  });

  test('one that hangs is given up in time, and asked again', async () => {
    const bmc = await bmcWith({ layout: 'environment' });
    bmc.fault('hang');
    const reading = run(bmc, { timeoutMs: 200 });
    await reading.trouble(/no whole answer within 0.2 s/);
    bmc.fault('none');
    await reading.count(2);
  });

  test('one that hangs does not hold up stop()', async () => {
    const bmc = await bmcWith({ layout: 'environment' });
    bmc.fault('hang');
    const reading = run(bmc, { timeoutMs: 60_000 });
    await until('a request', () => bmc.requests.length > 0);
    const begun = Date.now();
    await reading.stop();
    expect(Date.now() - begun).toBeLessThan(5000);
    const asked = bmc.requests.length;
    await sleep(300);
    expect(bmc.requests.length).toBe(asked);
  });

  test('a sensor whose time stands still is stale; a repeated value alone is not', async () => {
    const bmc = await bmcWith({ layout: 'sensor' });
    const reading = run(bmc, { timeoutMs: 300 });
    await reading.count(3);
    bmc.fault('stuck');
    expect(await reading.trouble(/sensor has not been read since 20/)).not.toBe('');
    const before = reading.readings.length;
    await sleep(300);
    expect(reading.readings.length).toBe(before);
    bmc.fault('none');
    await reading.count(before + 3);
  });
});

describe('the password', () => {
  test('is not tried again soon where it is refused', async () => {
    const bmc = await bmcWith({ layout: 'environment' });
    const path = credentials('root:wrong\n');
    const reading = run(bmc, { credentialsFile: path });
    const problem = await reading.trouble(/refuses the user and password/);
    expect(problem).toContain(path);
    expect(problem).not.toMatch(/wrong|root/);
    await sleep(1000);
    expect(bmc.requests).toHaveLength(1);
  });

  test('is read again from its file before the next try', async () => {
    const bmc = await bmcWith({ layout: 'environment' });
    const path = credentials('root:wrong\n');
    const reading = run(bmc, { credentialsFile: path }, 300);
    await reading.trouble(/refuses/);
    writeFileSync(path, `root\n${PASSWORD}\n`);
    await reading.count(2);
    expect(bmc.requests.filter(({ authorization }) => authorization?.endsWith('d3Jvbmc=')).length).toBeLessThan(100);
  });

  test.each([
    ['open to others', `root:${PASSWORD}`, 0o640, /mode 0640\): run chmod 600/],
    ['empty', '', 0o600, /expected user:password/],
    ['without a colon', PASSWORD, 0o600, /expected user:password/],
    ['of three lines', `root\n${PASSWORD}\nmore\n`, 0o600, /expected user:password/],
    ['too large', 'x'.repeat(5000), 0o600, /at most 4096 bytes/],
  ])('in a file %s is not used', async (_what, text, mode, why) => {
    const bmc = await bmcWith({ layout: 'environment' });
    const path = credentials(text, mode);
    const reading = run(bmc, { credentialsFile: path });
    const problem = await reading.trouble(why);
    expect(problem).toContain(path);
    expect(problem).not.toContain(PASSWORD);
    expect(bmc.requests).toEqual([]);
  });

  test('is not sent in the clear unless that is asked for', async () => {
    const bmc = await bmcWith({ layout: 'environment' });
    const reading = run(bmc, { insecure: false });
    await reading.trouble(/in the clear/);
    expect(bmc.requests).toEqual([]);
  });
});

const openssl = spawnSync('openssl', ['version']).status === 0;

describe('TLS', () => {
  (openssl ? test : test.skip)(
    'takes a self-signed certificate only where it is named or where that is asked for',
    async () => {
      const tls = selfSigned();
      const bmc = await bmcWith({ layout: 'idrac', tls });
      const ca = join(temporaryFolder(), 'ca.pem');
      writeFileSync(ca, tls.cert);

      const strict = run(bmc, { insecure: false });
      expect(await strict.trouble(/cannot be asked/)).toMatch(/SELF_SIGNED.*ca_file/);
      await strict.stop();
      expect(bmc.requests).toEqual([]);

      const named = run(bmc, { insecure: false, caFile: ca });
      await named.count(2);
      const careless = run(bmc, { insecure: true });
      await careless.count(2);
    },
  );
});
