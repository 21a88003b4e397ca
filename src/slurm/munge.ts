/**
 * libmunge through its C interface: seals a payload under the caller's uid and opens what others sealed.
 * The library is loaded on the first call, so that programs which never use MUNGE start without it.
 */
import * as koffi from 'koffi';
import { WattleError } from '../contract/index.js';

/** Context option numbers of munge.h (`munge_opt_t`). */
const MUNGE_OPT_SOCKET = 8;

/** `munge_err_t` of munge.h: the ones a caller can act on. The rest is `munge.invalid`. */
const ERRORS: Readonly<Record<number, { code: string; remedy: string }>> = {
  3: { code: 'munge.too-large', remedy: 'send less in one credential: munged takes at most 1 MiB' },
  6: { code: 'munge.unreachable', remedy: 'start munged on this host, or name its socket in [munge] socket' },
  7: { code: 'munge.unreachable', remedy: 'munged did not answer in time: look at its log' },
  15: { code: 'munge.expired', remedy: 'seal it again; if that repeats, compare the clocks of both hosts' },
  16: { code: 'munge.expired', remedy: 'the credential comes from the future: compare the clocks of both hosts' },
  17: { code: 'munge.replayed', remedy: 'seal the payload again: a credential can be opened once' },
  18: { code: 'munge.unauthorized', remedy: 'the credential was sealed for another user' },
};

export interface OpenedCredential {
  readonly payload: Uint8Array;
  /** Who sealed it, as vouched for by munged. */
  readonly uid: number;
  readonly gid: number;
}

/** koffi 3 hands out addresses as bigint, null for NULL. */
type Pointer = bigint | null;
type AsyncCall = (...args: unknown[]) => Promise<number>;

interface Library {
  createContext(): Pointer;
  setOption(context: Pointer, option: number, type: string, value: string): number;
  destroyContext(context: Pointer): void;
  encode: AsyncCall;
  decode: AsyncCall;
  describe(error: number): string;
  free(pointer: Pointer): void;
}

let loaded: Library | undefined;

function library(): Library {
  if (loaded) return loaded;
  let handle: koffi.LibraryHandle;
  try {
    handle = koffi.load('libmunge.so.2');
  } catch (cause) {
    throw new WattleError(
      'munge.missing',
      'libmunge.so.2 cannot be loaded',
      'install MUNGE (Debian: apt-get install libmunge2 munge)',
      { cause },
    );
  }
  const free = koffi.load(null).func('void free(void *pointer)');
  const credential = koffi.disposable('str', free);
  const encode = handle.func('munge_encode', 'int', [
    koffi.out(koffi.pointer(credential)),
    'void *',
    'const uint8_t *',
    'int',
  ]);
  const decode = handle.func('munge_decode', 'int', [
    'str',
    'void *',
    koffi.out(koffi.pointer('void *')),
    koffi.out('int *'),
    koffi.out('uint32_t *'),
    koffi.out('uint32_t *'),
  ]);
  const setOption = handle.func('int munge_ctx_set(void *context, int option, ...)');
  loaded = {
    createContext: handle.func('void *munge_ctx_create()') as () => Pointer,
    setOption: setOption as Library['setOption'],
    destroyContext: handle.func('void munge_ctx_destroy(void *context)') as (context: Pointer) => void,
    encode: asyncCall(encode),
    decode: asyncCall(decode),
    describe: handle.func('const char *munge_strerror(int error)') as (error: number) => string,
    free: free as (pointer: Pointer) => void,
  };
  return loaded;
}

/** koffi runs the call on a worker thread of its own pool: munged may take its time, the event loop may not. */
function asyncCall(call: { async: (...args: unknown[]) => unknown }): AsyncCall {
  return (...args) =>
    new Promise((resolve, reject) => {
      call.async(...args, (error: unknown, status: number) => {
        if (error) reject(error instanceof Error ? error : new Error('libmunge call failed'));
        else resolve(status);
      });
    });
}

export class Munge {
  readonly #socket: string | undefined;

  /** @param options.socket munged's socket; absent means the library's own default. */
  constructor(options: { socket?: string | undefined } = {}) {
    this.#socket = options.socket;
  }

  /** Seals `payload` (at most 1 MiB). Seal again for every try: the receiver opens a credential once. */
  async seal(payload: Uint8Array): Promise<string> {
    return this.#withContext(async (munge, context) => {
      const credential: [string | null] = [null];
      this.#check(munge, await munge.encode(credential, context, payload, payload.byteLength));
      return credential[0] ?? '';
    });
  }

  /** Opens a credential. @throws WattleError `munge.replayed`, `.expired`, `.invalid`, `.unauthorized`, `.unreachable`. */
  async open(credential: string): Promise<OpenedCredential> {
    return this.#withContext(async (munge, context) => {
      const buffer: [Pointer] = [null];
      const length = [0];
      const uid = [0];
      const gid = [0];
      const status = await munge.decode(credential, context, buffer, length, uid, gid);
      try {
        this.#check(munge, status);
        const bytes = length[0] ?? 0;
        // The library leaves the pointer null for an empty payload.
        const payload = bytes === 0 ? new Uint8Array() : new Uint8Array(koffi.view(buffer[0], bytes)).slice();
        return { payload, uid: uid[0] ?? -1, gid: gid[0] ?? -1 };
      } finally {
        // Also set where the credential was refused as expired or replayed.
        if (buffer[0] !== null) munge.free(buffer[0]);
      }
    });
  }

  /** A context is not thread-safe, and calls run on worker threads: each call has its own. */
  async #withContext<T>(use: (munge: Library, context: Pointer) => Promise<T>): Promise<T> {
    const munge = library();
    const context = munge.createContext();
    try {
      if (this.#socket !== undefined) {
        this.#check(munge, munge.setOption(context, MUNGE_OPT_SOCKET, 'str', this.#socket));
      }
      return await use(munge, context);
    } finally {
      munge.destroyContext(context);
    }
  }

  #check(munge: Library, status: number): void {
    if (status === 0) return;
    const known = ERRORS[status];
    throw new WattleError(
      known?.code ?? 'munge.invalid',
      `MUNGE: ${munge.describe(status)}${this.#socket === undefined ? '' : ` (socket ${this.#socket})`}`,
      known?.remedy ?? 'check that both hosts share one MUNGE key',
    );
  }
}
