// Claims, loads and what a restart finds: whatever was acknowledged, wherever the crash fell.
import fc from 'fast-check';
import t from 'tap';
import { claimShard, soleClaimPolicy } from '../../cluster/claims.ts';
import { nextTsBase, timestampsFrom, timestampsPerEpoch } from '../../cluster/epoch-timestamp.ts';
import { encodeDecision, recordOf } from '../../cluster/log-record.ts';
import { foldShard, type StoredRows } from '../../cluster/shard-fold.ts';
import { takeShard } from '../../cluster/shard-load.ts';
import type { LoadedActor } from '../../runtime/behaviour.ts';
import { encodeValue } from '../../runtime/codec.ts';
import { type DecisionRow, documentKinds, rowKinds } from '../../runtime/effect.ts';
import type { TocsinError } from '../../runtime/errors.ts';
import { type ActorKey, actorKey, epoch, shardOf } from '../../runtime/ids.ts';
import { seededRandom } from '../clock.ts';
import { alice, bob, configRow, intentRow, transitionRow, World } from './world.ts';

const shard = shardOf(alice);
const nothing: LoadedActor = { documents: [], soft: null, tail: [] };

t.test('timestamps of a later epoch are above all earlier ones, whatever the clocks do', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 4_000_000_000_000 }), fc.nat(50)), {
        maxLength: 30,
      }),
      (epochs) => {
        let base = 0;
        let last = -1;
        for (const [nowMs, used] of epochs) {
          base = nextTsBase(nowMs, base);
          const timestamps = timestampsFrom(base);
          for (let at = 0; at <= used; at++) {
            const ts = timestamps.next();
            if (ts <= last || !Number.isSafeInteger(ts)) return false;
            last = ts;
          }
        }
        return true;
      },
    ),
  );
  t.equal(nextTsBase(5_000, 0), timestampsPerEpoch, 'a clock at 1970 does no harm');
  t.equal(nextTsBase(1_700_000_000_000, 7), 1_700_000_000_000_000, 'else it is the wall clock, µs');
  t.end();
});

t.test('a claim takes exactly what was read, and an unclear one is read', async (t) => {
  const world = new World();
  const { authority } = world.store;
  const options = {
    authority,
    owner: 'n/a',
    policy: soleClaimPolicy,
    clock: world.clock,
    random: seededRandom(1),
  };
  const fresh = await authority.readHead(shard);
  t.equal(await world.run(claimShard(options, shard, fresh)), 1);
  t.match(await authority.readHead(shard), { epoch: 1, owner: 'n/a' });
  t.equal(
    await world.run(claimShard({ ...options, owner: 'n/b' }, shard, fresh)),
    2,
    'a stale read is refused, then anew',
  );
  for (const fault of ['unknown', 'unknownApplied', 'unavailable'] as const) {
    let isFirst = true;
    world.fault = (name) => {
      if (name !== 'claim' || !isFirst) return undefined;
      isFirst = false;
      return fault;
    };
    const before = await authority.readHead(shard);
    const claimed = await world.run(claimShard({ ...options, owner: `n/${fault}` }, shard, before));
    t.match(await authority.readHead(shard), { epoch: claimed, owner: `n/${fault}` }, fault);
    t.equal(claimed, before.epoch + 1, 'one epoch, not two');
  }
  const refusal = { ...options, owner: 'n/c', policy: () => null };
  const seen = await authority.readHead(shard);
  await t.rejects(claimShard(refusal, shard, seen), { code: 'CL_CLAIM_REFUSED' });
  world.fault = (name) => (name === 'claim' ? 'unavailable' : undefined);
  await t.rejects(world.run(claimShard(options, shard, seen)), { code: 'CL_CLAIM_FAILED' });
});

t.test('what an old owner commits while its shard is read is not missed', async (t) => {
  const world = new World();
  const old = world.host();
  await world.start(old);
  await world.run(old.decisions.commit(alice, [configRow('ch1', 1)]));
  let claims = 0;
  world.fault = (name, args) => {
    if (name !== 'claim' || args[0] !== shard || claims++ > 0) return undefined;
    // Between the read of head row and documents and the claim.
    return world.run(old.decisions.commit(alice, [configRow('ch2', 1)])).then(() => undefined);
  };
  const options = {
    store: world.store,
    authority: world.store.authority,
    owner: 'n1/new',
    policy: soleClaimPolicy,
    clock: world.clock,
    random: seededRandom(1),
  };
  const taken = await world.run(takeShard(options, shard));
  const documents = taken.folded.actors.get(alice)?.documents ?? [];
  t.same(documents.map((document) => document.id).sort(), ['ch1', 'ch2']);
});

