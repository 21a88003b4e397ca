/**
 * The emulated hardware's own process: drives counters that are files along known waveforms.
 * Started by files.ts with one JSON argument; takes { id, name, fault } messages and answers { id } once done.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setInterval } from 'node:timers';
import { energyUj, modulusUj } from './waveform.mjs';

/** Fixed width: a shorter number never leaves an older one's digits behind, and one small write is not seen in parts. */
const text = (value, digits = 20) => String(value).padStart(digits, '0');

const now = () => Number(process.hrtime.bigint());

/** One file with a number that is there anew every millisecond: a powercap zone's, or a hwmon sensor's. */
class Counter {
  /** `constants`: files beside it that never change, by name. `rangeUj`: where it begins again; absent: never. */
  constructor(spec, startNs) {
    this.spec = spec;
    this.folder = dirname(spec.path);
    this.startNs = startNs;
    this.offsetUj = spec.initialUj;
    this.fault = 'none';
    this.create();
  }

  create() {
    mkdirSync(this.folder, { recursive: true });
    for (const [name, value] of Object.entries(this.spec.constants)) {
      writeFileSync(join(this.folder, name), `${value}\n`);
    }
    this.fd = openSync(this.spec.path, 'w', 0o400);
    this.update();
  }

  usedUj() {
    return energyUj(this.spec.waveform, Math.max(0, now() - this.startNs));
  }

  update() {
    if (this.fault !== 'none') return;
    const total = this.offsetUj + this.usedUj();
    const { rangeUj } = this.spec;
    writeSync(this.fd, `${text(rangeUj === undefined ? total : total % modulusUj(rangeUj))}\n`, 0);
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
        rmSync(this.spec.path);
        mkdirSync(this.spec.path);
        break;
      case 'vanished':
        this.cut();
        rmSync(this.folder, { recursive: true });
        break;
      case 'reset':
        this.offsetUj = -this.usedUj();
        return this.update();
      default:
        throw new Error(`unknown fault ${fault}`);
    }
    this.fault = fault;
  }

  heal() {
    const before = this.fault;
    this.fault = 'none';
    if (before === 'failed-read') rmSync(this.spec.path, { recursive: true });
    if (before === 'failed-read' || before === 'vanished') return this.create();
    if (before === 'garbage') ftruncateSync(this.fd, 0);
    this.update();
  }
}

const SCAN_NS = 100e6;
/** Scans of a controller that starts anew. */
const FIRST_FRESHNESS = 1;

/** A folder like a Cray blade's: whole joules, scanned ten times per second, with a freshness that tells one scan from the next. */
class PmCounters {
  /** `energies`: the waveforms that a file is the sum of, by the file's name. */
  constructor(spec, startNs) {
    this.spec = spec;
    this.startNs = startNs;
    this.epochNs = Date.now() * 1e6 - now();
    this.fault = 'none';
    this.freshness = FIRST_FRESHNESS;
    this.baseUj = new Map();
    this.scannedNs = 0;
    mkdirSync(spec.path, { recursive: true });
    this.files = new Map(
      ['freshness', 'startup', ...Object.keys(spec.energies)].map((name) => [
        name,
        openSync(join(spec.path, name), 'w'),
      ]),
    );
    writeFileSync(join(spec.path, 'raw_scan_hz'), '10\n');
    writeFileSync(join(spec.path, 'generation'), '1\n');
    writeFileSync(join(spec.path, 'version'), '2\n');
    this.boot();
  }

  write(name, line) {
    writeSync(this.files.get(name), `${line}\n`, 0);
  }

  boot() {
    this.write('startup', text(Math.round((now() + this.epochNs) / 1e3), 17));
    this.scan(now());
  }

  usedUj(name, atNs) {
    const elapsedNs = Math.max(0, atNs - this.startNs);
    return this.spec.energies[name].reduce((sum, waveform) => sum + energyUj(waveform, elapsedNs), 0);
  }

  /** The freshness first: whoever reads while this goes on finds another one at the end than at the beginning. */
  scan(atNs) {
    this.scannedNs = atNs;
    this.write('freshness', text(this.freshness++, 12));
    const stamp = Math.round((atNs + this.epochNs) / 1e3);
    for (const name of Object.keys(this.spec.energies)) {
      const joules = Math.floor((this.usedUj(name, atNs) - (this.baseUj.get(name) ?? 0)) / 1e6);
      this.write(name, `${text(joules, 12)} J ${stamp} us`);
    }
  }

  update() {
    const atNs = now();
    if (this.fault === 'torn' || (this.fault === 'none' && atNs - this.scannedNs >= SCAN_NS)) this.scan(atNs);
  }

  inject(fault) {
    const before = this.fault;
    this.fault = 'none';
    if (before === 'failed-read' || before === 'garbage') this.scan(now());
    switch (fault) {
      case 'none':
        return;
      case 'frozen':
        break;
      // Scans follow each other so fast that a reader is now and then overtaken.
      case 'torn':
        break;
      case 'failed-read':
        for (const [name, fd] of this.files) if (name !== 'startup') ftruncateSync(fd, 0);
        break;
      case 'garbage':
        for (const name of Object.keys(this.spec.energies)) {
          ftruncateSync(this.files.get(name), 0);
          this.write(name, 'NaN J');
        }
        break;
      case 'reset':
        for (const name of Object.keys(this.spec.energies)) this.baseUj.set(name, this.usedUj(name, now()));
        this.freshness = FIRST_FRESHNESS;
        return this.boot();
      default:
        throw new Error(`unknown fault ${fault}`);
    }
    this.fault = fault;
  }
}

const KINDS = { counter: Counter, 'pm-counters': PmCounters };

const { files, updateHz, startNs } = JSON.parse(process.argv[2] ?? readFileSync(0, 'utf8'));
const driven = new Map(files.map((spec) => [spec.name, new KINDS[spec.kind](spec, startNs)]));

process.on('message', ({ id, name, fault }) => {
  driven.get(name).inject(fault);
  process.send({ id });
});
process.on('disconnect', () => process.exit(0));
setInterval(() => {
  for (const file of driven.values()) file.update();
}, 1000 / updateHz);
process.send({ id: 0 });
