import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { readCredentials } from './credentials.js';
import { exchange, type Answer } from './http.js';
import { shown, SourceProblem } from './problem.js';

const MAX_ANSWER_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 3;

export interface RedfishAccess {
  /** `https://bmc`, or `http://bmc` together with `insecure`. */
  readonly url: string;
  /** `user:password`, or user and password on two lines; readable by its owner only. */
  readonly credentialsFile: string;
  /** Certificates of the authority that signed the BMC's. Absent: those of the system. */
  readonly caFile?: string;
  /** Takes any certificate, and plain HTTP: whoever is on the way can read the password. */
  readonly insecure?: boolean;
  readonly timeoutMs?: number;
}

/** Asks one BMC, over one connection that stays open, with the password in every request: no session to leak or to expire. */
export class RedfishClient {
  readonly #origin: URL;
  readonly #agent: http.Agent | https.Agent;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #credentialsFile: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;

  /** @throws {SourceProblem} where the access is not complete. */
  constructor(access: RedfishAccess, signal: AbortSignal) {
    const insecure = access.insecure === true;
    this.#origin = new URL(access.url);
    const secure = this.#origin.protocol === 'https:';
    if (!secure && !insecure) {
      throw new SourceProblem(
        `${this.#origin.origin} would send the password in the clear: write https://, or set insecure = true`,
      );
    }
    const { user, password } = readCredentials(access.credentialsFile);
    const pool = { keepAlive: true, maxSockets: 1 };
    this.#agent = secure
      ? new https.Agent({ ...pool, rejectUnauthorized: !insecure, ...authority(access.caFile) })
      : new http.Agent(pool);
    this.#headers = {
      accept: 'application/json',
      'odata-version': '4.0',
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    };
    this.#credentialsFile = access.credentialsFile;
    this.#timeoutMs = access.timeoutMs ?? 5000;
    this.#signal = signal;
  }

  /** JSON at a path of the service; undefined where there is nothing. */
  async get(path: string): Promise<unknown> {
    let url = new URL(path, this.#origin);
    for (let redirects = 0; ; redirects++) {
      const answer = await exchange(this.#own(url), {
        agent: this.#agent,
        headers: this.#headers,
        timeoutMs: this.#timeoutMs,
        maxBytes: MAX_ANSWER_BYTES,
        signal: this.#signal,
      });
      if (answer.status < 300 || answer.status >= 400) return this.#read(path, answer);
      if (redirects === MAX_REDIRECTS || answer.location === undefined || !URL.canParse(answer.location, url.href)) {
        throw new SourceProblem(`${url.host} answers ${path} with redirections that lead nowhere`);
      }
      url = new URL(answer.location, url);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The password goes to the named BMC, to its Redfish service, and nowhere else. */
  #own(url: URL): URL {
    if (url.origin === this.#origin.origin && url.pathname.startsWith('/redfish/')) return url;
    throw new SourceProblem(
      `${this.#origin.host} redirects to ${shown(url.origin + url.pathname)}, which is not asked: name the right url`,
    );
  }

  #read(path: string, { status, body }: Answer): unknown {
    const { host } = this.#origin;
    if (status === 404) return undefined;
    if (status === 401 || status === 403) {
      const what = status === 401 ? 'refuses the user and password' : `lets this user not read ${path}: those`;
      throw new SourceProblem(`${host} ${what} in ${this.#credentialsFile}; asked again in a minute`, 'locked-out');
    }
    if (status !== 200) throw new SourceProblem(`${host} answers ${path} with status ${status}`);
    try {
      return JSON.parse(body.toString('utf8')) as unknown;
    } catch {
      throw new SourceProblem(`${host} answers ${path} with something that is not JSON`);
    }
  }
}

function authority(file: string | undefined): { ca?: Buffer } {
  if (file === undefined) return {};
  try {
    return { ca: readFileSync(file) };
  } catch (error) {
    throw new SourceProblem(`ca_file ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`);
  }
}
