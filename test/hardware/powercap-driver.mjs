/**
 * The emulated hardware's own process: drives the counters of a powercap tree along known waveforms.
 * Started by powercap.ts with one JSON argument; takes { id, zone, fault } messages and answers { id } once done.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setInterval } from 'node:timers';
import { energyUj, modulusUj } from './waveform.mjs';

/** Fixed width: a shorter number never leaves an older one's digits behind, and one small write is not seen in parts. */
const text = (value) => `${String(value).padStart(20, '0')}\n`;

class Zone {
  constructor(spec, startNs) {
    this.spec = spec;
    this.startNs = startNs;
    this.offsetUj = spec.initialUj;
    this.fault = 'none';
    this.create();
  }

  get path() {
    return join(this.spec.path, 'energy_uj');
  }

  create() {
    mkdirSync(this.spec.path, { recursive: true });
    writeFileSync(join(this.spec.path, 'name'), `${this.spec.zoneName}\n`);
    writeFileSync(join(this.spec.path, 'max_energy_range_uj'), `${this.spec.rangeUj}\n`);
    this.fd = openSync(this.path, 'w', 0o400);
    this.update();
  }

  counter() {
    const elapsedNs = Number(process.hrtime.bigint()) - this.startNs;
    const total = this.offsetUj + energyUj(this.spec.waveform, Math.max(0, elapsedNs));
    return total % modulusUj(this.spec.rangeUj);
  }

  update() {
    if (this.fault === 'none') writeSync(this.fd, text(this.counter()), 0);
  }

  /** What a reader with the file open sees when its hardware goes: nothing to read any more. */
  cut() {
    ftruncateSync(this.fd, 0);
    closeSync(this.fd);
  }

  inject(fault) {
    this.heal();
    switch (fault) {
      case 'none':
        return;
      case 'frozen':
        break;
      case 'garbage':
        ftruncateSync(this.fd, 0);
        writeSync(this.fd, '18446744073709551616 joules?\n', 0);
        break;
      case 'failed-read':
        this.cut();
        rmSync(this.path);
        mkdirSync(this.path);
        break;
      case 'vanished':
        this.cut();
        rmSync(this.spec.path, { recursive: true });
        break;
      case 'reset':
        this.offsetUj -= this.offsetUj + energyUj(this.spec.waveform, Number(process.hrtime.bigint()) - this.startNs);
        return this.update();
      default:
        throw new Error(`unknown fault ${fault}`);
    }
    this.fault = fault;
  }

  heal() {
    const before = this.fault;
    this.fault = 'none';
    if (before === 'failed-read') rmSync(this.path, { recursive: true });
    if (before === 'failed-read' || before === 'vanished') return this.create();
    if (before === 'garbage') ftruncateSync(this.fd, 0);
    this.update();
  }
}

const { zones: specs, updateHz, startNs } = JSON.parse(process.argv[2] ?? readFileSync(0, 'utf8'));
const zones = new Map(specs.map((spec) => [spec.name, new Zone(spec, startNs)]));

process.on('message', ({ id, zone, fault }) => {
  zones.get(zone).inject(fault);
  process.send({ id });
});
process.on('disconnect', () => process.exit(0));
setInterval(() => {
  for (const zone of zones.values()) zone.update();
}, 1000 / updateHz);
process.send({ id: 0 });
