// The store suites against memory and SQLite, and random histories that must be answered alike by both; the memory store's faults.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import type { DocumentKind, HistoryTable, RowKind } from '../../runtime/effect.ts';
import type { Store } from '../../runtime/ports.ts';
import { timeId } from '../../runtime/time-id.ts';
import { assembleStore } from '../../store/assemble.ts';
import { storeErrors } from '../../store/errors.ts';
import { createMemoryStore } from '../../store/memory/store.ts';
import type { StoreCall } from '../../store/operations.ts';
import { runRound } from '../../store/sqlite/round.ts';
import { openSqliteStore } from '../../store/sqlite/store.ts';
import { openStoreFile } from '../../store/sqlite/store-file.ts';
import { accountsSuite } from '../conformance/accounts.ts';
import { authoritySuite } from '../conformance/authority.ts';
import { historySuite } from '../conformance/history.ts';
import { batch, claimFresh, epochOf, key, shard, stateRow } from '../conformance/rows.ts';
import { samplesSuite } from '../conformance/samples.ts';
import { shardLogSuite } from '../conformance/shard-log.ts';
import { stateStoreSuite } from '../conformance/state-store.ts';
import { viewsSuite } from '../conformance/views.ts';

const memory = async (t: Test): Promise<ClusterStore> => {
  const store = createMemoryStore();
  t.teardown(() => store.close());
  return store;
};

