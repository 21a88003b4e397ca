/**
 * bundle.mjs [FOLDER]: bundles the two commands into dist/bin (or another folder two levels down): one file to open at the start in place of dozens, with the parts that only
 * some commands need split off. Packages with native code, or with files of their own beside their code, stay outside.
 */
import { build } from 'esbuild';
import { chmod, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = root + (process.argv[2] ?? 'dist/bin');
const commands = ['scarbon', 'wattle'];

await rm(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: {
    ...Object.fromEntries(commands.map((command) => [command, `src/cli/${command}.ts`])),
    // Started by its file name, beside whichever chunk the ledger ends in.
    'pglite-worker': 'src/ledger/pglite-worker.ts',
  },
  outdir,
  bundle: true,
  splitting: true,
  minify: true,
  // Names stay, so that a stack trace in a report can be read.
  keepNames: true,
  platform: 'node',
  target: 'node20.12',
  format: 'esm',
  external: ['koffi', 'pg', '@electric-sql/pglite', 'hono', '@hono/node-server', 'pino', 'prom-client'],
  logLevel: 'warning',
});
await Promise.all(commands.map((command) => chmod(`${outdir}/${command}.js`, 0o755)));
