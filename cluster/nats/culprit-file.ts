// Which actor stopped the main loop of the process before this one: a file in the data folder, written by the watchdog and
// read at the next start (clustering.md §14 Poison loop).
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';

export interface Culprit {
  /** Key of the actor; null: the loop stood still between two turns. */
  readonly key: string | null;
  readonly atMs: number;
}

/** Writes the file and waits until it is on disk: the process ends next. */
export function writeCulprit(path: string, culprit: Culprit): void {
  const file = openSync(path, 'w', 0o600);
  try {
    writeSync(file, JSON.stringify(culprit));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Returns what the last process left, or null. A file that cannot be read is none. */
export function readCulprit(path: string): Culprit | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    const { key, atMs } = value as Partial<Culprit>;
    const isWhole = (typeof key === 'string' || key === null) && typeof atMs === 'number';
    return isWhole ? { key, atMs } : null;
  } catch {
    return null; // no file, or half of one
  }
}

/** Removes the file: its actor's quarantine is committed. */
export function removeCulprit(path: string): void {
  rmSync(path, { force: true });
}
