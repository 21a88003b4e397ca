import * as koffi from 'koffi';

const LOCK_EX = 2;
const LOCK_NB = 4;

let flock: ((fd: number, operation: number) => number) | undefined;

/**
 * Takes an open file, FIFO or device for this process, against all who ask in this way: flock(2), which ends with the
 * last descriptor of this opening. False where somebody else has it.
 */
export function lockDescriptor(fd: number): boolean {
  flock ??= koffi.load(null).func('int flock(int fd, int operation)') as (fd: number, operation: number) => number;
  return flock(fd, LOCK_EX | LOCK_NB) === 0;
}
