// The view ↔ bytes: positional arrays with a version first (clustering.md §20). Positions are only ever added at the end;
// a reader ignores those that it does not know. Bytes are not trusted: every refusal is CL_VIEW_DAMAGED.
import { decodeValue, encodeValue } from '../runtime/codec.ts';
import { TocsinError } from '../runtime/errors.ts';
import { type NodeId, nodeId, type ShardId, shardId } from '../runtime/ids.ts';
import { viewLimits } from './limits.ts';
import type { Member, View } from './view.ts';

/** Raised only by a change that an older reader cannot ignore. */
const formatVersion = 1;

/** Returns the row's body; the version stands beside it in the row. The same view always gives the same bytes. */
export function encodeView(view: View): Uint8Array {
  return encodeValue([
    formatVersion,
    view.hashId,
    view.shards,
    view.serial === 'local' ? 0 : 1,
    view.protoActive,
    [...view.members].map(([name, member]) => [
      name,
      member.incarnation,
      member.address,
      member.weight,
      member.zone,
      member.protoMin,
      member.protoMax,
      member.state === 'up' ? 0 : 1,
      member.sinceVersion,
    ]),
    [...view.overrides].sort(([a], [b]) => a - b),
    [...view.deaths].map(([name, times]) => [name, [...times]]),
  ]);
}

/** Returns the view of a row. Throws `CL_VIEW_DAMAGED`, never another error. */
export function decodeView(version: number, body: Uint8Array): View {
  try {
    return viewOf(version, decodeValue(body));
  } catch (cause) {
    const message = `the row of the view, version ${version}, cannot be read`;
    throw new TocsinError('CL_VIEW_DAMAGED', message, { cause });
  }
}

function viewOf(version: number, value: unknown): View {
  const [format, hash, shards, serial, protoActive, members, overrides, deaths] = list(value, 16);
  if (format !== formatVersion) refuse(`format ${String(format)}`);
  if (serial !== 0 && serial !== 1) refuse('serial');
  return {
    version: whole(version, Number.MAX_SAFE_INTEGER),
    hashId: text(hash, 64),
    shards: whole(shards, 1_048_576),
    serial: serial === 0 ? 'local' : 'global',
    protoActive: whole(protoActive, 65_535),
    members: new Map(list(members, viewLimits.members).map(memberOf).sort(byName)),
    overrides: new Map(list(overrides, viewLimits.overrides).map(overrideOf)),
    deaths: new Map(list(deaths ?? [], viewLimits.deathNames + 1).map(deathsOf)),
  };
}

function memberOf(value: unknown): readonly [NodeId, Member] {
  const [name, incarnation, address, weight, zone, protoMin, protoMax, state, since] = list(
    value,
    32,
  );
  if (state !== 0 && state !== 1) refuse('the state of a member');
  const member: Member = {
    incarnation: incarnationOf(incarnation),
    address: text(address, 300),
    weight: whole(weight, viewLimits.weight),
    zone: text(zone, 100),
    protoMin: whole(protoMin, 65_535),
    protoMax: whole(protoMax, 65_535),
    state: state === 0 ? 'up' : 'draining',
    sinceVersion: whole(since, Number.MAX_SAFE_INTEGER),
  };
  return [nodeId(text(name, 64)), member];
}

function overrideOf(value: unknown): readonly [ShardId, NodeId] {
  const [shard, node] = list(value, 8);
  return [shardId(whole(shard, 1_048_576)), nodeId(text(node, 64))];
}

function deathsOf(value: unknown): readonly [NodeId, readonly number[]] {
  const [node, times] = list(value, 8);
  const atMs = list(times, viewLimits.deathsToDamp);
  return [nodeId(text(node, 64)), atMs.map((at) => whole(at, Number.MAX_SAFE_INTEGER))];
}

function byName([a]: readonly [NodeId, Member], [b]: readonly [NodeId, Member]): number {
  return a < b ? -1 : 1;
}

function incarnationOf(value: unknown): string {
  const incarnation = text(value, 16);
  if (!/^[0-9a-z]{1,16}$/.test(incarnation)) refuse('an incarnation');
  return incarnation;
}

function list(value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) refuse('an array');
  return value;
}

function text(value: unknown, max: number): string {
  if (typeof value !== 'string' || value.length > max) refuse('a text');
  return value;
}

function whole(value: unknown, max: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > max) {
    refuse('a number');
  }
  return value as number;
}

function refuse(what: string): never {
  throw new TypeError(`not part of a view: ${what}`);
}