t.test('a load starts over where the log was trimmed under it', async (t) => {
  const world = new World();
  const old = world.host();
  await world.start(old);
  await world.run(old.decisions.commit(alice, [configRow('ch1', 1), transitionRow(1, 1)]));
  const before = await world.store.authority.readHead(shard);
  const low = { ...before, owner: before.owner };
  let loads = 0;
  world.fault = (name, args) => {
    if (name === 'loadShard') loads++;
    if (name !== 'claim' || args[0] !== shard) return undefined;
    const { epoch, owner, head } = low;
    const marks = { dispatched: head, snap: head, trimTo: head };
    const batch = { shard, epoch, owner, prevHead: head, rows: [], ...marks };
    return world.store.shardLog.commit(batch).then(() => undefined);
  };
  const options = {
    store: world.store,
    authority: world.store.authority,
    owner: 'n1/new',
    policy: soleClaimPolicy,
    clock: world.clock,
    random: seededRandom(1),
  };
  const taken = await world.run(takeShard(options, shard));
  t.equal(loads, 2);
  t.equal(taken.folded.actors.get(alice)?.documents.length, 1);
  t.same(taken.folded.actors.get(alice)?.tail, []);
});

t.test('a start hands over tenants before entities, and knows what is not stored', async (t) => {
  const world = new World();
  const host = world.host();
  t.throws(() => host.load(alice), { code: 'RT_NOT_READY' });
  await world.start(host);
  const tenant = actorKey('t1');
  const stateless = actorKey('t1/en-soft');
  await world.run(
    Promise.all([
      host.decisions.commit(alice, [configRow('c1', 1)]),
      host.decisions.commit(bob, [configRow('c1', 1)]),
      host.decisions.commit(tenant, [configRow('c1', 1)]),
    ]),
  );
  host.softStates.changed(stateless, true, () => ({ seq: 0, body: 'soft' }));
  await world.clock.advance(300);
  const next = world.host();
  const actors = await world.start(next);
  t.same([...actors.keys()][0], tenant);
  t.equal(actors.size, 4);
  t.same(actors.get(stateless)?.soft, { seq: 0, body: 'soft' });
  t.same(next.load(actorKey('t9/en-none')), nothing, 'at once');
  t.equal((await world.run(Promise.resolve(next.load(alice)))).documents.length, 1);
  await t.rejects(world.run(next.start(() => undefined)), { code: 'CL_STARTED_TWICE' });
});

t.test(
  'a deleted actor is not handed over; its soft state goes, its rows answer retries',
  async (t) => {
    const world = new World();
    const host = world.host();
    await world.start(host);
    await world.run(host.decisions.commit(alice, [configRow('c1', 1)]));
    host.softStates.changed(alice, true, () => ({ seq: 1, body: {} }));
    await world.clock.advance(300);
    const deletion = {
      ...configRow('c1', 2),
      documents: [{ kind: documentKinds.check, id: 'c1', rev: 2, body: null }],
    };
    await world.run(host.decisions.commit(alice, [deletion]));
    const next = world.host();
    const actors = await world.start(next);
    t.equal(actors.has(alice), false);
    const loaded = await world.run(Promise.resolve(next.load(alice)));
    t.match(loaded, { documents: [], soft: null });
    t.same(
      loaded.tail.map((row) => row.seq),
      [1, 2],
      'also those that its soft state held',
    );
    await world.clock.advance(1000);
    t.same((await world.store.states.loadShard(shard)).states, [], 'its soft state is deleted');
    await world.clock.advance(700_000);
    t.equal((await world.store.authority.readHead(shard)).snap, 2, 'and holds nothing back');
  },
);

t.test('a reload reads what is committed, also what is not projected yet', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  world.fault = (name) => (name === 'putDocuments' ? 'unavailable' : undefined);
  await world.run(host.decisions.commit(alice, [configRow('c1', 7)]));
  const loaded = await world.run(host.reload(alice));
  t.match(loaded.documents, [{ id: 'c1', rev: 7 }]);
  const other = world.host({ incarnation: 'other' });
  await world.start(other);
  const lost = host.decisions.commit(alice, [configRow('c1', 8)]);
  await t.rejects(world.run(lost), { code: 'RT_NOT_OWNER' });
  await t.rejects(world.run(host.reload(alice)), { code: 'RT_NOT_OWNER' });
});

