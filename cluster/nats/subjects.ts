// The whole wire map on one page: every subject that this project speaks on NATS, how it is made and how it is read back.
// Users and permissions of docs/nats/users.conf are this page in the server's language. Pure.
//
//   tocsin.<cluster>.hb.<relay>                      heartbeats, on the control connection to that server
//   tocsin.<cluster>.c.<node>.<incarnation>.<relay>  pings to a node, on the control connection to that server
//   tocsin.<cluster>.n.<node>.<incarnation>          frames to a node
//   tocsin.<cluster>.zone.<zone>.probe               probe requests, queue group <zone>
//   tocsin.<cluster>.zone.<zone>.hello               a zone's probers tell what they can
//   _IN.<user>.>                                     answers, and `no responders` of what was published
import { TocsinError } from '../../runtime/errors.ts';
import type { Peer } from '../frame.ts';

/** What may stand between two dots: also a node's name, an incarnation, a zone and a cluster. */
const token = /^[A-Za-z0-9_-]{1,64}$/;

/** Subjects of one cluster. Every function throws `CL_BAD_NAME` for a name that is no single token. */
export interface Subjects {
  heartbeat(relay: string): string;
  ping(peer: Peer, relay: string): string;
  frames(peer: Peer): string;
  probes(zone: string): string;
  hellos(zone: string): string;
  /** Hellos of all zones. */
  readonly allHellos: string;
}

/** Returns the subjects of a cluster; throws `CL_BAD_NAME` where its name is no token. */
export function subjectsOf(cluster: string): Subjects {
  const prefix = `tocsin.${checked(cluster, 'a cluster')}`;
  const inbox = ({ node, incarnation }: Peer): string =>
    `${checked(node, 'a node')}.${checked(incarnation, 'an incarnation')}`;
  return {
    heartbeat: (relay) => `${prefix}.hb.${checked(relay, 'a relay')}`,
    ping: (peer, relay) => `${prefix}.c.${inbox(peer)}.${checked(relay, 'a relay')}`,
    frames: (peer) => `${prefix}.n.${inbox(peer)}`,
    probes: (zone) => `${prefix}.zone.${checked(zone, 'a zone')}.probe`,
    hellos: (zone) => `${prefix}.zone.${checked(zone, 'a zone')}.hello`,
    allHellos: `${prefix}.zone.*.hello`,
  };
}

/** What a subject of this project is about. */
export type ParsedSubject =
  | { readonly kind: 'heartbeat'; readonly cluster: string; readonly relay: string }
  | {
      readonly kind: 'ping';
      readonly cluster: string;
      readonly peer: Peer;
      readonly relay: string;
    }
  | { readonly kind: 'frames'; readonly cluster: string; readonly peer: Peer }
  | { readonly kind: 'probe' | 'hello'; readonly cluster: string; readonly zone: string };

/** Returns what a subject says, or null where it is none of this page. */
export function parseSubject(subject: string): ParsedSubject | null {
  const tokens = subject.split('.');
  if (tokens[0] !== 'tocsin' || !tokens.every((part) => token.test(part))) return null;
  const [, cluster, kind, a, b, c] = tokens as string[];
  if (cluster === undefined || a === undefined) return null;
  if (kind === 'hb' && tokens.length === 4) return { kind: 'heartbeat', cluster, relay: a };
  if (b === undefined) return null;
  if (kind === 'n' && tokens.length === 5) {
    return { kind: 'frames', cluster, peer: { node: a, incarnation: b } };
  }
  if (kind === 'c' && tokens.length === 6 && c !== undefined) {
    return { kind: 'ping', cluster, peer: { node: a, incarnation: b }, relay: c };
  }
  if (kind === 'zone' && tokens.length === 5 && (b === 'probe' || b === 'hello')) {
    return { kind: b, cluster, zone: a };
  }
  return null;
}

/** Returns the name of a relay for a server's `server_name`: other characters than a token's become `_`. */
export function relayOf(serverName: string): string {
  return serverName.slice(0, 64).replaceAll(/[^A-Za-z0-9_-]/g, '_') || '_';
}

/** Inboxes of all nodes and probers. */
const inboxRoot = '_IN.';

/** Returns the private prefix of a user's inboxes. Throws `CL_BAD_NAME`. */
export function inboxPrefix(user: string): string {
  return `${inboxRoot}${checked(user, 'a user')}`;
}

/** True where an answer to `reply` goes to an inbox of this project, of `user` if one is named, and nowhere else. */
export function isInbox(reply: string | undefined, user?: string): reply is string {
  const prefix = user === undefined ? inboxRoot : `${inboxRoot}${user}.`;
  return reply?.startsWith(prefix) === true;
}

/** Returns where `no responders` of frames to `peer` arrive: one subject per peer, so that it names the peer. */
export function nobodyInbox(prefix: string, peer: Peer): string {
  return `${prefix}.nobody.${checked(peer.node, 'a node')}.${checked(peer.incarnation, 'an incarnation')}`;
}

/** Returns the peer that a subject made by `nobodyInbox` names, or null. */
export function peerOfNobody(prefix: string, subject: string): Peer | null {
  const start = `${prefix}.nobody.`;
  if (!subject.startsWith(start)) return null;
  const [node, incarnation, ...rest] = subject.slice(start.length).split('.');
  if (node === undefined || incarnation === undefined || rest.length > 0) return null;
  return { node, incarnation };
}

function checked(text: string, what: string): string {
  if (!token.test(text)) {
    throw new TocsinError('CL_BAD_NAME', `not ${what}: ${JSON.stringify(text.slice(0, 80))}`);
  }
  return text;
}
