/** What keeps a source from reading: its message is one sentence for an administrator, and never holds a secret. */
export class SourceProblem extends Error {
  override readonly name = 'SourceProblem';
  /** `locked-out`: asking again soon could block the account or this host's address. */
  readonly retry: 'soon' | 'locked-out';

  constructor(message: string, retry: 'soon' | 'locked-out' = 'soon') {
    super(message);
    this.retry = retry;
  }
}

/** Text from outside as it may be shown: one line, no control characters, not long. */
export function shown(text: string, length = 120): string {
  const plain = text.slice(0, 4 * length).replaceAll(/[^\x20-\x7e]+/g, ' ');
  return plain.length > length ? `${plain.slice(0, length)}...` : plain;
}
