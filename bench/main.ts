/**
 * `npm run bench -- [NAME...]`: runs the benchmarks named, or all, and prints one JSON line per figure; all of them
 * together end with a table. Every module of this folder that exports a Benchmark takes part.
 */
import { readdirSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { EXIT, messageOf, type ExitCode } from '../src/contract/index.js';
import type { Benchmark, Figure } from './figure.js';

const here = dirname(fileURLToPath(import.meta.url));

function isBenchmark(module: Partial<Benchmark>): module is Benchmark {
  return typeof module.name === 'string' && typeof module.run === 'function';
}

async function benchmarks(): Promise<Benchmark[]> {
  const files = readdirSync(here).filter((file) => file.endsWith('.js') && file !== 'main.js');
  const modules = await Promise.all(
    files.map((file) => import(pathToFileURL(join(here, file)).href) as Promise<Partial<Benchmark>>),
  );
  return modules.filter(isBenchmark).sort((a, b) => a.name.localeCompare(b.name));
}

const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  kernel: release(),
  node: process.versions.node,
};

type Result = Figure & { readonly bench: string };

function verdict({ aim, better, value }: Figure): string {
  if (aim === undefined) return '';
  return (better === 'lower' ? value <= aim : value >= aim) ? 'reached' : 'MISSED';
}

function table(results: readonly Result[]): string {
  const rows = results.map((r) => [
    `${r.bench} ${r.figure}`,
    `${Number(r.value.toPrecision(4))} ${r.unit}`,
    r.aim === undefined ? '' : `${r.better === 'lower' ? '<=' : '>='} ${r.aim}`,
    verdict(r),
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function main(names: readonly string[]): Promise<ExitCode> {
  const all = await benchmarks();
  const unknown = names.find((name) => !all.some((benchmark) => benchmark.name === name));
  if (unknown !== undefined) {
    console.error(`bench: no benchmark ${unknown}; there are: ${all.map((benchmark) => benchmark.name).join(', ')}`);
    return EXIT.usage;
  }
  const results: Result[] = [];
  let exitCode: ExitCode = EXIT.done;
  for (const benchmark of all.filter(({ name }) => names.length === 0 || names.includes(name))) {
    try {
      await benchmark.run((figure) => {
        const result = { bench: benchmark.name, ...figure, context: { machine, ...figure.context } };
        results.push(result);
        console.log(JSON.stringify(result));
      });
    } catch (error) {
      console.error(`bench: ${benchmark.name} failed: ${messageOf(error)}`);
      exitCode = EXIT.failed;
    }
  }
  if (names.length === 0) console.log(`\n${table(results)}`);
  return exitCode;
}

process.exitCode = await main(process.argv.slice(2));
