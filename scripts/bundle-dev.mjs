/** Bundles what only a checkout runs, the demo or the benchmarks, to build/: `bundle-dev.mjs demo|bench`. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const ENTRIES = {
  demo: ['demo/main.ts'],
  bench: readdirSync('bench')
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('bench', file)),
};

const what = process.argv[2];
const entryPoints = ENTRIES[what];
if (entryPoints === undefined) throw new Error('usage: bundle-dev.mjs demo|bench');
await build({
  entryPoints,
  outdir: `build/${what}`,
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
});
