/** Walks the schema once and lists every key it knows: the source of suggestions and of the reference page. */
import type { KeyPath } from './positions.js';
import { configSchema } from './schema.js';

export interface KnownKey {
  /** `*` stands for a name that the administrator chooses. */
  readonly path: KeyPath;
  readonly isTable: boolean;
  readonly description: string;
  readonly required: boolean;
  /** As written in the file; undefined for a table or where the default is computed or absent. */
  readonly default?: unknown;
  readonly accepts?: string;
  readonly example?: string;
  readonly secret?: boolean;
}

let known: readonly KnownKey[] | undefined;

/** All known keys in the order of the schema, each table before its keys. */
export function knownKeys(): readonly KnownKey[] {
  known ??= [...walk(configSchema, [])];
  return known;
}

/** The parts of a schema that this walk looks at; valibot's own type has one variant for each kind of schema. */
interface SchemaParts {
  readonly kind?: string;
  readonly type?: string;
  readonly pipe?: readonly SchemaParts[];
  readonly wrapped?: SchemaParts;
  readonly default?: unknown;
  readonly entries?: Readonly<Record<string, SchemaParts>>;
  readonly value?: SchemaParts;
  readonly item?: SchemaParts;
  readonly description?: string;
  readonly metadata?: Pick<KnownKey, 'accepts' | 'example' | 'secret'>;
}

function* walk(schema: SchemaParts, path: KeyPath): Generator<KnownKey> {
  const layers = [...layersOf(schema)];
  if (path.length > 0 && path.at(-1) !== '*') yield describe(layers, path);
  for (const { entries, type, value } of layers) {
    for (const [key, entry] of Object.entries(entries ?? {})) yield* walk(entry, [...path, key]);
    if (type === 'record' && value !== undefined) yield* walk(value, [...path, '*']);
  }
}

/** A schema, what it wraps and what its pipe holds, outermost first. */
function* layersOf(schema: SchemaParts): Generator<SchemaParts> {
  const [inner, ...others] = schema.pipe ?? [];
  if (inner === undefined) {
    yield schema;
  } else {
    yield* others.flatMap((other) => [...layersOf(other)]);
    yield* layersOf(inner);
  }
  if (schema.pipe === undefined && schema.wrapped !== undefined) yield* layersOf(schema.wrapped);
  if (schema.pipe === undefined && schema.type === 'array' && schema.item !== undefined) yield* layersOf(schema.item);
}

function describe(layers: readonly SchemaParts[], path: KeyPath): KnownKey {
  const optional = layers.find(({ type }) => type === 'optional');
  const fallback = optional?.default;
  const [metadata, elementMetadata] = layers.flatMap(({ metadata }) => metadata ?? []);
  const isTable = layers.some(({ entries, type }) => entries !== undefined || type === 'record');
  const isList = layers.some(({ type }) => type === 'array');
  const example =
    metadata?.example ?? (elementMetadata?.example === undefined ? undefined : `[${elementMetadata.example}]`);
  return {
    path,
    isTable,
    description: layers.find(({ description }) => description !== undefined)?.description ?? '',
    required: optional === undefined,
    ...(fallback === undefined || isTable || typeof fallback === 'function' ? {} : { default: fallback }),
    ...(metadata?.accepts === undefined
      ? {}
      : { accepts: accepts(metadata.accepts, isList, elementMetadata?.accepts) }),
    ...(example === undefined ? {} : { example }),
    ...(metadata?.secret === undefined ? {} : { secret: metadata.secret }),
  };
}

function accepts(own: string, isList: boolean, ofElement: string | undefined): string {
  return isList && ofElement !== undefined ? `${own}, each ${ofElement}` : own;
}
