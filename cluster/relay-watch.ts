// The relays (one NATS server each) as the detector sees them: connected, passing, young (clustering.md §6).
// Pure bookkeeping of events with monotonic instants. Must not know members or votes.
import { detectorLimits } from './limits.ts';

interface Relay {
  connectedAtMs: number;
  /** When the newest own heartbeat that came back over it was sent. */
  echoOfMs: number;
}

export class RelayWatch {
  readonly #relays = new Map<string, Relay>();
  /** Own heartbeats by sequence number: when they were sent. */
  readonly #sentAtMs = new Map<number, number>();

  up(relay: string, atMs: number): void {
    this.#relays.set(relay, { connectedAtMs: atMs, echoOfMs: Number.NEGATIVE_INFINITY });
  }

  down(relay: string): void {
    this.#relays.delete(relay);
  }

  sent(seq: number, atMs: number): void {
    this.#sentAtMs.set(seq, atMs);
    if (this.#sentAtMs.size <= detectorLimits.sentKept) return;
    const [oldest] = this.#sentAtMs.keys();
    this.#sentAtMs.delete(oldest as number);
  }

  echoed(name: string, seq: number): void {
    const relay = this.#relays.get(name);
    const sentAtMs = this.#sentAtMs.get(seq);
    if (relay === undefined || sentAtMs === undefined) return;
    relay.echoOfMs = Math.max(relay.echoOfMs, sentAtMs);
  }

  connected(): readonly string[] {
    return [...this.#relays.keys()];
  }

  /** Returns the relays over which an own heartbeat came back that was sent within 500 ms. */
  passing(nowMs: number): readonly string[] {
    return [...this.#relays]
      .filter(([, relay]) => nowMs - relay.echoOfMs <= detectorLimits.passingMs)
      .map(([name]) => name);
  }

  isYoung(name: string, nowMs: number): boolean {
    const relay = this.#relays.get(name);
    return relay !== undefined && nowMs - relay.connectedAtMs < detectorLimits.youngMs;
  }
}
