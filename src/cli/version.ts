import { readFileSync } from 'node:fs';

/** The version of this package. Sources, compiled files and bundles all lie two folders below package.json. */
export function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
