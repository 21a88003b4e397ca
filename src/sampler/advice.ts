/** What to do about a meter that is not available, by what was found. */
import type { NativeProbe } from './native.js';
import type { MeterKind } from './types.js';

interface Advice {
  /** Completes "there is no ...": what was looked for. */
  readonly missing: string;
  /** What gives it, where it is absent. */
  readonly obtain: string;
  /** Who may read it. */
  readonly permit: string;
}

const VIRTUAL = 'Virtual machines have no RAPL: declare a profile for the meter `model`.';
const LOGS = 'Look at `dmesg` for what the driver says.';

const ADVICE: Readonly<Record<Exclude<MeterKind, 'model' | 'redfish' | 'wattmeter'>, Advice>> = {
  'rapl-perf': {
    missing: 'power event source',
    obtain: `Load the kernel module with \`modprobe rapl\` (x86 from Linux 5.8). ${VIRTUAL}`,
    permit: 'Give the agent CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8), or run it as root.',
  },
  'rapl-powercap': {
    missing: 'RAPL zone',
    obtain: `Load the kernel module with \`modprobe intel_rapl_msr\` (Intel; AMD Zen from Linux 5.11). ${VIRTUAL}`,
    permit: 'Give the agent CAP_DAC_READ_SEARCH (AmbientCapabilities= in its unit), or run it as root.',
  },
  'rapl-msr': {
    missing: 'register that counts energy',
    obtain: `Load the kernel module with \`modprobe msr\`. ${VIRTUAL}`,
    permit: 'Give the agent CAP_SYS_RAWIO and the right to read /dev/cpu/*/msr, or run it as root.',
  },
  'amd-energy': {
    missing: 'amd_energy sensor',
    obtain:
      'It is an out-of-tree driver for AMD processors since Linux 5.13; rapl-perf and rapl-powercap read the same.',
    permit: 'Give the agent CAP_DAC_READ_SEARCH, or run it as root.',
  },
  nvml: {
    missing: 'NVIDIA GPU',
    obtain: "Install NVIDIA's driver with libnvidia-ml.so.1 where this node has such a GPU.",
    permit: 'Let the agent open /dev/nvidiactl and /dev/nvidia*.',
  },
  'pm-counters': {
    missing: 'pm_counters folder',
    obtain: 'Only HPE Cray blades have it.',
    permit: 'Let the agent read the folder: its files are usually open to all.',
  },
  ipmi: {
    missing: 'device of a management controller',
    obtain: 'Load the kernel modules with `modprobe ipmi_si` and `modprobe ipmi_devintf`.',
    permit: 'Let the agent open the device for reading and writing, or run it as root.',
  },
};

/** Reason and remedy for a meter that is not available. */
export function advise(kind: MeterKind, { outcome, path, notes }: NativeProbe): { reason: string; remedy: string } {
  if (kind === 'model') {
    return {
      reason: 'no power profile is declared',
      remedy: 'Set idle_watts and watts_per_core under [sampler.model].',
    };
  }
  if (kind === 'redfish' || kind === 'wattmeter') {
    return { reason: 'it is not declared', remedy: `Declare it under [sampler.${kind}].` };
  }
  const { missing, obtain, permit } = ADVICE[kind];
  const noted = notes.map((note) => `: ${note.replace(/\.$/, '')}`).join('');
  switch (outcome) {
    case 'absent':
      return { reason: `there is no ${missing} in ${path}${noted}`, remedy: obtain };
    case 'forbidden':
      return { reason: `${path} may not be read by this process${noted}`, remedy: permit };
    case 'unreadable':
    case 'available':
      return { reason: `${path} is there but gives no reading${noted}`, remedy: LOGS };
  }
}