const sqlite = async (t: Test): Promise<Store> => {
  const folder = await mkdtemp(join(tmpdir(), 'tocsin-store-'));
  const store = await openSqliteStore({ folder, reserveBytes: 0 });
  t.teardown(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  return store;
};

for (const [name, makeStore] of Object.entries({ memory, sqlite })) {
  const trimmedRows = name === 'memory' ? 5000 : 50_000;
  t.test(`${name}: authority`, (t) => authoritySuite(t, makeStore));
  t.test(`${name}: shard log`, (t) => shardLogSuite({ trimmedRows })(t, makeStore));
  t.test(`${name}: state store`, (t) => stateStoreSuite(t, makeStore));
  t.test(`${name}: samples`, (t) => samplesSuite(t, makeStore));
  t.test(`${name}: history`, (t) => historySuite(t, makeStore));
  t.test(`${name}: accounts`, (t) => accountsSuite(t, makeStore));
}

t.test('memory: views', (t) => viewsSuite(t, memory));

type Step = (store: Store) => Promise<unknown>;

const dayMs = 86_400_000;
const baseMs = 2000 * dayMs;
// Above the surrogates, to show the order of texts: 😀 is after ￦ by bytes and before it by UTF-16.
const name = fc.constantFrom('a', '￦', '😀');
const body = fc.uint8Array({ maxLength: 4 });
const small = fc.nat({ max: 3 });
const ts = fc.nat({ max: 5 });
const oneShard = fc.constantFrom(shard(0), shard(1023));
const table = fc.constantFrom<HistoryTable>('changelog', 'notification_log');
const deletable = fc.option(body, { freq: 3 });
const limit = fc.constantFrom(0, 1, 2, 100);
const slot = fc.nat({ max: 20 }).map((n) => baseMs + n * 50 * 60_000);
const atMs = fc.nat({ max: 6 }).map((n) => baseMs + n * 100 * dayMs);

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc
    .record({
      shard: oneShard,
      seen: small,
      was: name,
      epoch: small,
      owner: name,
      fresh: fc.boolean(),
    })
    .map(
      ({ shard, seen, was, epoch, owner, fresh }): Step =>
        async (store) => {
          const now = await store.authority.readHead(shard);
          const matching = fresh
            ? { seen: now.epoch, was: now.owner }
            : { seen: epochOf(seen), was };
          const claim = { ...matching, epoch: epochOf(epoch), owner, tsBase: epoch };
          return store.authority.claim(shard, claim);
        },
    ),
  fc
    .record({
      shard: oneShard,
      bodies: fc.array(body, { maxLength: 4 }),
      behind: small,
      marks: small,
      trim: small,
      off: fc.nat({ max: 7 }),
    })
    .map(
      ({ shard, bodies, behind, marks, trim, off }): Step =>
        async (store) => {
          const now = await store.authority.readHead(shard);
          const prevHead = off === 0 ? now.head + 1 : now.head;
          const rows = bodies.map((body, at) => ({
            ...{ seq: prevHead + 1 + at, key: key('t/e'), kind: 1 as RowKind, body },
          }));
          const snap = Math.max(0, prevHead - behind);
          const dispatched = Math.max(0, prevHead - marks);
          const trimTo = trim === 0 ? Math.min(snap, dispatched) : 0;
          const { epoch, owner } = now;
          const fence = { shard, epoch, owner: off === 1 ? 'someone' : owner, prevHead };
          return store.shardLog.commit({ ...fence, rows, dispatched, snap, trimTo });
        },
    ),
  fc.record({ shard: oneShard, above: small }).map(
    ({ shard, above }): Step =>
      (store) =>
        store.shardLog.readTail(shard, above),
  ),
  fc.record({ shard: oneShard, ts, key: name, seq: small, body: deletable }).map(
    ({ shard, ts, ...row }): Step =>
      (store) =>
        store.states.putStates(shard, ts, [{ ...row, key: key(row.key) }]),
  ),
  fc
    .record({ shard: oneShard, ts, key: name, kind: small, id: name, rev: small, body: deletable })
    .map(
      ({ shard, ts, ...row }): Step =>
        (store) =>
          store.states.putDocuments(shard, ts, [
            { ...row, key: key(row.key), kind: row.kind as DocumentKind },
          ]),
    ),
  fc.record({ tenant: name, entity: name, label: fc.option(name), updatedMs: small, ts }).map(
    (row): Step =>
      (store) =>
        store.states.putListing(row),
  ),
  oneShard.map(
    (shard): Step =>
      (store) =>
        store.states.loadShard(shard),
  ),
  fc.record({ tenant: name, marker: fc.option(name), limit }).map(
    ({ tenant, marker, limit }): Step =>
      (store) =>
        store.states.listEntities(tenant, marker, limit),
  ),
  fc
    .array(
      fc.record({
        shard: oneShard,
        key: name,
        check: name,
        zone: name,
        slotAtMs: slot,
        value: body,
      }),
      { maxLength: 5 },
    )
    .map(
      (rows): Step =>
        (store) =>
          store.samples.appendTicks(rows.map((row) => ({ ...row, key: key(row.key) }))),
    ),
  fc.record({ shard: oneShard, key: name, check: name, zone: name, notBeforeMs: slot }).map(
    ({ notBeforeMs, ...of }): Step =>
      (store) =>
        store.samples.lastTicks([{ ...of, key: key(of.key) }], notBeforeMs),
  ),
  fc.record({ shard: oneShard, key: name, check: name, fromMs: slot, toMs: slot, limit }).map(
    (query): Step =>
      (store) =>
        store.samples.readTicks({ ...query, key: key(query.key) }),
  ),
  fc
    .record({ table, partition: name, atMs, seed: name, key: name, shard: small, seq: small, body })
    .map(
      ({ seed, ...row }): Step =>
        (store) =>
          store.history.append([{ ...row, id: timeId(row.atMs, seed), key: key(row.key) }]),
    ),
  fc
    .record({
      table,
      partition: name,
      fromMs: atMs,
      toMs: atMs,
      of: fc.option(name),
      marked: fc.option(fc.tuple(atMs, name)),
      reverse: fc.boolean(),
      limit,
    })
    .map(
      ({ of, marked, ...query }): Step =>
        (store) => {
          const marker = marked === null ? null : timeId(...marked);
          return store.history.page({ ...query, marker, ...(of === null ? {} : { key: key(of) }) });
        },
    ),
  fc.record({ table, partition: name, shard: small, afterSeq: small, limit }).map(
    (query): Step =>
      (store) =>
        store.history.after(query),
  ),
  fc.record({ name, tenant: name, version: fc.integer({ min: 1, max: 3 }), body }).map(
    (user): Step =>
      (store) =>
        store.accounts.putUser(user),
  ),
  fc.record({ tenant: name, version: fc.integer({ min: 1, max: 3 }), body }).map(
    (tenant): Step =>
      (store) =>
        store.accounts.putTenant(tenant),
  ),
  fc.record({ name, version: small }).map(
    ({ name, version }): Step =>
      (store) =>
        store.accounts.deleteUser(name, version),
  ),
  fc.option(name).map(
    (tenant): Step =>
      async (store) => [
        await store.accounts.listUsers(tenant, 10),
        await store.accounts.listTenants(10),
      ],
  ),
  // Whole days: within one, SQLite keeps an expired tick until its whole hour is.
  fc.nat({ max: 500 }).map(
    (days): Step =>
      (store) =>
        store.sweep(baseMs + days * dayMs),
  ),
);