t.test(
  'a crash between commit, projection and mark loses nothing and repeats nothing',
  async (t) => {
    for (const point of ['putDocuments', 'appendHistory', 'putListing', 'none'] as const) {
      const world = new World();
      const host = world.host();
      await world.start(host);
      world.fault = (name) => (name === point ? 'unavailable' : undefined);
      const row: DecisionRow = {
        ...configRow('c1', 1),
        history: transitionRow(1, 1000).history ?? [],
        listing: { label: 'Alice' },
      };
      await world.run(host.decisions.commit(alice, [row]));
      await world.run(host.decisions.commit(alice, [configRow('c1', 2)]));
      world.crash();
      world.fault = () => undefined;
      const next = world.host();
      const actors = await world.start(next);
      t.match(actors.get(alice)?.documents, [{ id: 'c1', rev: 2 }], point);
      await world.clock.advance(100);
      const { documents } = await world.store.states.loadShard(shard);
      t.same(
        documents.map((document) => document.rev),
        [2],
        'projected by the next owner',
      );
      const page = { table: 'changelog', partition: 't1', fromMs: 0, toMs: 9999 } as const;
      const rows = await world.store.history.page({
        ...page,
        marker: null,
        reverse: false,
        limit: 9,
      });
      t.equal(rows.length, 1, 'once in the history');
      const listed = await world.store.states.listEntities('t1', null, 10);
      t.same(listed, [{ entity: 'en-alice', label: 'Alice' }]);
    }
  },
);

t.test('a zombie cannot take a projection back', async (t) => {
  const world = new World();
  const zombie = world.host();
  await world.start(zombie);
  let release = (): void => undefined;
  world.fault = (name, args) => {
    const [, ts] = args as [number, number];
    if (name !== 'putDocuments' || ts !== firstTs(ts)) return undefined;
    return new Promise<undefined>((resolve) => {
      release = () => resolve(undefined);
    });
  };
  let first = 0;
  const firstTs = (ts: number): number => {
    if (first === 0) first = ts;
    return first;
  };
  const late = zombie.decisions.commit(alice, [configRow('c1', 1)]);
  await world.clock.advance(100);
  const next = world.host();
  await world.start(next);
  await world.run(next.decisions.commit(alice, [configRow('c1', 2)]));
  release();
  await world.run(late);
  const { documents } = await world.store.states.loadShard(shard);
  t.same(
    documents.map((document) => document.rev),
    [2],
  );
});

// A model of a shard's life: random decisions, soft states and marks, then a load at any point of the projection.
const actTypes = [
  ...(['config', 'delete', 'transition', 'intent', 'defer', 'outcome', 'soft'] as const),
  ...(['alarm', 'alarm.delete'] as const),
];
interface Act {
  readonly key: ActorKey;
  readonly type: (typeof actTypes)[number];
  readonly id: number;
}
const acts = fc.array(
  fc.record({
    key: fc.constantFrom(alice, bob),
    type: fc.constantFrom(...actTypes),
    id: fc.integer({ min: 1, max: 4 }),
  }),
  { maxLength: 40 },
);

function decisionOf(act: Act, seq: number): DecisionRow | null {
  const intent = intentRow(act.id, { owner: act.key }).body as never as { id: string };
  const alarm = `al${act.id}`;
  switch (act.type) {
    case 'alarm':
    case 'alarm.delete': {
      const body = act.type === 'alarm' ? { seq } : null;
      const documents = [{ kind: documentKinds.alarm, id: alarm, rev: seq, body }];
      return { kind: rowKinds.config, body: {}, documents };
    }
    case 'config':
      return configRow(`c${act.id}`, seq, { seq });
    case 'delete':
      return {
        kind: rowKinds.config,
        body: {},
        documents: [{ kind: 1, id: `c${act.id}`, rev: seq, body: null }],
      };
    case 'transition':
      return transitionRow(act.id, seq);
    case 'intent':
      return { kind: rowKinds.intent, body: { ...intent, alarm, n: seq, id: `i${seq}` } };
    case 'defer': {
      const body = {
        intent: { id: `i${act.id}`, alarm },
        key: act.key,
        attempts: 1,
        nextAtMs: 0,
        firstAtMs: 0,
      };
      return {
        kind: rowKinds.deferred,
        body,
        documents: [{ kind: 3, id: `i${act.id}`, rev: 1, body }],
      };
    }
    case 'outcome': {
      const body = { intent: `i${act.id}`, outcome: 'delivered', atMs: 0 };
      return {
        kind: rowKinds.outcome,
        body,
        documents: [{ kind: 3, id: `i${act.id}`, rev: 2, body: null }],
      };
    }
    default:
      return null;
  }
}

