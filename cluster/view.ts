// The agreed view: members, incarnations, weights, overrides, protocol range; one row, one version (clustering.md §6).
// Pure: every change is a function View → View that the caller writes by compare-and-set on the old version.
// Must not know how it is stored, who is suspected, or what a shard holds.
import { TocsinError } from '../runtime/errors.ts';
import { type NodeId, type ShardId, shardsTotal } from '../runtime/ids.ts';
import { viewLimits } from './limits.ts';

/** Name of the frozen shard function (runtime/ids.ts): murmur3_x86_32 of the NFC key in UTF-8, seed 0. */
const hashId = 'murmur3_x86_32:nfc:0';

/** Protocol versions that this program speaks. */
export const ownProtocol = { min: 1, max: 1 } as const;

export interface Member {
  /** 64 random bits in base36: a restarted process is another one. */
  readonly incarnation: string;
  /** Where the API of the node answers, `host:port`. */
  readonly address: string;
  /** 0..16; 0: owns nothing. */
  readonly weight: number;
  /** Label of its failure zone. */
  readonly zone: string;
  readonly protoMin: number;
  readonly protoMax: number;
  readonly state: 'up' | 'draining';
  /** View version with which this incarnation joined. */
  readonly sinceVersion: number;
}

export interface View {
  readonly version: number;
  readonly hashId: string;
  readonly shards: number;
  /** Which serial consistency all nodes use: one region or several. */
  readonly serial: 'local' | 'global';
  /** min(protoMax) of the members; only rises. */
  readonly protoActive: number;
  /** In order of their names. */
  readonly members: ReadonlyMap<NodeId, Member>;
  readonly overrides: ReadonlyMap<ShardId, NodeId>;
  /** Flap damping: wall ms of the last 3 declared deaths of a name. */
  readonly deaths: ReadonlyMap<NodeId, readonly number[]>;
}

/** What a program needs to agree with the cluster on, for ever. */
export type ViewConstants = Pick<View, 'hashId' | 'shards' | 'serial'>;

/** Returns the view before the first join: version 0, which is never stored. */
export function emptyView(serial: View['serial']): View {
  return {
    version: 0,
    hashId,
    shards: shardsTotal,
    serial,
    protoActive: 0,
    members: new Map(),
    overrides: new Map(),
    deaths: new Map(),
  };
}

/** Throws `CL_HASH_MISMATCH`, `CL_SHARDS_MISMATCH` or `CL_SERIAL_MISMATCH`: such a program must not start. */
export function assertSameConstants(view: ViewConstants, own: ViewConstants): void {
  const differ = (code: string, what: 'hashId' | 'shards' | 'serial'): void => {
    if (view[what] === own[what]) return;
    const message = `the cluster has ${what} ${view[what]}, this program ${own[what]}`;
    throw new TocsinError(code, message, { details: { cluster: view[what], own: own[what] } });
  };
  differ('CL_HASH_MISMATCH', 'hashId');
  differ('CL_SHARDS_MISMATCH', 'shards');
  differ('CL_SERIAL_MISMATCH', 'serial');
}

/** Returns the majority of the view: floor(n / 2) + 1, 1 where it is empty. */
export function majorityOf(view: View): number {
  return Math.floor(view.members.size / 2) + 1;
}

/** Returns whether exactly this incarnation is a member. */
export function lists(view: View, node: NodeId, incarnation: string): boolean {
  return view.members.get(node)?.incarnation === incarnation;
}

/** Returns whether an owner `node/incarnation` of a head row is a member: nobody may claim from it (clustering.md §7). */
export function listsOwner(view: View, owner: string): boolean {
  const slash = owner.indexOf('/');
  return slash > 0 && lists(view, owner.slice(0, slash) as NodeId, owner.slice(slash + 1));
}

/** Returns the `owner` of a head row. */
export function ownerOf(node: NodeId, incarnation: string): string {
  return `${node}/${incarnation}`;
}

/**
 * Returns the view with a new incarnation of `node`; an older one is replaced (killed) by the same change. It joins with
 * weight 0 if its name died 3 times in 10 min. Throws `CL_PROTOCOL_MISMATCH` where it cannot speak the active protocol,
 * `CL_VIEW_FULL` above the largest cluster.
 */
export function withMember(
  view: View,
  node: NodeId,
  joining: Omit<Member, 'sinceVersion'>,
  nowMs: number,
): View {
  if (lists(view, node, joining.incarnation)) return view;
  const isFirst = view.protoActive === 0;
  if (!isFirst && (joining.protoMax < view.protoActive || joining.protoMin > view.protoActive)) {
    throw new TocsinError('CL_PROTOCOL_MISMATCH', protocolText(view, joining), {
      details: { active: view.protoActive, min: joining.protoMin, max: joining.protoMax },
    });
  }
  if (!view.members.has(node) && view.members.size >= viewLimits.members) {
    throw new TocsinError('CL_VIEW_FULL', `the cluster has ${view.members.size} members already`);
  }
  const damped = dampedUntilMs(view, node, nowMs) !== null;
  const member: Member = {
    ...joining,
    weight: damped ? 0 : boundedWeight(joining.weight),
    sinceVersion: view.version + 1,
  };
  const deaths = recentDeaths(view.deaths, nowMs);
  return changed(view, { members: new Map([...view.members, [node, member]]), deaths });
}

