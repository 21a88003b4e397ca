/** The PGlite worker as JavaScript: worker threads know nothing of Jest's TypeScript. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const ROOT = new URL('../../../', import.meta.url);
const SOURCE = fileURLToPath(new URL('src/ledger/pglite-worker.ts', ROOT));
/** Inside the repository, so that the worker finds PGlite where it is installed. */
const FOLDER = fileURLToPath(new URL('node_modules/.cache/wattle-test/', ROOT));

let built: Promise<URL> | undefined;

/** Built once per test file. */
export function buildWorker(): Promise<URL> {
  built ??= (async () => {
    const { outputFiles } = await build({
      entryPoints: [SOURCE],
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      write: false,
    });
    await mkdir(FOLDER, { recursive: true });
    // Written and renamed: test files run side by side, and none may read half of another's worker.
    const draft = `${FOLDER}pglite-worker.${process.pid}.mjs`;
    const file = `${FOLDER}pglite-worker.mjs`;
    await writeFile(draft, outputFiles[0]?.contents ?? '');
    await rename(draft, file);
    return pathToFileURL(file);
  })();
  return built;
}
