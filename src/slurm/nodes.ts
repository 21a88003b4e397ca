/** Which partitions each node belongs to, by `sinfo`. */
import { type SlurmCommandOptions, runSlurmCommand } from './command.js';

/** Parses `sinfo --Node --noheader --format=%N|%R`: one line per node and partition. */
export function parseNodePartitions(output: string): Map<string, string[]> {
  const partitions = new Map<string, string[]>();
  for (const line of output.split('\n')) {
    const [node = '', partition = ''] = line.trim().split('|');
    if (node === '' || partition === '') continue;
    const known = partitions.get(node) ?? [];
    if (!known.includes(partition)) partitions.set(node, [...known, partition]);
  }
  return partitions;
}

/** Partitions by node name, hidden partitions included. */
export async function nodePartitions(options: SlurmCommandOptions = {}): Promise<Map<string, string[]>> {
  const args = ['--all', '--Node', '--noheader', '--format=%N|%R'];
  return parseNodePartitions(await runSlurmCommand('sinfo', args, options));
}