function protocolText(view: View, joining: Pick<Member, 'protoMin' | 'protoMax'>): string {
  return `the cluster speaks protocol ${view.protoActive}, this node ${joining.protoMin} to ${joining.protoMax}`;
}

/**
 * Returns the view without that incarnation; the same view if it is no member. `died` records the death for flap damping
 * (a leave is none).
 */
export function withoutMember(
  view: View,
  node: NodeId,
  incarnation: string,
  died: { readonly atMs: number } | null,
): View {
  if (!lists(view, node, incarnation)) return view;
  const members = new Map(view.members);
  members.delete(node);
  if (died === null) return changed(view, { members });
  const deaths = recentDeaths(view.deaths, died.atMs);
  const own = [...(deaths.get(node) ?? []), died.atMs].slice(-viewLimits.deathsToDamp);
  deaths.delete(node);
  deaths.set(node, own);
  return changed(view, { members, deaths });
}

/** Returns the view with the state of that incarnation; the same view where nothing changes or it is no member. */
export function withState(
  view: View,
  node: NodeId,
  incarnation: string,
  state: Member['state'],
): View {
  return withChangedMember(view, node, incarnation, { state });
}

/** Returns the view with the weight (0..16, rounded) of that incarnation; the same view where nothing changes. */
export function withWeight(view: View, node: NodeId, incarnation: string, weight: number): View {
  return withChangedMember(view, node, incarnation, { weight: boundedWeight(weight) });
}

function withChangedMember(
  view: View,
  node: NodeId,
  incarnation: string,
  change: Partial<Pick<Member, 'state' | 'weight'>>,
): View {
  const member = view.members.get(node);
  if (member === undefined || member.incarnation !== incarnation) return view;
  const next = { ...member, ...change };
  if (next.state === member.state && next.weight === member.weight) return view;
  return changed(view, { members: new Map([...view.members, [node, next]]) });
}

/** Returns the view with a shard pinned to a node, or (null) unpinned; the same view where nothing changes. Throws `CL_VIEW_FULL`. */
export function withOverride(view: View, shard: ShardId, node: NodeId | null): View {
  if ((view.overrides.get(shard) ?? null) === node) return view;
  const overrides = new Map(view.overrides);
  if (node === null) overrides.delete(shard);
  else overrides.set(shard, node);
  if (overrides.size > viewLimits.overrides) {
    throw new TocsinError('CL_VIEW_FULL', `more than ${viewLimits.overrides} pinned shards`);
  }
  return changed(view, { overrides });
}

/**
 * Returns the same view under a higher version. Used once per batch of moves (the new owners claim with it), and by a
 * claimer that meets epochs at or above the version: `atLeast` = highest epoch seen + 1.
 */
export function withVersion(view: View, atLeast: number = view.version + 1): View {
  return { ...view, version: Math.max(view.version + 1, atLeast) };
}

/** Returns until when (wall ms) a name joins with weight 0, or null: it did not die 3 times in 10 min. */
export function dampedUntilMs(view: View, node: NodeId, nowMs: number): number | null {
  const deaths = (view.deaths.get(node) ?? []).filter((atMs) => isRecent(atMs, nowMs));
  const first = deaths.at(-viewLimits.deathsToDamp);
  return first === undefined ? null : first + viewLimits.deathKeepMs;
}

/** Clocks of the declarers differ: a death "in the future" by less than the window counts too. */
function isRecent(atMs: number, nowMs: number): boolean {
  return Math.abs(nowMs - atMs) < viewLimits.deathKeepMs;
}

function recentDeaths(deaths: View['deaths'], nowMs: number): Map<NodeId, readonly number[]> {
  const kept = [...deaths].filter(([, times]) => times.some((atMs) => isRecent(atMs, nowMs)));
  return new Map(kept.slice(-viewLimits.deathNames));
}

function boundedWeight(weight: number): number {
  const whole = Math.round(weight);
  return Number.isNaN(whole) ? 0 : Math.min(viewLimits.weight, Math.max(0, whole));
}

/** The one place that makes a next version: members in order of name, the active protocol raised where all allow. */
function changed(view: View, change: Partial<Omit<View, 'version' | 'protoActive'>>): View {
  const next = { ...view, ...change, version: view.version + 1 };
  const members = new Map([...next.members].sort(([a], [b]) => (a < b ? -1 : 1)));
  const speakable = Math.min(...[...members.values()].map((member) => member.protoMax));
  const protoActive = members.size === 0 ? view.protoActive : Math.max(view.protoActive, speakable);
  return { ...next, members, protoActive };
}
