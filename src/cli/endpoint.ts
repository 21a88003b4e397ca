/** Where the controller is: named on the command line, in the environment, in the configuration, or by default. */
import { DEFAULT_CONTROLLER, readServiceAddress, type Address } from '../config/address.js';
import { configPath, DEFAULT_CONFIG_PATH, parseToml, readConfigFile } from '../config/file.js';
import { KeyPositions, type KeyPath } from '../config/positions.js';
import { ConfigError } from '../config/problem.js';
import { WattleError } from '../contract/errors.js';
import { usageError } from './program.js';

export interface Endpoint {
  readonly address: Address;
  /** Where munged listens on this host, if the configuration names it. Used on TCP only. */
  readonly munge: { readonly socket?: string };
}

export interface EndpointOptions {
  /** From `--controller`. */
  readonly controller?: string | undefined;
  /** From `--config`. */
  readonly config?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const EXPECTED = '"unix:/path" or "http://host:port"';

/**
 * Order: --controller, WATTLE_CONTROLLER, cluster.controller of the configuration file, the default socket.
 * Only two keys of the file are looked at, so that a fault elsewhere in it keeps nobody from their figures.
 */
export function findEndpoint({ controller, config, env = process.env }: EndpointOptions = {}): Endpoint {
  const named = controller ?? env['WATTLE_CONTROLLER'];
  if (named === undefined || named === '') return endpointOfConfig(config, env);
  const address = readServiceAddress(named);
  if (address === undefined) {
    const from = controller === undefined ? 'WATTLE_CONTROLLER' : '--controller';
    throw usageError(
      `${from}: expected ${EXPECTED}, found ${JSON.stringify(named)}`,
      `For example ${DEFAULT_CONTROLLER}`,
    );
  }
  // Where munged listens is a matter of this host, whoever named the controller.
  return { address, munge: address.kind === 'unix' ? {} : endpointOfConfig(config, env).munge };
}

function endpointOfConfig(config: string | undefined, env: EndpointOptions['env'] = {}): Endpoint {
  const path = configPath({ path: config, env });
  const text = textOfConfig(path);
  if (text === undefined) return { address: defaultAddress(), munge: {} };

  const document = parseToml(text, path);
  const socket = valueAt(document, ['munge', 'socket']);
  return {
    address: addressAt(document, ['cluster', 'controller'], path, text),
    munge: typeof socket === 'string' ? { socket } : {},
  };
}

/** A login host may have no configuration, or one that only daemons may read: then the default socket is asked. */
function textOfConfig(path: string): string | undefined {
  try {
    return readConfigFile(path);
  } catch (error) {
    if (path === DEFAULT_CONFIG_PATH && error instanceof WattleError && error.code === 'config.unreadable') {
      return undefined;
    }
    throw error;
  }
}

function addressAt(document: unknown, keyPath: KeyPath, path: string, text: string): Address {
  const written = valueAt(document, keyPath);
  if (written === undefined) return defaultAddress();
  const address = typeof written === 'string' ? readServiceAddress(written) : undefined;
  if (address !== undefined) return address;
  throw new ConfigError(path, [
    {
      code: 'config.value',
      keyPath,
      position: new KeyPositions(text).of(keyPath),
      message: `expected ${EXPECTED}, found ${JSON.stringify(written)}`,
      remedy: `Write for example ${JSON.stringify(DEFAULT_CONTROLLER)}.`,
    },
  ]);
}

function valueAt(document: unknown, keyPath: KeyPath): unknown {
  return keyPath.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined),
    document,
  );
}

function defaultAddress(): Address {
  const address = readServiceAddress(DEFAULT_CONTROLLER);
  if (address === undefined) throw new TypeError(`not an address: ${DEFAULT_CONTROLLER}`);
  return address;
}
