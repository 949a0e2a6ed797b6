// What every datagram socket of the prober shares: it never looks up a name. Pure.
import { isIP } from 'node:net';

/** `dgram` calls this instead of dns.lookup: addresses were resolved and validated before. */
export function literalOnly(
  host: string,
  _options: unknown,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  const family = isIP(host);
  const error = family === 0 ? new Error('not an address literal') : null;
  process.nextTick(callback, error, host, family);
}
