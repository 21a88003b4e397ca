import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { advise } from '../../src/sampler/advice.js';
import { probeMeters } from '../../src/sampler/index.js';

const METER_KINDS = ['rapl-perf', 'rapl-powercap', 'rapl-msr', 'amd-energy', 'nvml', 'pm-counters', 'ipmi'] as const;

let sysfs = '';
beforeEach(() => {
  sysfs = mkdtempSync(join(tmpdir(), 'wattle-probe-'));
});
afterEach(() => {
  rmSync(sysfs, { recursive: true, force: true });
});

function zone(energy: string): void {
  const folder = join(sysfs, 'class', 'powercap', 'intel-rapl:0');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'name'), 'package-0\n');
  writeFileSync(join(folder, 'energy_uj'), energy);
}

test('a bare machine: each meter says what it lacks and what would give it', () => {
  const [counters] = probeMeters({ sysfs, meters: [{ kind: 'rapl-powercap' }] });
  expect(counters).toMatchObject({ kind: 'rapl-powercap', available: false, domains: [] });
  expect(counters?.reason).toContain(join(sysfs, 'class', 'powercap'));
  expect(counters?.remedy).toContain('intel_rapl_msr');
});

test('counters and a declared profile', () => {
  zone('5\n');
  const cpu = { format: 'pushed' } as const;
  const probes = probeMeters({
    sysfs,
    meters: [{ kind: 'rapl-powercap' }, { kind: 'model', idleWatts: 1, wattsPerCore: 1, gpuWatts: 9, cpu }],
  });
  expect(probes.map(({ available, domains }) => [available, domains.map((domain) => domain.name)])).toEqual([
    [true, ['package-0']],
    [true, ['package', 'gpu']],
  ]);
});

test('a counter that gives no number', () => {
  zone('');
  expect(probeMeters({ sysfs, meters: [{ kind: 'rapl-powercap' }] })[0]).toMatchObject({
    available: false,
    reason: expect.stringContaining('energy_uj'),
  });
});

test('a meter that says itself why it gives no reading is believed; else the kernel may know', () => {
  const unreadable = { outcome: 'unreadable', path: '/p', domains: [] } as const;
  expect(advise('amd-energy', { ...unreadable, notes: ['Left out, as it belongs to no CPU: x.'] })).toEqual({
    reason: '/p is there but gives no reading: Left out, as it belongs to no CPU: x',
    remedy: expect.stringContaining('docs/meters/amd-energy.md') as unknown,
  });
  expect(advise('amd-energy', { ...unreadable, notes: [] }).remedy).toContain('dmesg');
});

test('what a process may not read it is told as itself, with where the agent gets the right', () => {
  const remedies = METER_KINDS.map(
    (kind) => advise(kind, { outcome: 'forbidden', path: '/p', domains: [], notes: [] }).remedy,
  );
  for (const remedy of remedies) expect(remedy).toMatch(/^This process needs /);
  const dropIns = remedies.flatMap((remedy) => /systemd\/[\w-]+\.conf/.exec(remedy) ?? []);
  expect(dropIns).toEqual(['systemd/wattle-agent-msr.conf', 'systemd/wattle-agent-ipmi.conf']);
  for (const file of dropIns) expect(existsSync(file)).toBe(true);
});
