// The conformance suites against a real Cassandra of one node, and what storage.md §17 asks of it beyond them.
import t from 'tap';
import { hostOverCassandra } from '../cluster/host-cassandra.ts';
import { accountsSuite } from '../conformance/accounts.ts';
import { authoritySuite } from '../conformance/authority.ts';
import { historySuite } from '../conformance/history.ts';
import { samplesSuite } from '../conformance/samples.ts';
import { shardLogSuite } from '../conformance/shard-log.ts';
import { stateStoreSuite } from '../conformance/state-store.ts';
import { viewsSuite } from '../conformance/views.ts';
import { cassandraContact, cassandraMissing } from '../lab/cassandra.ts';
import { rowsOfOneNode } from '../store/cassandra-rows.ts';
import { TestKeyspace } from '../store/cassandra-store.ts';

t.setTimeout(240_000);
const skip = cassandraMissing(t, 9) ?? false;

t.test('a store over a Cassandra of one node', { skip, timeout: 240_000 }, async (t) => {
  const keyspace = new TestKeyspace(await cassandraContact(t), 1);
  const makeStore = keyspace.open.bind(keyspace);
  await t.test('authority', (t) => authoritySuite(t, makeStore));
  await t.test('shard log', (t) => shardLogSuite({ trimmedRows: 5000 })(t, makeStore));
  await t.test('state store', (t) => stateStoreSuite(t, makeStore));
  await t.test('samples', (t) => samplesSuite(t, makeStore));
  await t.test('history', (t) => historySuite(t, makeStore));
  await t.test('accounts', (t) => accountsSuite(t, makeStore));
  await t.test('views', (t) => viewsSuite(t, makeStore));
  await t.test('rows of one node', (t) => rowsOfOneNode(t, keyspace));
  const { cluster } = keyspace.options();
  await t.test('host', (t) => hostOverCassandra(t, (t) => keyspace.open(t, { cluster })));
});
