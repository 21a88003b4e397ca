/** What an agent remembers over a restart: jobs that hold a share of the node, and the learned idle floor. */
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { messageOf } from '../contract/index.js';
import { isMissing, writeWhole } from './files.js';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const power = v.nullable(v.pipe(v.number(), v.finite(), v.minValue(0)));

const stateSchema = v.object({
  version: v.literal(1),
  /** Jobs of an earlier boot cannot be running. */
  bootId: v.string(),
  jobs: v.array(
    v.object({
      jobId: count,
      restartCount: count,
      cores: count,
      gpus: count,
      source: v.picklist(['hook', 'cgroup', 'process']),
    }),
  ),
  idleFloor: v.object({ emptyWatts: power, lowestWatts: power }),
});
export type AgentState = v.InferOutput<typeof stateSchema>;

export class StateFile {
  readonly #path: string;

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'agent.json');
  }

  /** The saved state; null at the first start. A damaged file is set aside and told through `onDamaged`. */
  async load(onDamaged: (why: string) => void): Promise<AgentState | null> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    try {
      return v.parse(stateSchema, JSON.parse(text));
    } catch (error) {
      await rename(this.#path, `${this.#path}.bad`);
      onDamaged(`${this.#path}: ${messageOf(error)}; kept as ${this.#path}.bad`);
      return null;
    }
  }

  async save(state: AgentState): Promise<void> {
    await writeWhole(this.#path, JSON.stringify(state));
  }
}
