// What must not compile: each line below an @ts-expect-error is an error, or the type check of the project fails.
// At run time the same values go through the parsers.
import t from 'tap';
import type { Behaviour } from '../runtime/behaviour.ts';
import type { DecisionRow, DocumentKind, Effect, RowKind } from '../runtime/effect.ts';
import {
  type ActorKey,
  actorKey,
  type Epoch,
  entityOf,
  epoch,
  murmur3,
  type NodeId,
  nodeId,
  type ShardId,
  shardId,
  shardOf,
  tenantOf,
} from '../runtime/ids.ts';
import type { Envelope, Message } from '../runtime/message.ts';
import type { Decisions, Journal } from '../runtime/ports.ts';

/** Takes a value of a type and does nothing with it. */
const want = <Type>(_value: Type): void => undefined;

t.test('a bare string or number is no id, and ids do not stand for each other', (t) => {
  // @ts-expect-error a string is no key
  want<ActorKey>('acme/web');
  // @ts-expect-error a number is no shard
  want<ShardId>(3);
  // @ts-expect-error a number is no epoch
  want<Epoch>(3);
  // @ts-expect-error a string is no node
  want<NodeId>('n1');
  // @ts-expect-error a shard is no epoch
  want<Epoch>(shardId(3));
  // @ts-expect-error a node is no key
  want<ActorKey>(nodeId('n1'));
  // @ts-expect-error keys are parsed before they are hashed
  shardOf('acme/web');
  want<ActorKey>(actorKey('acme/web'));
  want<string>(actorKey('acme/web'));
  want<number>(epoch(3));
  t.throws(() => actorKey(''), { code: 'RT_BAD_KEY' });
  t.throws(() => actorKey('a\u0000b'), { code: 'RT_BAD_KEY' });
  t.throws(() => actorKey('x'.repeat(401)), { code: 'RT_BAD_KEY' });
  t.throws(() => shardId(1024), { code: 'RT_BAD_KEY' });
  t.throws(() => epoch(-1), { code: 'RT_BAD_KEY' });
  t.throws(() => nodeId('n.1'), { code: 'RT_BAD_KEY' });
  t.same([tenantOf(actorKey('acme/web')), entityOf(actorKey('acme/web'))], ['acme', 'web']);
  t.same([tenantOf(actorKey('acme')), entityOf(actorKey('acme'))], ['acme', null]);
  t.equal(actorKey('e\u0301'), actorKey('\u00e9'), 'one key in both Unicode forms');
  t.end();
});

t.test('the shard of a key is frozen: stored rows depend on it', (t) => {
  const frozen: [key: string, shard: number][] = [
    ['a', 434],
    ['ab', 863],
    ['abc', 1018],
    ['abcd', 874],
    ['hello, world', 895],
    ['acé/wéb', 99],
    ['acme', 208],
    ['acme/web', 792],
  ];
  for (const [key, shard] of frozen) t.equal(shardOf(actorKey(key)), shard, key);
  t.equal(murmur3(Buffer.from('hello, world')), 0x149bbb7f, 'a published test vector');
  t.end();
});

t.test('the union of effects is closed', (t) => {
  const commit: Effect = { type: 'commit', rows: [] };
  want<Effect>({ type: 'cancelTimer', id: 'x' });
  // @ts-expect-error no such effect
  want<Effect>({ type: 'notify', to: 'x' });
  // @ts-expect-error a send goes to a key
  want<Effect>({ type: 'send', to: 'acme', message: { kind: 'x' } });
  // @ts-expect-error a timer needs its due instant
  want<Effect>({ type: 'startTimer', id: 'x', message: { kind: 'x' } });
  // @ts-expect-error effects are not changed
  commit.type = 'stop';
  // @ts-expect-error rows are read-only
  commit.rows.push({ kind: 1, body: null });
  // @ts-expect-error no such kind of row
  want<RowKind>(99);
  // @ts-expect-error no such kind of document
  want<DocumentKind>(99);
  // @ts-expect-error a listing has a label or null
  want<DecisionRow>({ kind: 1, body: null, listing: { label: undefined } });
  t.end();
});

t.test('messages have a kind, and behaviours take their own', (t) => {
  interface Ping extends Message {
    readonly kind: 'ping';
  }
  // @ts-expect-error no kind
  want<Message>({ value: 1 });
  const step = (behaviour: Behaviour<number, Ping, null>): void => {
    const context = {} as Parameters<typeof behaviour.step>[2];
    // @ts-expect-error not a message of this actor
    behaviour.step(1, { kind: 'pong' }, context);
    // @ts-expect-error not its state
    behaviour.step('1', { kind: 'ping' }, context);
  };
  want(step);
  // @ts-expect-error there are two lanes
  want<Envelope['lane']>('fast');
  const decide = (decisions: Decisions): void => {
    // @ts-expect-error decisions are made by a key
    void decisions.commit('acme', []);
  };
  want(decide);
  const journal = (port: Journal): void => {
    // @ts-expect-error a record names its epoch
    void port.append({
      type: 1,
      shard: shardOf(actorKey('acme')),
      key: actorKey('acme'),
      body: new Uint8Array(),
    });
  };
  want(journal);
  t.end();
});
