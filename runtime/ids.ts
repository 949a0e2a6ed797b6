// Branded identifiers of the runtime and the one parser of each; a bare string never crosses a folder.
// Follows clustering: shard = murmur3_x86_32(utf8(nfc(key)), seed 0) & 1023, frozen.
import { TocsinError } from './errors.ts';

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Key of an actor: `tenant` for a tenant actor, `tenant/entity` for an entity actor. NFC, 1..400 UTF-8 bytes. */
export type ActorKey = Branded<string, 'ActorKey'>;
/** Unit of ownership, 0..1023. */
export type ShardId = Branded<number, 'ShardId'>;
/** Fencing number of a shard; grows with each claim. Below 2^53. */
export type Epoch = Branded<number, 'Epoch'>;
/** Name of a node: `[A-Za-z0-9_-]{1,64}`. */
export type NodeId = Branded<string, 'NodeId'>;

export const shardsTotal = 1024;
const keyBytesMax = 400;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const controlCharacters = /[\u0000-\u001f\u007f]/;

/** Returns the key of an actor; throws `RT_BAD_KEY` for an empty, too long or unprintable text. */
export function actorKey(text: string): ActorKey {
  const normal = text.normalize('NFC');
  if (normal === '' || Buffer.byteLength(normal) > keyBytesMax || controlCharacters.test(normal)) {
    throw new TocsinError('RT_BAD_KEY', `not an actor key: ${JSON.stringify(text.slice(0, 80))}`);
  }
  return normal as ActorKey;
}

/** Returns the first part of a key, the tenant: the whole key of a tenant actor. */
export function tenantOf(key: ActorKey): string {
  const slash = key.indexOf('/');
  return slash === -1 ? key : key.slice(0, slash);
}

/** Returns the second part of a key, or null where the key has none. */
export function entityOf(key: ActorKey): string | null {
  const slash = key.indexOf('/');
  return slash === -1 ? null : key.slice(slash + 1);
}

/** Returns the shard as a branded number; throws `RT_BAD_KEY` outside 0..1023. */
export function shardId(value: number): ShardId {
  if (!Number.isInteger(value) || value < 0 || value >= shardsTotal) {
    throw new TocsinError('RT_BAD_KEY', `not a shard: ${value}`);
  }
  return value as ShardId;
}

/** Returns an epoch as a branded number; throws `RT_BAD_KEY` where it is not a whole number >= 0. */
export function epoch(value: number): Epoch {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new TocsinError('RT_BAD_KEY', `not an epoch: ${value}`);
  }
  return value as Epoch;
}

/** Returns a node's name; throws `RT_BAD_KEY` for other characters or lengths. */
export function nodeId(text: string): NodeId {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) {
    throw new TocsinError('RT_BAD_KEY', `not a node name: ${JSON.stringify(text.slice(0, 80))}`);
  }
  return text as NodeId;
}

/** Returns the shard that owns a key. Frozen: stored rows depend on it. */
export function shardOf(key: ActorKey): ShardId {
  return (murmur3(shardBytes(key)) & (shardsTotal - 1)) as ShardId;
}

/** For keys of ASCII alone, which are their own NFC and UTF-8: asked for at every effect, so nothing is allocated. */
const asciiBytes = Array.from({ length: keyBytesMax + 1 }, (_, length) => new Uint8Array(length));

function shardBytes(key: ActorKey): Uint8Array {
  const bytes = asciiBytes[key.length];
  if (bytes === undefined) return Buffer.from(key.normalize('NFC'), 'utf8');
  for (let at = 0; at < bytes.length; at++) {
    const code = key.charCodeAt(at);
    if (code > 0x7f) return Buffer.from(key.normalize('NFC'), 'utf8');
    bytes[at] = code;
  }
  return bytes;
}

/** Returns murmur3_x86_32 with seed 0 as an unsigned 32-bit number. */
export function murmur3(bytes: Uint8Array): number {
  let hash = 0;
  const blocksEnd = bytes.length & ~3;
  for (let at = 0; at < blocksEnd; at += 4) {
    const block =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    hash ^= scramble(block);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= blocksEnd; at--) tail = (tail << 8) | (bytes[at] as number);
  if (bytes.length > blocksEnd) hash ^= scramble(tail);
  return avalanche(hash ^ bytes.length);
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

function avalanche(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
