/** User names and numbers, by the name service of this host (files, LDAP, SSSD). */
import { execFile } from 'node:child_process';
import { WattleError } from '../contract/index.js';

/** getent's exit code for "no such entry". */
const NOT_FOUND = 2;
const TIMEOUT_MS = 5_000;
/** A user who was renamed or removed is noticed after this time. */
const REMEMBERED_MS = 60_000;
const MAX_REMEMBERED = 10_000;

interface Entry {
  readonly name: string;
  readonly uid: number;
}

type Lookup = (key: string) => Promise<string | undefined>;

export class UserDirectory {
  readonly #lookup: Lookup;
  readonly #remembered = new Map<string, { readonly entry: Promise<Entry | undefined>; readonly untilMs: number }>();

  constructor(lookup: Lookup = getent) {
    this.#lookup = lookup;
  }

  /** The name of a uid; undefined where this host knows none. */
  async nameOf(uid: number): Promise<string | undefined> {
    return (await this.#find(String(uid)))?.name;
  }

  /** The uid of a name, or of a number written out. */
  async uidOf(name: string): Promise<number | undefined> {
    if (/^\d{1,10}$/.test(name)) return Number(name);
    return (await this.#find(name))?.uid;
  }

  #find(key: string): Promise<Entry | undefined> {
    const remembered = this.#remembered.get(key);
    if (remembered && remembered.untilMs > Date.now()) return remembered.entry;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    const entry = this.#lookup(key).then(parsePasswd);
    this.#remembered.set(key, { entry, untilMs: Date.now() + REMEMBERED_MS });
    // A failure of the name service is not an answer, and is not remembered.
    entry.catch(() => this.#remembered.delete(key));
    return entry;
  }
}

function parsePasswd(line: string | undefined): Entry | undefined {
  const [name = '', , uid = ''] = line?.split(':') ?? [];
  return name !== '' && /^\d{1,10}$/.test(uid) ? { name, uid: Number(uid) } : undefined;
}

/** One line of passwd(5). @throws WattleError `users.unavailable` where the name service does not answer */
function getent(key: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    execFile('getent', ['passwd', '--', key], { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' }, (error, stdout) => {
      if (!error) resolve(stdout.split('\n')[0]);
      else if (error.code === NOT_FOUND) resolve(undefined);
      else {
        const remedy = "try `getent passwd root` on the controller's host";
        reject(new WattleError('users.unavailable', 'the name service does not answer', remedy, { cause: error }));
      }
    });
  });
}
