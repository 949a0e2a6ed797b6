// The heartbeat: what a node says of itself and of others every 200 ms (clustering.md §6), as a record and as bytes.
// Positional array, version first; positions are only ever added at the end. Bytes are not trusted: bounded in size and in
// every list, and every refusal is CL_BAD_HEARTBEAT. Must not know who is suspected.
import { decodeValue, encodeValue } from '../runtime/codec.ts';
import { TocsinError } from '../runtime/errors.ts';
import { type NodeId, nodeId, type ShardId, shardId } from '../runtime/ids.ts';
import { heartbeatLimits } from './limits.ts';

/** One process: a name alone is not enough. */
export interface NodeRun {
  readonly node: NodeId;
  readonly incarnation: string;
}

/** Returns whether both are the same run of the same node. */
export function isSame(a: NodeRun, b: NodeRun): boolean {
  return a.node === b.node && a.incarnation === b.incarnation;
}

export type VoteKind = 'gone' | 'hung' | 'stuck';

export interface Vote extends NodeRun {
  readonly kind: VoteKind;
}

/** The highest sequence number heard of a member: its acknowledgement too. */
export interface Heard extends NodeRun {
  readonly seq: number;
}

/** What a node carries, for placing and for status pages. */
export interface LoadDigest {
  readonly entities: number;
  readonly startsPerMinute: number;
  readonly cpuPermille: number;
  /** The busiest shards with their share of the node's work, at most 16. */
  readonly hotShards: readonly (readonly [shard: ShardId, permille: number])[];
}

export interface Heartbeat extends NodeRun {
  /** From 1, +1 per heartbeat of this incarnation; the same over all relays. */
  readonly seq: number;
  readonly viewVersion: number;
  readonly votes: readonly Vote[];
  readonly verdicts: readonly NodeRun[];
  /** Age of the main loop's last tick. */
  readonly tickAgeMs: number;
  readonly storeReachable: boolean;
  readonly wallMs: number;
  readonly mailboxDepth: number;
  /** Key of the actor that blocks the main loop, told before the watchdog ends the process. */
  readonly culprit: string | null;
  readonly heard: readonly Heard[];
  /** Heard, but not members of this node's view: a denial, if the view is new enough. */
  readonly strangers: readonly NodeRun[];
  /** Highest epoch met in any head row. */
  readonly epochMax: number;
  readonly load: LoadDigest;
}

/** Raised only by a change that an older reader cannot ignore. */
const formatVersion = 1;
const voteKinds: readonly VoteKind[] = ['gone', 'hung', 'stuck'];

/** Returns the bytes of a heartbeat. Lists above their bounds are cut: what comes first counts. */
export function encodeHeartbeat(beat: Heartbeat): Uint8Array {
  return encodeValue([
    formatVersion,
    beat.node,
    beat.incarnation,
    beat.seq,
    beat.viewVersion,
    bounded(beat.votes).map((vote) => [...runPositions(vote), voteKinds.indexOf(vote.kind)]),
    bounded(beat.verdicts).map(runPositions),
    Math.round(beat.tickAgeMs),
    beat.storeReachable ? 1 : 0,
    beat.wallMs,
    beat.mailboxDepth,
    beat.culprit,
    bounded(beat.heard).map((heard) => [...runPositions(heard), heard.seq]),
    bounded(beat.strangers).map(runPositions),
    beat.epochMax,
    [
      beat.load.entities,
      Math.round(beat.load.startsPerMinute),
      Math.round(beat.load.cpuPermille),
      beat.load.hotShards
        .slice(0, heartbeatLimits.hotShards)
        .map(([shard, permille]) => [shard, Math.round(permille)]),
    ],
  ]);
}

function bounded<Item>(items: readonly Item[]): readonly Item[] {
  return items.slice(0, heartbeatLimits.entries);
}

function runPositions(run: NodeRun): readonly (string | number)[] {
  return [run.node, run.incarnation];
}

/** Returns what a peer sent. Throws `CL_BAD_HEARTBEAT`, never another error. */
export function decodeHeartbeat(bytes: Uint8Array): Heartbeat {
  try {
    if (bytes.length > heartbeatLimits.bytes) refuse(`${bytes.length} bytes`);
    return heartbeatOf(list(decodeValue(bytes), 64));
  } catch (cause) {
    throw new TocsinError('CL_BAD_HEARTBEAT', 'a heartbeat that cannot be read', { cause });
  }
}

function heartbeatOf(positions: readonly unknown[]): Heartbeat {
  if (positions[0] !== formatVersion) refuse(`format ${String(positions[0])}`);
  const entries = heartbeatLimits.entries;
  return {
    ...runOf(positions.slice(1, 3)),
    seq: whole(positions[3]),
    viewVersion: whole(positions[4]),
    votes: list(positions[5], entries).map(voteOf),
    verdicts: list(positions[6], entries).map(runOf),
    tickAgeMs: whole(positions[7]),
    storeReachable: positions[8] === 1,
    wallMs: finite(positions[9]),
    mailboxDepth: whole(positions[10]),
    culprit: positions[11] === null ? null : text(positions[11], 1_000),
    heard: list(positions[12], entries).map(heardOf),
    strangers: list(positions[13], entries).map(runOf),
    epochMax: whole(positions[14]),
    load: loadOf(list(positions[15], 32)),
  };
}

function runOf(value: unknown): NodeRun {
  const [node, incarnation] = list(value, 16);
  const text16 = text(incarnation, 16);
  if (!/^[0-9a-z]+$/.test(text16)) refuse('an incarnation');
  return { node: nodeId(text(node, 64)), incarnation: text16 };
}

function voteOf(value: unknown): Vote {
  const kind = voteKinds[whole(list(value, 16)[2])];
  // A kind that a newer program invented is still a vote: silence of some sort.
  return { ...runOf(value), kind: kind ?? 'hung' };
}

function heardOf(value: unknown): Heard {
  return { ...runOf(value), seq: whole(list(value, 16)[2]) };
}

function loadOf(positions: readonly unknown[]): LoadDigest {
  const [entities, starts, cpu, hot] = positions;
  return {
    entities: whole(entities),
    startsPerMinute: whole(starts),
    cpuPermille: whole(cpu),
    hotShards: list(hot, heartbeatLimits.hotShards).map((value) => {
      const [shard, permille] = list(value, 8);
      return [shardId(whole(shard)), whole(permille)] as const;
    }),
  };
}

function list(value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) refuse('an array');
  return value;
}

function text(value: unknown, max: number): string {
  if (typeof value !== 'string' || value.length > max) refuse('a text');
  return value;
}

function whole(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) refuse('a number');
  return value as number;
}

function finite(value: unknown): number {
  if (!Number.isFinite(value)) refuse('a number');
  return value as number;
}

function refuse(what: string): never {
  throw new TypeError(`not part of a heartbeat: ${what}`);
}
