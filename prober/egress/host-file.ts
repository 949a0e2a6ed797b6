// The names of /etc/hosts, read again when the file changes. c-ares answers from DNS only, and dns.lookup is
// never used (it shares the thread pool: with a dead resolver eight look-ups took 8 s). Must not dial.
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { monotonicMs } from '../clock.ts';

export interface HostFile {
  /** Returns the addresses of a name in file order; empty where the file does not name it. */
  addressesOf(name: string, family: 4 | 6): readonly string[];
}

const statEveryMs = 1000;
const fileBytesMax = 1024 * 1024;
const wellKnown = new Map<string, readonly string[]>([['localhost', ['127.0.0.1', '::1']]]);

/** Returns the changed-at mark of a file, or null where it cannot be read. */
export function fileMark(path: string): string | null {
  const seen = statSync(path, { throwIfNoEntry: false });
  return seen === undefined || seen.size > fileBytesMax
    ? null
    : `${seen.mtimeMs}/${seen.size}/${seen.ino}`;
}

/** Returns name → addresses of a hosts file's text; lines that cannot be read are passed over. */
export function parseHosts(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*$/, '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const known = found.get(key);
      if (known === undefined) found.set(key, [address]);
      else known.push(address);
    }
  }
  return found;
}

/** Returns the names of a hosts file; it is looked at again at most once a second, when asked. */
export function openHostFile(path: string): HostFile {
  let names: ReadonlyMap<string, readonly string[]> = new Map();
  let mark: string | null = null;
  let nextStatAtMs = -1;
  const refresh = () => {
    const now = monotonicMs();
    if (now < nextStatAtMs) return;
    nextStatAtMs = now + statEveryMs;
    const seen = fileMark(path);
    if (seen === mark) return;
    mark = seen;
    names = seen === null ? new Map() : parseHosts(readFileSync(path, 'latin1'));
  };
  return {
    addressesOf(name, family) {
      refresh();
      const key = name.toLowerCase();
      const found = names.get(key) ?? wellKnown.get(key) ?? [];
      return found.filter((address) => isIP(address) === family);
    },
  };
}