/** Everything that a store holds of what the steps touch. */
const everything: Step = async ({ authority, shardLog, states, accounts }) => {
  const shards = [shard(0), shard(1023)];
  return Promise.all([
    ...shards.map((of) => authority.readHead(of)),
    ...shards.map((of) => shardLog.readTail(of, 0)),
    ...shards.map((of) => states.loadShard(of)),
    accounts.listUsers(null, 100),
    accounts.listTenants(100),
  ]);
};

/** Answers with texts for bytes, whatever class the bytes have. */
function plain(answer: unknown): unknown {
  if (answer instanceof Uint8Array) return `bytes ${Buffer.from(answer).toString('hex')}`;
  if (Array.isArray(answer)) return answer.map(plain);
  if (answer === null || typeof answer !== 'object') return answer;
  const entries = Object.entries(answer).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(entries.map(([name, value]) => [name, plain(value)]));
}

/** SQLite on this thread, a round for each request: the worker adds nothing to what is asked here. */
function inlineStore(folder: string): Store {
  const file = openStoreFile({ folder, reserveBytes: 0, report: () => undefined });
  const call: StoreCall = async (name, ...args) => {
    const [answer] = runRound(file, [{ id: 1, name, args }]);
    if (answer === undefined || 'error' in answer) throw new Error(JSON.stringify(answer));
    return answer.value as never;
  };
  return assembleStore(call, { ping: () => call('ping'), close: async () => file.close() });
}

t.test('random histories are answered alike by memory and SQLite', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tocsin-model-'));
  t.teardown(() => rm(folder, { recursive: true }));
  let run = 0;
  let answers = 0;
  const alike = fc.asyncProperty(
    fc.array(steps, { maxLength: 150, size: 'max' }),
    async (history) => {
      const real = inlineStore(join(folder, `${run++}`));
      const model = createMemoryStore();
      try {
        for (const [at, step] of [...history, everything].entries()) {
          const expected = JSON.stringify(plain(await step(model)));
          const actual = JSON.stringify(plain(await step(real)));
          if (actual !== expected) {
            throw new Error(`step ${at}: memory answers ${expected}, SQLite ${actual}`);
          }
          answers++;
        }
      } finally {
        await real.close();
      }
    },
  );
  await fc.assert(alike, { numRuns: 150 });
  t.ok(answers > 5000, `${answers} answers were alike`);
});

t.test('faults of the memory store are those of a real one', async (t) => {
  let fault: 'unavailable' | 'unknown' | 'unknownApplied' | undefined;
  const seen: string[] = [];
  const store = createMemoryStore({
    faults: {
      before: () => fault,
      after: (name) => {
        seen.push(name);
      },
    },
  });
  await claimFresh(store, 1);
  const head = async () => {
    fault = undefined;
    return (await store.authority.readHead(shard(1))).head;
  };
  const commit = (prevHead: number) => store.shardLog.commit(batch(1, prevHead, ['x']));
  fault = 'unavailable';
  await t.rejects(commit(0), { code: 'ST_UNAVAILABLE', retryable: true });
  t.equal(await head(), 0);
  fault = 'unknown';
  await t.rejects(commit(0), { code: 'ST_UNKNOWN', retryable: false });
  t.equal(await head(), 0);
  fault = 'unknownApplied';
  await t.rejects(commit(0), { code: 'ST_UNKNOWN', retryable: false });
  t.equal(await head(), 1);
  fault = 'unknownApplied';
  await t.rejects(store.authority.readHead(shard(1)), { code: 'ST_UNAVAILABLE' });
  const put = store.states.putStates(shard(1), 1, [stateRow('t/a', 1, 'a')]);
  await t.rejects(put, { code: 'ST_UNKNOWN', retryable: true });
  await head();
  t.same(seen, ['claim', 'readHead', 'readHead', 'commit', 'readHead', 'putStates', 'readHead']);
  const own = createMemoryStore({
    faults: {
      before: () => {
        throw new Error('of the test');
      },
    },
  });
  await t.rejects(own.ping(), /of the test/);
  await store.close();
  await t.rejects(store.ping(), { code: 'ST_CLOSED' });
});

t.test('every code says whether a repeat may help', async (t) => {
  for (const [code, entry] of Object.entries(storeErrors)) {
    t.match(code, /^ST_[A-Z_]+$/);
    t.match(entry.meaning, /\.$/, code);
  }
});
