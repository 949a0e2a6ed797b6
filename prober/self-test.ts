// Does this prober's own network work? Asked before a target is called down for network reasons (reliability.md
// §4.1): at least one reference peer (other targets that answered in the last minute) or anchor must be reachable
// by the same family. Without anchors and with fewer than three other targets it counts as passed.
// Loopback says nothing about a network: such targets are no peers and need no test. Must not know protocols.
import { isIP } from 'node:net';
import { monotonicMs } from './clock.ts';
import {
  peerAgeMaxMs,
  peerDialTimeoutMs,
  peersKept,
  peersMin,
  peersTried,
  verdictAgeMs,
} from './limits.ts';

export interface Peer {
  readonly address: string;
  /** Null: reachable by echo request. */
  readonly port: number | null;
}

export interface SelfTestOptions {
  /** `address`, `address:port` or `[address]:port`; literals only. */
  readonly anchors: readonly string[];
  /** Resolves to whether the peer answered in any way, within `timeoutMs`. Never rejects. */
  readonly isReachable: (peer: Peer, timeoutMs: number) => Promise<boolean>;
  readonly nowMs?: () => number;
}

/** What failed: the address that did not answer, or null where none was found. */
export interface Suspect {
  readonly family: 4 | 6;
  readonly address: string | null;
}

export interface SelfTest {
  /** A target answered. */
  noteSuccess(address: string, port: number | null): void;
  /** Returns the verdict where one is known without asking anybody: passed, failed, or null. */
  known(suspect: Suspect): boolean | null;
  /** Returns whether the self-test passed; asks peers where the last verdict is older than 5 s. */
  verdict(suspect: Suspect): Promise<boolean>;
}

interface SeenPeer extends Peer {
  readonly seenMs: number;
}

const freshSuccessMs = 1000;

/** Returns the anchors of the settings; throws RangeError for what is no literal with an optional port. */
export function parseAnchors(texts: readonly string[]): Peer[] {
  return texts.map((text) => {
    if (isIP(text) !== 0) return { address: text, port: null };
    const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
    const address = match?.[1] ?? match?.[2] ?? '';
    const port = Number(match?.[3]);
    if (isIP(address) === 0 || port < 1 || port > 65_535)
      throw new RangeError(`not an anchor: ${text}`);
    return { address, port };
  });
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';
const familyOf = (address: string): 4 | 6 => (isIP(address) === 6 ? 6 : 4);

/** Returns the self-test of one prober process. */
export function createSelfTest(options: SelfTestOptions): SelfTest {
  const nowMs = options.nowMs ?? monotonicMs;
  const anchors = parseAnchors(options.anchors);
  // Least recent first: a success moves its address to the end.
  const peers = new Map<string, SeenPeer>();
  const verdicts = new Map<4 | 6, { readonly passed: boolean; readonly atMs: number }>();
  const running = new Map<4 | 6, Promise<boolean>>();

  const others = (suspect: Suspect): SeenPeer[] =>
    [...peers.values()].filter(
      (peer) =>
        familyOf(peer.address) === suspect.family &&
        peer.address !== suspect.address &&
        nowMs() - peer.seenMs <= peerAgeMaxMs,
    );
  const anchorsOf = (family: 4 | 6) => anchors.filter((one) => familyOf(one.address) === family);

  const known = (suspect: Suspect): boolean | null => {
    if (suspect.address !== null && isLoopback(suspect.address)) return true;
    const references = others(suspect);
    if (anchorsOf(suspect.family).length === 0 && references.length < peersMin) return true;
    if (references.some((peer) => nowMs() - peer.seenMs <= freshSuccessMs)) return true;
    const last = verdicts.get(suspect.family);
    return last !== undefined && nowMs() - last.atMs <= verdictAgeMs ? last.passed : null;
  };

  const test = async (suspect: Suspect): Promise<boolean> => {
    const asked = [...anchorsOf(suspect.family), ...others(suspect).toReversed()];
    const tries = asked.slice(0, Math.max(peersTried, anchors.length)).map(async (peer) => {
      if (await options.isReachable(peer, peerDialTimeoutMs)) return true;
      throw new Error('not reachable');
    });
    const passed = await Promise.any(tries).catch(() => false);
    verdicts.set(suspect.family, { passed, atMs: nowMs() });
    return passed;
  };

  return {
    known,
    noteSuccess(address, port) {
      if (isLoopback(address)) return;
      peers.delete(address);
      peers.set(address, { address, port, seenMs: nowMs() });
      if (peers.size <= peersKept) return;
      const oldest = peers.keys().next();
      if (!oldest.done) peers.delete(oldest.value);
    },
    async verdict(suspect) {
      const already = known(suspect);
      if (already !== null) return already;
      const started =
        running.get(suspect.family) ?? test(suspect).finally(() => running.delete(suspect.family));
      running.set(suspect.family, started);
      return started;
    },
  };
}
