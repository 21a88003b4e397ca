import { messageOf, WattleError } from '../contract/index.js';
import { loadAddon } from './loader.js';

/** What a running sampler or agent may need; all other capabilities serve at most to open a meter. */
export type Capability = 'CAP_DAC_READ_SEARCH' | 'CAP_SYS_PTRACE' | 'CAP_SYS_NICE';

/**
 * Gives up every privilege but `keep`, in all threads of this process and for good; also what programs that it starts
 * could gain. Meters that are open stay open. Returns what of `keep` the process has: it gains nothing, and a process
 * without privileges may call it too.
 * Throws a WattleError `sampler.privileges-left`, naming the thread that still has some.
 */
export function dropPrivileges(keep: readonly Capability[]): Capability[] {
  const addon = loadAddon();
  try {
    return addon.dropPrivileges(keep);
  } catch (cause) {
    throw new WattleError(
      'sampler.privileges-left',
      `Privileges could not be given up: ${messageOf(cause)}.`,
      'Start the process with those alone that it is to keep (CapabilityBoundingSet= in its unit), and report this.',
      { cause },
    );
  }
}