t.test('a load equals the fold of the whole log, wherever the marks stand', (t) => {
  fc.assert(
    fc.property(
      acts as fc.Arbitrary<Act[]>,
      fc.nat(40),
      fc.nat(40),
      fc.nat(40),
      (life, a, b, c) => {
        const log = life.flatMap((act) => {
          const row = decisionOf(act, 0);
          return row === null ? [] : [{ act, row }];
        });
        const records = log.map(({ act }, at) =>
          recordOf(at + 1, act.key, decisionOf(act, at + 1) as DecisionRow),
        );
        const head = records.length;
        const snap = Math.min(a, head);
        const dispatched = Math.min(b, head);
        // Documents hold everything up to some point at or above snap.
        const projected = Math.max(snap, Math.min(c, head));
        const documentsAt = (upTo: number) => {
          const documents = new Map<
            string,
            { key: ActorKey; kind: number; id: string; rev: number; body: unknown }
          >();
          for (const { seq, key, documents: writes } of records) {
            if (seq > upTo) break;
            for (const { kind, id, rev, body } of writes) {
              const place = `${key} ${kind} ${id}`;
              if (body === null) documents.delete(place);
              else documents.set(place, { key, kind, id, rev, body });
            }
          }
          return documents;
        };
        const stored = {
          documents: [...documentsAt(projected).values()].map((document) => ({
            ...document,
            body: encodeValue(document.body),
          })),
          states: [],
        } as unknown as StoredRows;
        const low = Math.min(snap, dispatched);
        const folded = foldShard(stored, records.slice(low), { snap, dispatched });
        const truth = documentsAt(head);
        const loaded = [...folded.actors].flatMap(([key, actor]) =>
          actor.documents.map(
            (document) => `${key} ${document.kind} ${document.id} ${document.rev}`,
          ),
        );
        const expected = [...truth.values()]
          .filter(({ kind }) => kind !== 3)
          .map(({ key, kind, id, rev }) => `${key} ${kind} ${id} ${rev}`);
        const isSame = JSON.stringify(loaded.sort()) === JSON.stringify(expected.sort());
        const deferred = [...truth.values()].filter(({ kind }) => kind === 3).length;
        const orphans = [...folded.intents, ...folded.deferred]
          .filter(({ key, intent }) => !truth.has(`${key} ${documentKinds.alarm} ${intent.alarm}`))
          .map(({ intent }) => intent.id);
        const unprojected = folded.unprojected.map((row) => row.seq);
        return (
          isSame &&
          folded.deferred.length === deferred &&
          JSON.stringify([...folded.orphans]) === JSON.stringify([...new Set(orphans)]) &&
          JSON.stringify(unprojected) ===
            JSON.stringify(records.slice(snap).map((row) => row.seq)) &&
          [...folded.actors.values()].every((actor) => actor.tail.every((row) => row.seq > snap))
        );
      },
    ),
    { numRuns: 2000 },
  );
  t.end();
});

t.test('what was asked of a deleted actor is found, also what its soft state held', (t) => {
  const id = 'alOne';
  const alarm = { kind: documentKinds.alarm, id };
  const records = [
    recordOf(1, alice, {
      kind: rowKinds.config,
      body: 'made',
      documents: [{ ...alarm, rev: 1, body: {} }],
    }),
    recordOf(2, alice, {
      kind: rowKinds.config,
      body: 'gone',
      documents: [{ ...alarm, rev: 2, body: null }],
    }),
  ];
  for (const seq of [0, 1, 2]) {
    const soft = seq === 0 ? [] : [{ key: alice, seq, body: encodeValue({}) }];
    const stored = { documents: [], states: soft } as unknown as StoredRows;
    const { deleted } = foldShard(stored, records, { snap: 0, dispatched: 0 });
    const tail = deleted.get(alice)?.tail.map(({ body }) => body);
    t.same(tail, ['made', 'gone'], `soft state at ${seq}`);
  }
  t.end();
});

