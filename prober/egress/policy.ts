// May this process open a connection to that address and port for that purpose? Pure: addresses in, verdict
// out; default-deny by class (security.md §2, design.md §12). Must not resolve, dial or know tenants.
import {
  type Address,
  type AddressClass,
  classify,
  embedded,
  inRange,
  parseAddress,
  parseRange,
  type Range,
} from './address.ts';

/** What a connection is for: a probe, a notification to a URL, or mail. */
export type EgressPurpose = 'probe' | 'notify' | 'smtp';

export interface PolicyOptions {
  /** `local`: private and loopback targets allowed; `public`: global unicast only. */
  readonly preset: 'local' | 'public';
  /** CIDRs or addresses refused in any case: the cluster's own nodes, stores, opt-outs. */
  readonly deny?: readonly string[];
  /** CIDRs of private targets that `public` allows. Metadata, unspecified and multicast stay refused. */
  readonly allow?: readonly string[];
  /** Ports of the internal list that `public` allows all the same. */
  readonly allowPorts?: readonly number[];
  /** The node's own API: `notify` never reaches it. An unspecified host means every local address. */
  readonly self?: { readonly host: string; readonly port: number } | null;
}

export interface Destination {
  readonly address: Address;
  /** Null where the protocol has no ports (echo requests). */
  readonly port: number | null;
  readonly purpose: EgressPurpose;
}

export type Verdict =
  /** `restricted`: a private address that the operator allowed; bodies of its answers are not returned. */
  | { readonly allowed: true; readonly restricted: boolean }
  | { readonly allowed: false; readonly reason: string };

export interface Policy {
  readonly preset: 'local' | 'public';
  /** Returns the verdict on one destination. `ownAddresses`: literals of this machine's interfaces. */
  judge(destination: Destination, ownAddresses: () => readonly string[]): Verdict;
}

const never: ReadonlySet<AddressClass> = new Set([
  'metadata',
  'unspecified',
  'multicast',
  'broadcast',
]);
const localAllowed: ReadonlySet<AddressClass> = new Set([
  'global',
  'private',
  'loopback',
  'shared',
  'benchmark',
]);
/** Mail relays, NATS, Cassandra, container and cluster management, caches and stores without passwords. */
const internalPorts: ReadonlySet<number> = new Set([
  2375, 2376, 2377, 2379, 2380, 4222, 6222, 8222, 6443, 7000, 7001, 7199, 9042, 9142, 10_250,
  10_255, 10_257, 10_259,
]);
const mailPort = 25;

const refused = (reason: string): Verdict => ({ allowed: false, reason });

/** Returns the policy of these options; throws RangeError for a CIDR or address that cannot be read. */
export function createPolicy(options: PolicyOptions): Policy {
  const deny = (options.deny ?? []).map(parseRange);
  const allow = (options.allow ?? []).map(parseRange);
  const allowPorts = new Set(options.allowPorts ?? []);
  const isSelf = selfMatcher(options.self ?? null);

  const judgeBytes = (bytes: readonly number[]): Verdict => {
    if (deny.some((range) => inRange(bytes, range))) return refused('denied by the operator');
    const found = classify(bytes);
    if (never.has(found)) return refused(found);
    const carried = embedded(bytes);
    for (const inner of carried) {
      const verdict = judgeBytes(inner);
      if (!verdict.allowed) return refused(`${found}: ${verdict.reason}`);
    }
    return judgeClass(found, bytes, carried.length > 0);
  };

  const judgeClass = (
    found: AddressClass,
    bytes: readonly number[],
    isCarrier: boolean,
  ): Verdict => {
    if (found === 'global') return { allowed: true, restricted: false };
    if (found === 'mapped') return { allowed: true, restricted: isAllowed(bytes.slice(12), allow) };
    if (options.preset === 'local') {
      return localAllowed.has(found) || isCarrier
        ? { allowed: true, restricted: false }
        : refused(found);
    }
    return isAllowed(bytes, allow) ? { allowed: true, restricted: true } : refused(found);
  };

  return {
    preset: options.preset,
    judge(destination, ownAddresses) {
      const { address, port, purpose } = destination;
      if (options.preset === 'public' && !isPortAllowed(port, purpose, allowPorts)) {
        return refused(`port ${port}`);
      }
      const verdict = judgeBytes(address.bytes);
      if (!verdict.allowed || port === null || !isSelf(address, port, ownAddresses)) return verdict;
      return purpose === 'notify' || options.preset === 'public' ? refused('own API') : verdict;
    },
  };
}

const isAllowed = (bytes: readonly number[], ranges: readonly Range[]): boolean =>
  ranges.some((range) => inRange(bytes, range));

function isPortAllowed(
  port: number | null,
  purpose: EgressPurpose,
  allowPorts: ReadonlySet<number>,
): boolean {
  if (port === null) return true;
  if (port === mailPort) return purpose === 'smtp';
  return !internalPorts.has(port) || allowPorts.has(port);
}

const mappedBytes = (bytes: readonly number[]): readonly number[] =>
  classify(bytes) === 'mapped' ? bytes.slice(12) : bytes;

type SelfMatcher = (address: Address, port: number, own: () => readonly string[]) => boolean;

const sameBytes = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

function selfMatcher(self: { readonly host: string; readonly port: number } | null): SelfMatcher {
  if (self === null) return () => false;
  const host = self.host.replace(/^\[|\]$/g, '');
  const literals = host === 'localhost' ? ['127.0.0.1', '::1'] : [host];
  const addresses = literals.map(parseAddress);
  const known = addresses.filter((address) => address !== null);
  const everywhere =
    known.length === 0 || known.some((address) => classify(address.bytes) === 'unspecified');
  return (address, port, own) => {
    if (port !== self.port) return false;
    const bytes = mappedBytes(address.bytes);
    if (known.some((one) => sameBytes(one.bytes, bytes))) return true;
    if (!everywhere) return false;
    if (classify(bytes) === 'loopback') return true;
    return own().some((text) => sameBytes(parseAddress(text)?.bytes ?? [], bytes));
  };
}
