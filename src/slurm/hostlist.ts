/** Slurm host lists: `n[1-3,7],m05` and the `2(x3),4` form that goes with them. */
import { WattleError } from '../contract/index.js';

/** A hostile list such as `n[0-999999999]` must not fill the memory. */
const MAX_HOSTS = 100_000;

function invalid(text: string, why: string): WattleError {
  return new WattleError(
    'slurm.hostlist',
    `not a host list: ${JSON.stringify(text.slice(0, 120))} (${why})`,
    'expected names such as n1,n[3-5]',
  );
}

/** Splits at commas that are outside brackets. */
function splitOutside(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let begin = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '[') depth++;
    else if (c === ']') depth--;
    else if (c === ',' && depth === 0) {
      parts.push(text.slice(begin, i));
      begin = i + 1;
    }
    if (depth < 0 || depth > 1) throw invalid(text, 'brackets do not match');
  }
  if (depth !== 0) throw invalid(text, 'brackets do not match');
  parts.push(text.slice(begin));
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** The numbers of one bracket: `01-03,7` gives `01 02 03 7`; the width of the first number is kept. */
function expandRanges(ranges: string, whole: string): string[] {
  const out: string[] = [];
  for (const range of ranges.split(',')) {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(range.trim());
    if (!match) throw invalid(whole, `bad range ${JSON.stringify(range)}`);
    const [, first = '', last = first] = match;
    const from = Number(first);
    const to = Number(last);
    if (to < from) throw invalid(whole, `range ${range} runs backwards`);
    if (to - from + out.length >= MAX_HOSTS) throw invalid(whole, `more than ${MAX_HOSTS} hosts`);
    for (let n = from; n <= to; n++) out.push(String(n).padStart(first.length, '0'));
  }
  return out;
}

/**
 * Expands a host list in its own order: `n[1-2]x[0-1],m` gives n1x0 n1x1 n2x0 n2x1 m.
 * @throws WattleError `slurm.hostlist`
 */
export function expandHostlist(text: string): string[] {
  const hosts: string[] = [];
  for (const part of splitOutside(text)) {
    let names = [''];
    for (const token of part.split(/(\[[^\]]*\])/)) {
      const suffixes = token.startsWith('[') ? expandRanges(token.slice(1, -1), text) : [token];
      if (names.length * suffixes.length > MAX_HOSTS) throw invalid(text, `more than ${MAX_HOSTS} hosts`);
      names = names.flatMap((name) => suffixes.map((suffix) => name + suffix));
    }
    hosts.push(...names);
    if (hosts.length > MAX_HOSTS) throw invalid(text, `more than ${MAX_HOSTS} hosts`);
  }
  return hosts;
}

/** Expands SLURM_JOB_CPUS_PER_NODE: `2(x3),4` gives 2 2 2 4, one number per node of the job's node list. */
export function expandCpusPerNode(text: string): number[] {
  const out: number[] = [];
  for (const part of text.split(',')) {
    const match = /^(\d{1,6})(?:\(x(\d{1,6})\))?$/.exec(part.trim());
    if (!match) throw invalid(text, 'expected counts such as 2(x3),4');
    const times = Number(match[2] ?? 1);
    if (out.length + times > MAX_HOSTS) throw invalid(text, `more than ${MAX_HOSTS} nodes`);
    for (let i = 0; i < times; i++) out.push(Number(match[1]));
  }
  return out;
}
