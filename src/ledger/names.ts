/** Numbers for names (clusters, nodes, zones, methods): asked for once, then remembered. */
import type { Queryable, SqlValue } from './database.js';

/** Bounds the memory that made-up names could take; a large site has some ten thousand nodes. */
const MAX_REMEMBERED = 200_000;

export class Names {
  readonly #database: Queryable;
  readonly #remembered = new Map<string, number>();

  constructor(database: Queryable) {
    this.#database = database;
  }

  cluster(name: string): Promise<number> {
    return this.#number('cluster', 'cluster_id', { name });
  }

  zone(name: string): Promise<number> {
    return this.#number('zone', 'zone_id', { name });
  }

  method(rule: string, meters: string): Promise<number> {
    return this.#number('method', 'method_id', { rule, meters });
  }

  node(clusterId: number, name: string): Promise<number> {
    return this.#number('node', 'node_id', { cluster_id: clusterId, name });
  }

  /** Table and column names come from this class only, never from outside. */
  async #number(table: string, idColumn: string, row: Readonly<Record<string, SqlValue>>): Promise<number> {
    const key = JSON.stringify([table, ...Object.values(row)]);
    const remembered = this.#remembered.get(key);
    if (remembered !== undefined) return remembered;
    const columns = Object.keys(row);
    const places = columns.map((_, i) => `$${i + 1}`);
    const find = `select ${idColumn} as id from ${table} where (${columns.join(', ')}) = (${places.join(', ')})`;
    const insert = `insert into ${table} (${columns.join(', ')}) values (${places.join(', ')}) on conflict do nothing`;
    const values = Object.values(row);
    const ask = async (): Promise<number | undefined> =>
      (await this.#database.query<{ id: number }>(find, values))[0]?.id;
    let id = await ask();
    if (id === undefined) {
      await this.#database.query(insert, values);
      id = await ask();
    }
    if (id === undefined) throw new Error(`${table} ${key} was neither found nor made`);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(key, id);
    return id;
  }
}
