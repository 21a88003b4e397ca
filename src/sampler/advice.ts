/** What to do about a meter that is not available, by what was found. */
import type { NativeProbe } from './native.js';
import type { MeterKind } from './types.js';

interface Advice {
  /** Completes "there is no ...": what was looked for. */
  readonly missing: string;
  /** What gives it, where it is absent. */
  readonly obtain: string;
  /** What this process lacks to read it, be it the agent or a command that somebody runs, and where the agent gets it. */
  readonly permit: string;
}

const VIRTUAL = 'Virtual machines have no RAPL: declare a profile for the meter `model`.';
const LOGS = 'Look at `dmesg` for what the driver says.';

const ADVICE: Readonly<Record<Exclude<MeterKind, 'model' | 'redfish' | 'wattmeter'>, Advice>> = {
  'rapl-perf': {
    missing: 'power event source',
    obtain: `Load the kernel module with \`modprobe rapl\` (x86 from Linux 5.8). ${VIRTUAL}`,
    permit:
      "This process needs CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8); the agent's unit has it. Root has it too.",
  },
  'rapl-powercap': {
    missing: 'RAPL zone',
    obtain: `Load the kernel module with \`modprobe intel_rapl_msr\` (Intel; AMD Zen from Linux 5.11). ${VIRTUAL}`,
    permit: "This process needs CAP_DAC_READ_SEARCH; the agent's unit has it. Root has it too.",
  },
  'rapl-msr': {
    missing: 'register that counts energy',
    obtain: `Load the kernel module with \`modprobe msr\`. ${VIRTUAL}`,
    permit:
      'This process needs CAP_SYS_RAWIO and the right to read /dev/cpu/*/msr; the agent has them with systemd/wattle-agent-msr.conf. Root has them too.',
  },
  'amd-energy': {
    missing: 'amd_energy sensor',
    obtain:
      'It is an out-of-tree driver for AMD processors since Linux 5.13; rapl-perf and rapl-powercap read the same.',
    permit: "This process needs CAP_DAC_READ_SEARCH; the agent's unit has it. Root has it too.",
  },
  nvml: {
    missing: 'NVIDIA GPU',
    obtain: "Install NVIDIA's driver with libnvidia-ml.so.1 where this node has such a GPU.",
    permit: "This process needs to open /dev/nvidiactl and /dev/nvidia*; the agent's unit lets it.",
  },
  'pm-counters': {
    missing: 'pm_counters folder',
    obtain: 'Only HPE Cray blades have it.',
    permit: 'This process needs to read the folder: its files are usually open to all.',
  },
  ipmi: {
    missing: 'device of a management controller',
    obtain: 'Load the kernel modules with `modprobe ipmi_si` and `modprobe ipmi_devintf`.',
    permit:
      'This process needs to open the device for reading and writing; the agent may with systemd/wattle-agent-ipmi.conf. Root may too.',
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
      return {
        reason: `${path} is there but gives no reading${noted}`,
        // The kernel's log has nothing to add to what the meter itself has found.
        remedy: noted === '' ? LOGS : `Mend what is named here; docs/meters/${kind}.md tells what the meter needs.`,
      };
  }
}
