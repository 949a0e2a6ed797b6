// Rows between members for live streams, and actors that stopped a node: who is told, for how long, and within which bounds.
import t from 'tap';
import { type Culprits, culprits, type HeardCulprit } from '../../cluster/culprits.ts';
import { localEventBus } from '../../cluster/event-bus.ts';
import { type PeerEvents, peerEvents } from '../../cluster/peer-events.ts';
import type { LoadedActor } from '../../runtime/behaviour.ts';
import { decodeValue, encodeValue } from '../../runtime/codec.ts';
import { documentKinds } from '../../runtime/effect.ts';
import { actorKey } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import type { HistoryRecord } from '../../runtime/ports.ts';
import { TestClock } from '../clock.ts';

const quiet = (): void => undefined;
const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };

class Net {
  readonly clock = new TestClock();
  readonly counts = new Map<string, number>();
  readonly sent: { to: string; message: Message }[] = [];
  readonly names: string[] = [];
  isLossy = false;
  readonly #services = new Map<string, (message: Message, from: string) => unknown>();

  node(name: string): PeerEvents {
    const meter = {
      count: (what: string, by: number) =>
        void this.counts.set(what, (this.counts.get(what) ?? 0) + by),
      gauge: quiet,
    };
    const { clock } = this;
    const bus = peerEvents({ clock, meter, local: localEventBus({ meter, logger }) });
    this.names.push(name);
    bus.connect({
      link: {
        serve: (kind, handler) => this.#services.set(`${name} ${kind}`, handler),
        tellNode: (to, message) => {
          this.sent.push({ to, message });
          const travelled = decodeValue(encodeValue(message)) as Message;
          if (!this.isLossy) this.#services.get(`${to} ${message.kind}`)?.(travelled, name);
        },
      },
      others: () => this.names.filter((other) => other !== name),
    });
    return bus;
  }

  rows(to?: string): number {
    const batches = this.sent.filter(
      (one) => one.message.kind === 'events.rows' && (to === undefined || one.to === to),
    );
    return batches.reduce(
      (sum, { message }) => sum + (message as unknown as { rows: [] }).rows.length,
      0,
    );
  }
}

let counter = 0;
const row = (partition: string, bytes = 10): HistoryRecord => ({
  ...{ table: 'changelog', partition, atMs: 1, id: `row ${++counter}`, key: actorKey(partition) },
  ...{ shard: 1, seq: counter, body: new Uint8Array(bytes) },
});

t.test('what a node commits reaches exactly the nodes that listen for its tenant', async (t) => {
  const net = new Net();
  const [a, b, c] = [net.node('a'), net.node('b'), net.node('c')];
  const heard: string[] = [];
  const leave = b.subscribe('t1', ({ id }) => heard.push(id));
  c.subscribe('t2', () => heard.push('foreign'));
  await net.clock.advance(10);
  const rows = [row('t1'), row('t1'), row('t3')];
  for (const one of rows) a.publish(one);
  t.same(heard, [], 'gathered for 10 ms');
  await net.clock.advance(10);
  t.same(heard, [rows[0]?.id, rows[1]?.id], 'in order');
  t.same([net.rows('b'), net.rows('c')], [2, 0]);
  t.equal(net.sent.filter(({ message }) => message.kind === 'events.rows').length, 1, 'as a batch');
  const own = row('t1');
  b.publish(own);
  t.equal(heard.at(-1), own.id, 'its own rows come at once');
  await net.clock.advance(20);
  t.equal(heard.length, 3, 'and once');
  leave();
  leave();
  await net.clock.advance(2_000);
  a.publish(row('t1'));
  await net.clock.advance(20);
  t.equal(net.rows('b'), 2, 'nobody listens there any more');
  for (const bus of [a, b, c]) bus.stop();
  t.equal(net.clock.pending, 0);
});

t.test(
  'a node that joins late, or that was not heard, learns who listens; silence ends it',
  async (t) => {
    const net = new Net();
    const a = net.node('a');
    const heard: string[] = [];
    net.isLossy = true;
    a.subscribe('t1', ({ id }) => heard.push(id));
    const b = net.node('b');
    await net.clock.advance(1_000);
    b.publish(row('t1'));
    await net.clock.advance(20);
    t.equal(net.rows(), 0, 'not heard');
    net.isLossy = false;
    await net.clock.advance(2_000);
    b.publish(row('t1'));
    await net.clock.advance(20);
    t.equal(heard.length, 1);
    net.isLossy = true;
    await net.clock.advance(11_000);
    b.publish(row('t1'));
    await net.clock.advance(20);
    t.equal(net.rows(), 1, 'who has been silent for 10 s is sent nothing');
    a.stop();
    b.stop();
  },
);

