/** What `wattle doctor` found of the node's domains, for people and for programs. Pure. */
import type { Finding } from '../../../agent/index.js';
import { witnessName } from '../../../sampler/index.js';
import { printable } from '../../printable.js';
import { branches } from '../domain-tree.js';
import { hertz, micro, percent, power, signedPercent, table } from '../figures-text.js';
import { gpuLines } from '../gpu-lines.js';
import type { Look } from './look.js';
import { opinionsOn } from './opinions.js';

/** Less than this is told beside the watts. */
const FULL_COVERAGE = 0.995;

/** The tree with its watts, why it is as it is, GPUs, and how well this machine keeps time. */
export function domainPage(look: Look | null): string {
  if (look === null) return '\nNo meter, no domain.\n';
  const sections = [
    section(
      `Domains, mean of ${look.seconds.toFixed(1)} s (energy of a branch contains that of its twigs):`,
      tree(look),
    ),
    section('Why:', look.reasons.map(printable)),
    section('GPUs:', look.gpus.flatMap(gpuLines)),
    section('Sampler:', samplerLines(look)),
  ];
  return sections.filter((text) => text !== '').join('');
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `\n${title}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function tree(look: Look): string[] {
  const rows = branches(look.domains.map(({ domain }) => domain)).flatMap(({ domain, depth, label }) => {
    const seen = look.domains[domain.index];
    if (seen === undefined) return [];
    const indent = '  '.repeat(depth);
    const gap = seen.watts !== null && seen.coverage < FULL_COVERAGE ? `, ${percent(seen.coverage, 0)} covered` : '';
    return [
      [
        `${indent}${printable(label)}`,
        power(seen.watts, domain),
        domain.kind,
        `${domain.meter}, ${domain.quality}${gap}`,
      ],
      ...opinionsOn(seen, look).map(({ witness, difference }) => [
        `${indent}  also ${printable(witnessName(domain, witness.domain))}`,
        power(witness.watts, witness.domain),
        difference === null ? '' : signedPercent(difference),
        '',
      ]),
    ];
  });
  return table(rows, [1]);
}

function samplerLines({ stats }: Look): string[] {
  const { requestedHz, rateHz, achievedHz, latenessUs, timerResolutionUs, urgency, lost, missed } = stats;
  return [
    `${hertz(requestedHz)} asked for, ${hertz(rateHz)} in force, ${hertz(achievedHz)} achieved; ${missed} missed, ${lost} lost`,
    `p99 ${micro(latenessUs.p99)} late; a wait of 1 us takes ${micro(timerResolutionUs)}; scheduling for this user: ${urgency}`,
  ];
}

/** The same, with names stable within `version`. */
export function doctorJson(findings: readonly Finding[], look: Look | null): object {
  return {
    version: 1,
    findings,
    seconds: look?.seconds ?? 0,
    domains: (look?.domains ?? [])
      .filter(({ domain }) => domain.witnessOf === null)
      .map((seen) => {
        const { domain, watts, coverage, health } = seen;
        const { name, kind, meter, quality, parent } = domain;
        return {
          ...{ name, kind, meter, quality, watts, coverage, health },
          parent: parent === null ? null : (look?.domains[parent]?.domain.name ?? null),
          witnesses: (look === null ? [] : opinionsOn(seen, look)).map(({ witness, difference }) => ({
            name: witness.domain.name,
            meter: witness.domain.meter,
            quality: witness.domain.quality,
            watts: witness.watts,
            difference,
            health: witness.health,
          })),
        };
      }),
    reasons: look?.reasons ?? [],
    gpus: look?.gpus ?? [],
    sampler: look?.stats ?? null,
  };
}
