/** The one domain tree: who wins, what contains what, what is only a second opinion. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DOMAIN_KINDS, type DomainKind } from '../../src/contract/index.js';
import { buildTree, type Offer, type Tree } from '../../src/sampler/index.js';

const KIND_OF_PART: Readonly<Record<string, DomainKind>> = {
  core: 'core',
  uncore: 'uncore',
  dram: 'dram',
  psys: 'psys',
  node: 'node',
};

function domain(name: string, witnessOf = ''): Offer['domains'][number] {
  const part = name.split('/').at(-1) ?? '';
  const kind = KIND_OF_PART[part.replace(/-\d+$/, '')] ?? (name.startsWith('gpu') ? 'gpu' : 'package');
  return { name, kind, quality: 'measured', witnessOf };
}

const offer = (meter: Offer['meter'], ...names: string[]): Offer => ({
  meter,
  domains: names.map((name) => domain(name)),
});

/** `name<parent` of what counts, `name~other` of what is a witness, by meter. */
function drawn({ domains }: Tree): string[] {
  const nameOf = (index: number | null): string => (index === null ? '' : (domains[index]?.name ?? '?'));
  return domains.map(({ name, meter, parent, witnessOf }) =>
    witnessOf === null ? `${meter} ${name}<${nameOf(parent)}` : `${meter} ${name}~${nameOf(witnessOf)}`,
  );
}

const SERVER = ['package-0', 'package-0/dram', 'package-1', 'package-1/dram'];

test('the first meter that gives a kind wins all of it; another may win what the first lacks', () => {
  const tree = buildTree([
    offer('rapl-perf', 'package-0', 'package-1'),
    offer('rapl-powercap', ...SERVER, 'package-0/core'),
  ]);
  expect(drawn(tree)).toEqual([
    'rapl-perf package-0<',
    'rapl-perf package-1<',
    'rapl-powercap package-0/dram<',
    'rapl-powercap package-1/dram<',
    'rapl-powercap package-0/core<package-0',
  ]);
  expect(tree.reasons).toEqual([
    'package: rapl-perf, preferred to rapl-powercap by the order of [sampler] meters',
    'dram: rapl-powercap, the only meter here that gives it',
    'core: rapl-powercap, the only meter here that gives it',
  ]);
});

test('other meters are second opinions only where they are asked for', () => {
  const offers = [offer('rapl-perf', 'package-0'), offer('rapl-msr', 'package-0')];
  expect(drawn(buildTree(offers))).toEqual(['rapl-perf package-0<']);
  expect(drawn(buildTree(offers, { witnesses: 'all' }))).toEqual([
    'rapl-perf package-0<',
    'rapl-msr package-0~package-0',
  ]);
});

test("a meter's own second opinions come with it, and never without it", () => {
  const gpu: Offer = { meter: 'nvml', domains: [domain('gpu-1'), { ...domain('gpu-1/instant'), witnessOf: 'gpu-1' }] };
  expect(drawn(buildTree([gpu]))).toEqual(['nvml gpu-1<', 'nvml gpu-1/instant~gpu-1']);
  expect(drawn(buildTree([offer('pm-counters', 'gpu-accel0'), gpu], { witnesses: 'all' }))).toEqual([
    'pm-counters gpu-accel0<',
  ]);
});

test('what contains what: cores in their package, packages and memory in psys, all in the node', () => {
  const tree = buildTree([
    offer('rapl-powercap', 'psys', 'package-0', 'package-0/core', 'package-0/dram'),
    offer('nvml', 'gpu-1'),
    offer('ipmi', 'node'),
  ]);
  expect(drawn(tree)).toEqual([
    'rapl-powercap psys<node',
    'rapl-powercap package-0<psys',
    'rapl-powercap package-0/core<package-0',
    'rapl-powercap package-0/dram<psys',
    'nvml gpu-1<node',
    'ipmi node<',
  ]);
});

test('with several psys domains none is known to contain a package', () => {
  const tree = buildTree([offer('rapl-powercap', 'psys', 'psys-1', 'package-0')]);
  expect(tree.domains.map(({ parent }) => parent)).toEqual([null, null, null]);
});

test('a socket that only the loser shows is told: its joules are missing', () => {
  const tree = buildTree([offer('rapl-perf', 'package-0'), offer('rapl-powercap', 'package-0', 'package-1')]);
  expect(tree.reasons).toContain('rapl-powercap shows package-1, which rapl-perf does not: its energy is not counted');
  // The whole host under one name is no missing socket.
  const whole = buildTree([offer('rapl-perf', 'package-0'), offer('model', 'package')]);
  expect(whole.reasons.join('\n')).not.toContain('is not counted');
});

test('kinds that are not asked for are not read', () => {
  const tree = buildTree([offer('rapl-powercap', 'package-0', 'package-0/core')], { kinds: ['package'] });
  expect(drawn(tree)).toEqual(['rapl-powercap package-0<']);
});

test('whatever is offered: no kind from two meters, no circle, no witness that counts', () => {
  const meters = ['rapl-perf', 'rapl-powercap', 'rapl-msr', 'nvml', 'pm-counters', 'ipmi'] as const;
  const names = [...SERVER, 'package', 'psys', 'node', 'gpu-1', 'package-0/core', 'package-1/uncore'];
  const offers = fc
    .uniqueArray(fc.record({ meter: fc.constantFrom(...meters), names: fc.uniqueArray(fc.constantFrom(...names)) }), {
      selector: ({ meter }) => meter,
    })
    .map((list) => list.map(({ meter, names: given }) => offer(meter, ...given)));
  fc.assert(
    fc.property(offers, fc.constantFrom('own', 'all'), (given, witnesses) => {
      const { domains } = buildTree(given, { witnesses });
      for (const kind of DOMAIN_KINDS) {
        const counted = domains.filter((one) => one.kind === kind && one.witnessOf === null);
        expect(new Set(counted.map(({ meter }) => meter)).size).toBeLessThanOrEqual(1);
        const offered = given.some((each) => each.domains.some((one) => one.kind === kind));
        expect(counted.length > 0).toBe(offered);
      }
      for (const { parent, witnessOf, kind } of domains) {
        if (witnessOf !== null) {
          expect(parent).toBeNull();
          expect(domains[witnessOf]?.witnessOf).toBeNull();
        }
        let above = parent;
        for (let steps = 0; above !== null; steps++) {
          expect(steps).toBeLessThan(DOMAIN_KINDS.length);
          expect(domains[above]?.kind).not.toBe(kind);
          above = domains[above]?.parent ?? null;
        }
      }
    }),
  );
});
