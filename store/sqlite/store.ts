// The embedded store: the whole port over one SQLite file that one worker thread owns. For a node that runs alone.
// Follows storage.md §12.
import type { Logger, Store } from '../../runtime/ports.ts';
import { assembleStore } from '../assemble.ts';
import { storeError } from '../errors.ts';
import { reserveBytesDefault } from './reserve.ts';
import { WorkerLink } from './worker-link.ts';

/** How long a ping waits for the thread, ms; a disk that hangs longer counts as down. */
const pingWaitMs = 5000;

/**
 * Opens the store of `folder` (made where missing; folder 0700, files 0600), for this process alone until closed.
 * Writes are acknowledged after an fsync that all writes gathered meanwhile share. Rejects with `ST_LOCKED`,
 * `ST_SCHEMA_NEWER`, `ST_CORRUPT` or `ST_OPEN_FAILED`. `reserveBytes`: room kept for decisions when the disk is full.
 */
export async function openSqliteStore(options: {
  folder: string;
  logger?: Logger;
  reserveBytes?: number;
}): Promise<Store> {
  const { folder, logger = null, reserveBytes = reserveBytesDefault } = options;
  const link = await WorkerLink.start({ folder, reserveBytes }, logger);
  return assembleStore(link.call, {
    ping: () => withDeadline(link.call('ping')),
    close: () => link.close(),
  });
}

async function withDeadline(answer: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(storeError('ST_UNAVAILABLE', `the store did not answer within ${pingWaitMs} ms`));
    }, pingWaitMs);
  });
  try {
    await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
