// Finds a program on a search path, so that it is started by its absolute name. Must not start anything.
import { accessSync, constants } from 'node:fs';
import { isAbsolute, join } from 'node:path';

/** Where programs are looked for when nobody says otherwise. */
export const standardPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Returns the absolute path of an executable, or null. Relative parts of the path are not trusted. */
export function findProgram(name: string, searchPath: string): string | null {
  for (const folder of searchPath.split(':')) {
    if (!isAbsolute(folder)) continue;
    const path = join(folder, name);
    if (isExecutable(path)) return path;
  }
  return null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    // Missing and not ours to run are the same answer; anything else is not expected here.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR') return false;
    throw error;
  }
}
