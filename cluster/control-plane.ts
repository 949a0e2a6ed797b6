// How heartbeats and pings travel: over several relays that know nothing of each other (clustering.md §6). What a heartbeat
// says and what silence means is the failure detector's. Implemented by nats/control.ts and memory/network.ts.
import type { Peer } from './frame.ts';

export interface ControlListener {
  /** Connected: what is sent over this relay from now on may arrive. */
  up(relay: string): void;
  down(relay: string): void;
  /** A heartbeat over this relay, the own ones too. The bytes are not trusted. */
  beat(relay: string, bytes: Uint8Array): void;
  pong(relay: string, peer: Peer): void;
  /** The relay says that nobody listens as that incarnation. */
  nobody(relay: string, peer: Peer): void;
}

export interface ControlPlane {
  /** Names of the relays; this node's own, other nodes may call them otherwise. */
  readonly relays: readonly string[];
  listen(listener: ControlListener): void;
  /** Answers pings as this incarnation from now on, and as no other; dials at the first call. */
  begin(peer: Peer): void;
  /** Sends a heartbeat over every connected relay. Returns over how many. */
  broadcast(heartbeat: Uint8Array): number;
  /** Asks for a pong over one relay; an answer is an event, no answer is none. */
  ping(relay: string, peer: Peer): void;
  close(): Promise<void>;
}