t.test('an intent is resumed unless the log says that it ended or was deferred', (t) => {
  const row = (seq: number, kind: DecisionRow['kind'], body: unknown) =>
    recordOf(seq, alice, { kind, body });
  const intent = (id: string) => ({ id, alarm: 'al', n: 1, channel: 'ch', atMs: 1, body: null });
  const tail = [
    row(1, rowKinds.intent, intent('a')),
    row(2, rowKinds.intent, intent('b')),
    row(3, rowKinds.intent, intent('c')),
    row(4, rowKinds.intent, intent('d')),
    row(5, rowKinds.outcome, { intent: 'b', outcome: 'delivered', atMs: 1 }),
    row(6, rowKinds.deferred, {
      intent: intent('c'),
      key: alice,
      attempts: 1,
      nextAtMs: 1,
      firstAtMs: 1,
    }),
  ];
  const folded = foldShard({ documents: [], states: [] }, tail, { snap: 0, dispatched: 1 });
  t.same(
    folded.intents.map(({ seq }) => seq),
    [4],
  );
  t.same([...folded.orphans], ['d'], 'an orphan where its alarm is gone');
  t.end();
});

t.test('a deferred intent keeps its newest tries over the row that deferred it', (t) => {
  const body = (attempts: number) => ({
    intent: { id: 'a', alarm: 'al', n: 1, channel: 'ch', atMs: 1, body: null },
    ...{ key: alice, attempts, nextAtMs: attempts, firstAtMs: 1 },
  });
  const document = (attempts: number) => ({
    kind: documentKinds.deferred,
    id: 'a',
    rev: attempts,
    body: body(attempts),
  });
  const record = recordOf(1, alice, {
    kind: rowKinds.deferred,
    body: body(2),
    documents: [document(2)],
  });
  const stored = {
    documents: [{ key: alice, ...document(9), body: encodeValue(body(9)) }],
    states: [],
  };
  const folded = foldShard(stored, [record], { snap: 0, dispatched: 0 });
  t.match(folded.deferred, [{ attempts: 9 }]);
  t.match(folded.unprojected[0]?.documents, [{ rev: 9 }], 'and is projected so');
  t.same([...folded.actors], [], 'it is no document of the actor');
  t.end();
});

t.test('rows that do not decode stop the start with a code', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  const head = await world.store.authority.readHead(shard);
  const rows = [{ seq: 1, key: alice, kind: rowKinds.config, body: Buffer.from('not a record') }];
  const marks = { dispatched: 0, snap: 0, trimTo: 0 };
  const { epoch: own, owner } = head;
  await world.store.shardLog.commit({
    shard,
    epoch: epoch(own),
    owner,
    prevHead: 0,
    rows,
    ...marks,
  });
  const failure = await world.run(
    world
      .host()
      .start(() => undefined)
      .catch((error: TocsinError) => error),
  );
  t.match(failure, { code: 'CL_LOAD_FAILED' });
  t.ok(encodeDecision(configRow('c', 1)).length > 10);
});

t.test('a damaged record harms its own actor alone', (t) => {
  const other = actorKey(`${alice}2`);
  const bytes = new Uint8Array([1, 0xc1, 0xc1]);
  const check = { kind: documentKinds.check, id: 'ch', rev: 1 } as const;
  const stored: StoredRows = {
    documents: [
      { key: alice, ...check, body: bytes },
      { key: other, ...check, body: encodeValue({ label: 'well' }) },
    ],
    states: [
      { key: alice, seq: 1, body: encodeValue({}) },
      { key: other, seq: 1, body: bytes },
    ],
  };
  const folded = foldShard(stored, [], { snap: 1, dispatched: 1 });
  t.same(folded.damaged, [
    { key: alice, what: 'document' },
    { key: other, what: 'soft state' },
  ]);
  t.match(folded.actors.get(alice)?.documents, [
    { kind: documentKinds.quarantine, body: { reason: /check|does not decode/ } },
  ]);
  t.match(folded.actors.get(other), { documents: [{ body: { label: 'well' } }], soft: null });
  t.end();
});
