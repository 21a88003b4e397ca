/**
 * system/: calls of the operating system that Node has no face for: flock(2) and SO_PEERCRED.
 * Each is one small function over libc.
 * Must never: know what it is used for, or grow what Node itself can do.
 */
export { lockDirectory, type DirectoryLock } from './directory-lock.js';
export { lockDescriptor } from './flock.js';
export { peerUid } from './peer.js';
