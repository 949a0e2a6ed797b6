// Name → addresses, by the hosts file and c-ares only. Short positive cache (TTL, at most 10 s) and one query
// at a time per name and family. Must not judge or dial the addresses.
import { promises as dns } from 'node:dns';
import { domainToASCII } from 'node:url';
import { monotonicMs } from '../clock.ts';
import { errorCode, ProbeError } from '../errors.ts';
import { dnsCacheEntriesMax, dnsCacheMaxMs, resolvedAddressesMax } from '../limits.ts';
import { wireText } from '../text.ts';
import { parseAddress } from './address.ts';
import { fileMark, openHostFile } from './host-file.ts';

export interface ResolverOptions {
  /** Servers as `address` or `address:port`; the system's own where missing. */
  readonly servers?: readonly string[];
  /** Milliseconds per try; c-ares doubles it for later tries. Default 2000. */
  readonly timeoutMs?: number;
  /** Default 3. */
  readonly tries?: number;
  /** Default `/etc/hosts`. */
  readonly hostsFile?: string;
}

export interface NameResolver {
  /**
   * Returns at least one address literal of a name. Throws `dns-failure` or `dns-timeout`.
   * Does not end with its caller: queries are shared and end by their own time-outs.
   */
  resolve(name: string, family: 4 | 6): Promise<readonly string[]>;
}

interface Cached {
  readonly addresses: readonly string[];
  readonly untilMs: number;
}

const resolverConfigFile = '/etc/resolv.conf';
const hostCharsMax = 253;

/**
 * Returns the host in the one form that is resolved or dialled: literals without brackets, numeric forms
 * (`0x7f.1`, `2130706433`) as the address they mean, names in ASCII without the last dot.
 * Throws `invalid-target`.
 */
export function normalizeHost(host: string): string {
  const bare = wireText(host, 'host').replace(/^\[(.*)\]$/, '$1');
  if (parseAddress(bare) !== null) return bare;
  const name = domainToASCII(bare.endsWith('.') ? bare.slice(0, -1) : bare);
  if (parseAddress(name) !== null) return name;
  if (name.length > hostCharsMax || !/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name)) {
    throw new ProbeError('invalid-target', { detail: `host ${host}` });
  }
  // What ends in a number is an address to some parser somewhere: never a name.
  if (/(^|\.)(\d+|0x[0-9a-f]*)$/.test(name)) {
    throw new ProbeError('invalid-target', { detail: `host ${host}` });
  }
  return name;
}

/** Returns a resolver; it follows changes of the hosts file and of the system's server list. */
export function createNameResolver(options: ResolverOptions = {}): NameResolver {
  const hosts = openHostFile(options.hostsFile ?? '/etc/hosts');
  const cache = new Map<string, Cached>();
  const pending = new Map<string, Promise<readonly string[]>>();
  let client: dns.Resolver | null = null;
  let clientMark: string | null = null;

  const currentClient = (): dns.Resolver => {
    const mark = options.servers === undefined ? fileMark(resolverConfigFile) : null;
    if (client !== null && mark === clientMark) return client;
    client = new dns.Resolver({ timeout: options.timeoutMs ?? 2000, tries: options.tries ?? 3 });
    if (options.servers !== undefined) client.setServers(options.servers);
    clientMark = mark;
    return client;
  };

  const query = async (name: string, family: 4 | 6): Promise<readonly string[]> => {
    const asked = currentClient();
    let records: readonly { readonly address: string; readonly ttl: number }[];
    try {
      records =
        family === 4
          ? await asked.resolve4(name, { ttl: true })
          : await asked.resolve6(name, { ttl: true });
    } catch (error) {
      throw dnsError(error);
    }
    if (records.length === 0) throw new ProbeError('dns-failure', { network: false });
    if (records.length > resolvedAddressesMax) {
      throw new ProbeError('dns-failure', {
        network: false,
        message: 'host has too many addresses',
      });
    }
    const addresses = records.map((record) => record.address);
    const ttlMs = Math.min(dnsCacheMaxMs, ...records.map((record) => record.ttl * 1000));
    if (ttlMs > 0) remember(`${family}/${name}`, { addresses, untilMs: monotonicMs() + ttlMs });
    return addresses;
  };

  const remember = (key: string, entry: Cached) => {
    if (cache.size >= dnsCacheEntriesMax) {
      const oldest = cache.keys().next();
      if (!oldest.done) cache.delete(oldest.value);
    }
    cache.set(key, entry);
  };

  return {
    async resolve(name, family) {
      const fixed = hosts.addressesOf(name, family);
      if (fixed.length > 0) return fixed;
      const key = `${family}/${name}`;
      const cached = cache.get(key);
      if (cached !== undefined) {
        if (monotonicMs() < cached.untilMs) return cached.addresses;
        cache.delete(key);
      }
      const running = pending.get(key);
      if (running !== undefined) return running;
      const started = query(name, family).finally(() => pending.delete(key));
      pending.set(key, started);
      return started;
    },
  };
}

function dnsError(error: unknown): ProbeError {
  const code = errorCode(error);
  if (code === 'ETIMEOUT') return new ProbeError('dns-timeout', { cause: error });
  // An answer, even a bad one, proves that the resolver is reachable.
  const answered = code === 'ENOTFOUND' || code === 'ENODATA' || code === 'EBADNAME';
  const message = answered ? 'host not found' : undefined;
  return new ProbeError('dns-failure', {
    cause: error,
    detail: code,
    network: !answered,
    ...(message === undefined ? {} : { message }),
  });
}
