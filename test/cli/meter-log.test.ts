/** What the agent's log tells of its meters. */
import { expect, test } from '@jest/globals';
import { MeterLog } from '../../src/cli/daemons/meter-log.js';
import type { Sampler } from '../../src/sampler/index.js';

function logged(reasons: readonly string[] = []) {
  const lines: string[] = [];
  const note = (level: string) => (fields: object, message: string) => {
    lines.push([level, message, ...Object.values(fields).map(String)].join(' '));
  };
  const meters = { reasons, found: [] as ReturnType<Sampler['problems']>, problems: () => meters.found };
  const log = new MeterLog(
    () => meters,
    () => ({ info: note('info'), warn: note('warn') }),
  );
  return { log, lines, meters };
}

test('each change of what is wrong is told once, and that it is over', () => {
  const { log, lines, meters } = logged();
  const look = (...problems: string[]): string[] => {
    meters.found = problems.map((problem) => ({ meter: 'redfish', problem }));
    log.look();
    return lines.splice(0);
  };
  expect(look()).toEqual([]);
  expect(look('refused (3 so far)')).toEqual(['warn a meter gives no readings redfish refused (3 so far)']);
  expect(look('refused (12 so far)')).toEqual([]);
  expect(look('no such chassis')).toEqual(['warn a meter gives no readings redfish no such chassis']);
  expect(look()).toEqual(['info a meter has no problem any more redfish']);
  expect(look()).toEqual([]);
  expect(look('no such chassis')).toHaveLength(1);
});

test('why the meters are what they are; loudly where energy is nobody’s', () => {
  const { log, lines } = logged(['package: nvml, the only meter', 'ipmi shows node-1: its energy is not counted']);
  log.tellReasons();
  expect(lines).toEqual(['info package: nvml, the only meter', 'warn ipmi shows node-1: its energy is not counted']);
});
