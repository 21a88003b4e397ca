/** Commands that look at this machine also do so before anybody has configured it. */
import { existsSync } from 'node:fs';
import { type Config, loadConfig, parseConfig } from '../../config/index.js';
import { configPath, DEFAULT_CONFIG_PATH } from '../../config/file.js';

export function defaultConfig(): Config {
  return parseConfig('[cluster]\nname = "unconfigured"\n', 'the defaults');
}

/** The configuration, or the defaults where none was named and none is installed. */
export function configOrDefaults(path: string | undefined): Config {
  const used = configPath({ path });
  return used === DEFAULT_CONFIG_PATH && !existsSync(used) ? defaultConfig() : loadConfig({ path });
}
