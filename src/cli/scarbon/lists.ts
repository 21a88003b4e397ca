/** Lists as options take them: words between commas, with ranges such as `n[1-3,7]` where wanted. */
import { usageError } from '../program.js';

export const splitList = (text: string): string[] => text.split(',').filter((item) => item !== '');

/**
 * A list whose ranges are written out.
 * @throws {WattleError} wrong usage: brackets that do not match, a bad or enormous range
 */
export async function expandList(written: string, expected: string, example: string): Promise<string[]> {
  if (!/[[\]]/.test(written)) return splitList(written);
  const { expandHostlist } = await import('../../slurm/hostlist.js');
  try {
    return expandHostlist(written);
  } catch {
    throw usageError(
      `expected ${expected}, found ${JSON.stringify(written.slice(0, 120))}`,
      `Write for example ${example}.`,
    );
  }
}
