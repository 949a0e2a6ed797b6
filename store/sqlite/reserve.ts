// A file that only keeps room on the disk: deleted when the disk is full, so that decisions go on for a while.
// Must not know what is written into the room.
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Room kept back, bytes: about 8,000 decision batches. */
export const reserveBytesDefault = 16 * 1024 * 1024;
const partBytes = 1024 * 1024;

/** Room that can be given up once and taken back later. */
export interface Reserve {
  /** Gives the room up; false if it was given up before. */
  free(): boolean;
  /** Takes the room (again) if the disk has twice as much free; true if it is held now. */
  fill(): boolean;
}

/** Returns the reserve of a folder, not yet filled. `bytes` 0: none, which counts as held until it is freed. */
export function diskReserve(folder: string, bytes: number): Reserve {
  const path = join(folder, 'reserve');
  let isHeld = bytes === 0;
  return {
    free: () => {
      const wasHeld = isHeld;
      rmSync(path, { force: true });
      isHeld = false;
      return wasHeld;
    },
    fill: () => {
      if (isHeld) return true;
      if (sizeOf(path) >= bytes && bytes > 0) isHeld = true;
      else if (freeBytes(folder) >= 2 * bytes) isHeld = write(path, bytes);
      return isHeld;
    },
  };
}

function write(path: string, bytes: number): boolean {
  const file = openSync(path, 'w', 0o600);
  const part = Buffer.alloc(partBytes, 0xa5);
  try {
    for (let left = bytes; left > 0; ) left -= writeSync(file, part, 0, Math.min(left, partBytes));
    return true;
  } catch (error) {
    rmSync(path, { force: true });
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  } finally {
    closeSync(file);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