t.test('batches are bounded and what is above is counted; many tenants become all', async (t) => {
  const net = new Net();
  const [a, b] = [net.node('a'), net.node('b')];
  let heard = 0;
  for (let n = 0; n <= 1_000; n++) b.subscribe(`t${n}`, () => heard++);
  await net.clock.advance(10);
  t.match(net.sent.at(-1)?.message, { kind: 'events.want', tenants: null });
  for (let n = 0; n < 600; n++) a.publish(row('t7'));
  await net.clock.advance(10);
  t.same([heard, net.counts.get('stream_rows_dropped')], [512, 88]);
  for (let n = 0; n < 3; n++) a.publish(row('t8', 200_000));
  await net.clock.advance(10);
  t.same([heard, net.counts.get('stream_rows_dropped')], [514, 89]);
  a.publish(row('unheard of'));
  await net.clock.advance(10);
  t.equal(net.rows(), 515, 'with so many tenants, all are sent');
  a.stop();
  b.stop();
});

interface Guard {
  readonly clock: TestClock;
  readonly culprits: Culprits;
  readonly told: string[];
  heard: HeardCulprit[];
  commitsPending: number | null;
}

function guard(left: string | null): Guard {
  const clock = new TestClock();
  const told: string[] = [];
  const one = { clock, told, heard: [], commitsPending: null } as unknown as Guard;
  const made = culprits({
    catalog: {
      activate: (key, _loaded, gate) => told.push(`start ${key} ${gate}`),
      quarantine: (key, reason, cause) => told.push(`stop ${key} ${cause}: ${reason}`),
      describe: () =>
        one.commitsPending === null
          ? null
          : ({ quarantine: {}, commitsPending: one.commitsPending } as never),
    },
    heard: () => one.heard,
    left,
    node: 'a',
    forget: () => told.push('forgotten'),
    ...{ clock, logger },
  });
  return Object.assign(one, { culprits: made });
}

const nothing: LoadedActor = { documents: [], soft: null, tail: [] };
const [bad, good] = [actorKey('t1/bad'), actorKey('t1/good')];

t.test(
  'an actor that stopped a node is not started anywhere: its quarantine is committed',
  async (t) => {
    const one = guard(null);
    one.heard = [
      { node: 'b', incarnation: 'i1', culprit: bad },
      { node: 'c', incarnation: 'i1', culprit: null },
    ];
    one.culprits.activate(good, nothing, 'closed');
    one.culprits.activate(bad, nothing, 'closed');
    t.same(one.told, [
      'start t1/good closed',
      'stop t1/bad stalled: it blocked the event loop of b',
    ]);
    one.culprits.activate(bad, nothing);
    t.equal(one.told.length, 3, 'not the next time either, nor where the commit did not happen');
    t.match(one.told[2], /^stop/);
    const body = { quarantined: true, reason: 'x', cause: 'stalled', atMs: 1, rev: 1 };
    const kind = documentKinds.quarantine;
    const stored = { ...nothing, documents: [{ kind, id: 'quarantine', rev: 1, body }] };
    one.culprits.activate(bad, stored);
    t.equal(one.told.at(-1), 'start t1/bad open', 'it is stored already: it starts in quarantine');
    await one.clock.advance(601_000);
    t.equal(one.culprits.size, 0);
    one.culprits.activate(bad, nothing);
    t.equal(one.told.at(-1), 'start t1/bad open', 'ten minutes later it is forgotten');
    await one.culprits.stop();
    t.equal(one.clock.pending, 0);
  },
);

t.test('what the process before left is forgotten once the quarantine is committed', async (t) => {
  const one = guard(bad);
  one.culprits.activate(bad, nothing);
  t.match(one.told, ['stop t1/bad stalled: it blocked the event loop of a']);
  one.commitsPending = 1;
  await one.clock.advance(5_000);
  t.equal(one.told.length, 1);
  one.commitsPending = 0;
  await one.clock.advance(600);
  t.equal(one.told.at(-1), 'forgotten');
  t.equal(one.culprits.size, 0);
  one.culprits.activate(bad, nothing);
  t.equal(one.told.at(-1), 'start t1/bad open', 'an operator may have released it');
  await one.culprits.stop();
  const elsewhere = guard(bad);
  await elsewhere.clock.advance(599_000);
  t.same(elsewhere.told, []);
  await elsewhere.clock.advance(2_000);
  t.same(elsewhere.told, ['forgotten'], 'the actor is not here: others have dealt with it');
  await elsewhere.culprits.stop();
});
