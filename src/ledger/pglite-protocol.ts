/** What the main thread and the PGlite worker say to each other. Everything here passes through structured clone. */
import type { SqlValue } from './database.js';

export interface WorkerSettings {
  readonly dataDir: string;
}

/** `begin` to `commit` or `rollback` is sent by one caller at a time: PGlite is one session. */
export interface WorkerRequest {
  readonly id: number;
  /** undefined: close the database and end. */
  readonly text?: string;
  readonly values?: readonly SqlValue[];
}

export interface WorkerError {
  readonly message: string;
  readonly code?: string;
  readonly detail?: string;
}

export type WorkerReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'rows'; readonly id: number; readonly rows: readonly object[] }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WorkerError }
  | { readonly kind: 'unusable'; readonly error: WorkerError };
