// Does a reference peer answer in any way? The self-test's view of the network: the operator's anchors are allowed
// whatever their class, and a refused connection is an answer. Must not know verdicts.
import { monotonicMs } from '../clock.ts';
import { ProbeError } from '../errors.ts';
import type { Pinger } from '../probe/pinger.ts';
import { type Peer, parseAnchors } from '../self-test.ts';
import { createEgress } from './dial.ts';
import type { PolicyOptions } from './policy.ts';

const portWithoutPing = 443;

/** Returns the reachability test of a prober with this policy and these anchors; it never rejects. */
export function createReachability(
  options: PolicyOptions & { readonly anchors: readonly string[] },
  pinger: Pinger,
): (peer: Peer, timeoutMs: number) => Promise<boolean> {
  const anchors = parseAnchors(options.anchors).map((peer) => peer.address);
  const egress = createEgress({ ...options, allow: [...(options.allow ?? []), ...anchors] });
  return async ({ address, port }, timeoutMs) => {
    const signal = AbortSignal.timeout(Math.ceil(timeoutMs));
    const startedMs = monotonicMs();
    try {
      if (port === null && pinger.mode !== 'none') {
        return (await pinger.ping(address, { count: 1, timeoutMs, signal })).length > 0;
      }
      const dialled = { host: address, port: port ?? portWithoutPing, purpose: 'probe' } as const;
      const { socket } = await egress.connect({ ...dialled, timeoutMs, signal });
      socket.destroy();
      return true;
    } catch (error) {
      if (!(error instanceof ProbeError) || monotonicMs() - startedMs > timeoutMs) return false;
      return error.errorClass === 'connection-refused' || error.errorClass === 'connection-reset';
    }
  };
}
