// The page's files, read once at start: a fixed table, so that no request names a file.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WebFile } from './ports.ts';

const table = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/page.css', 'page.css', 'text/css; charset=utf-8'],
  ['/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['/cluster.js', 'cluster.js', 'text/javascript; charset=utf-8'],
  ['/icon.svg', 'icon.svg', 'image/svg+xml'],
] as const;

/** Returns the files by path. Throws where one is missing: an installation without its page is broken. */
export function readWebFiles(folder: string): ReadonlyMap<string, WebFile> {
  return new Map(
    table.map(([path, name, type]) => [path, { type, bytes: readFileSync(join(folder, name)) }]),
  );
}
