/** Writes docs/configuration.md from the schema. A test fails while the page is not current. */
import { build } from 'esbuild';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/config/reference.ts'],
  bundle: true,
  platform: 'node',
  format: 'esm',
  write: false,
});
const { configReference } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
);
await writeFile(`${root}docs/configuration.md`, configReference());
