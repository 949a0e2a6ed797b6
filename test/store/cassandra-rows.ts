// What storage.md §17 and §16 ask of a Cassandra store beyond the suites of all stores, where one node is enough.
import type { Test } from 'tap';
import { nextTsBase, timestampsPerEpoch } from '../../cluster/epoch-timestamp.ts';
import { systemClock } from '../../runtime/clock.ts';
import { problemOf } from '../../store/cassandra/durability.ts';
import { openCassandraStore } from '../../store/cassandra/store.ts';
import { batch, claimFresh, head, readable, shard, stateRow } from '../conformance/rows.ts';
import type { TestKeyspace } from './cassandra-store.ts';

const text = (of: { body: Uint8Array } | undefined) => new TextDecoder().decode(of?.body);

export async function rowsOfOneNode(t: Test, keyspace: TestKeyspace): Promise<void> {
  await t.test('two clusters in one keyspace do not meet', async (t) => {
    const [a, b] = await Promise.all([keyspace.open(t), keyspace.open(t)]);
    await claimFresh(a, 1);
    await a.shardLog.commit(batch(1, 0, ['of a']));
    t.equal((await b.authority.readHead(shard(1))).owner, '');
    await claimFresh(b, 1);
    t.same(await b.shardLog.readTail(shard(1), 0), []);
    t.equal(await a.views.casView({ from: 0, to: 1, body: new Uint8Array([1]) }), true);
    t.equal(await b.views.readView('decide'), null);
    t.equal(
      await a.accounts.putTenant({ tenant: 'shared', version: 1, body: new Uint8Array() }),
      true,
    );
    const taken = { tenant: 'shared', version: 1, body: new Uint8Array() };
    t.equal(await b.accounts.putTenant(taken), false, 'a tenant’s name is unique over clusters');
    t.equal(await b.accounts.tenant('shared'), null, 'and belongs to one');
    t.equal(await b.accounts.putTenant({ ...taken, version: 2 }), false);
  });

  await t.test('the next owner’s soft state wins whatever the clocks say', async (t) => {
    const store = await keyspace.open(t);
    const nowMs = systemClock().nowMs();
    let tsBase = 0;
    for (const [at, offMs] of [0, 300_000, -300_000, 0, -86_400_000].entries()) {
      tsBase = nextTsBase(nowMs + offMs, tsBase);
      const last = tsBase + timestampsPerEpoch - 1;
      await store.states.putStates(shard(2), tsBase, [stateRow('t/e', at, `first of ${at}`)]);
      await store.states.putStates(shard(2), last, [stateRow('t/e', at, `last of ${at}`)]);
      await store.states.putStates(shard(2), tsBase + 1, [stateRow('t/e', at, 'late')]);
      const { states } = await store.states.loadShard(shard(2));
      t.equal(text(states[0]), `last of ${at}`);
    }
    await store.states.putStates(shard(2), tsBase, [stateRow('t/e', 9, null)]);
    t.equal((await store.states.loadShard(shard(2))).states.length, 1, 'a late delete loses');
  });

  await t.test('soft state without a timestamp never leaves', async (t) => {
    const store = await keyspace.open(t);
    const put = (ts: unknown) =>
      store.states.putStates(shard(3), ts as number, [stateRow('t', 1, 'x')]);
    for (const ts of [undefined, Number.NaN, -1, 2 ** 53])
      await t.rejects(put(ts), /its timestamp/);
    t.same(readable((await store.states.loadShard(shard(3))).states), []);
  });

  await t.test('marks that are behind those of the store ride along, not back', async (t) => {
    const store = await keyspace.open(t);
    await claimFresh(store, 4);
    await store.shardLog.commit(batch(4, 0, ['1', '2', '3'], { dispatched: 0, snap: 0 }));
    const marks = (dispatched: number, snap: number, more = {}) =>
      store.shardLog.commit(batch(4, 3, [], { dispatched, snap, ...more }));
    t.same(await marks(3, 1), { applied: true });
    t.same(await marks(1, 3), { applied: true });
    t.same(await store.authority.readHead(shard(4)), head({ head: 3, dispatched: 3, snap: 3 }));
    t.same(await store.shardLog.commit(batch(4, 3, ['4'], { dispatched: 0, snap: 0 })), {
      applied: true,
    });
    t.match(await store.authority.readHead(shard(4)), { head: 4, dispatched: 3, snap: 3 });
  });

  await t.test('the fence never expires and history does, by the tables themselves', async (t) => {
    const client = await keyspace.client(t);
    const { rows } = await client.execute(
      'SELECT table_name, default_time_to_live, compaction FROM system_schema.tables WHERE keyspace_name = ?',
      [keyspace.name],
    );
    const keeps = new Map(rows.map((row) => [row['table_name'], row['default_time_to_live']]));
    const forEver = ['shard_log', 'cluster_view', 'actor_state', 'config_doc', 'tenant', 'user'];
    for (const table of [...forEver, 'tenant_entity', 'node_beat'])
      t.equal(keeps.get(table), 0, table);
    t.equal(keeps.get('tick'), 6 * 3600);
    t.equal(keeps.get('changelog'), 365 * 86_400);
    t.equal(keeps.get('notification_log'), 90 * 86_400);
  });

  await t.test('a store of a newer or another schema is not opened', async (t) => {
    const client = await keyspace.client(t);
    const put = (id: number, checksum: string) =>
      client.execute('INSERT INTO schema_migrations (id, checksum, applied_at) VALUES (?, ?, 0)', [
        id,
        checksum,
      ]);
    const { rows } = await client.execute('SELECT id, checksum FROM schema_migrations');
    await put(99, 'of the future');
    await t.rejects(openCassandraStore(keyspace.options()), { code: 'ST_SCHEMA_NEWER' });
    await client.execute('DELETE FROM schema_migrations WHERE id = 99');
    await put(1, 'another');
    await t.rejects(openCassandraStore(keyspace.options()), { code: 'ST_SCHEMA_DIFFERS' });
    await put(1, rows[0]?.['checksum']);
    const looking = { ...keyspace.options(), migrates: false };
    await t.rejects(openCassandraStore(looking), { code: 'ST_OPEN_FAILED' }, 'no head rows yet');
    const nowhere = { ...keyspace.options(), keyspace: 'tocsin_nowhere' };
    const { replicas: _, ...without } = nowhere;
    await t.rejects(openCassandraStore(without), { code: 'ST_OPEN_FAILED' });
    await t.rejects(openCassandraStore({ ...nowhere, keyspace: 'x; DROP' }), {
      code: 'ST_OPEN_FAILED',
    });
    await (await keyspace.open(t)).close();
  });

  await t.test('servers that forget what they acknowledged are named', async (t) => {
    const of = (...entries: [string, string][]) => problemOf(new Map(entries));
    t.match(of(['commitlog_sync', 'periodic']), /group/);
    t.equal(of(['commitlog_sync', 'group'], ['paxos_variant', 'v2']), null);
    t.match(of(['paxos_variant', 'v2_without_linearizable_reads']), /v2/);
    t.equal(of(), null, 'a server that does not tell is not refused');
  });

  await t.test('a port where nobody listens is unavailable, not unknown', async (t) => {
    const nobody = { ...keyspace.options(), contactPoints: ['127.0.0.1'], port: 1 };
    await t.rejects(openCassandraStore(nobody), { code: 'ST_UNAVAILABLE', retryable: true });
  });
}
