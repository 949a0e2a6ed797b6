// What the driver's faults become (storage.md §4, §13), against a stub: what surely did not happen, what nobody knows, what is
// sent again and with which timestamp. A conditional write is never sent twice.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import { CassandraAuthority } from '../../store/cassandra/authority.ts';
import { Session } from '../../store/cassandra/session.ts';
import { CassandraShardLog } from '../../store/cassandra/shard-log.ts';
import { CassandraStates } from '../../store/cassandra/states.ts';
import { batch, epochOf, shard, stateRow } from '../conformance/rows.ts';
import { quietLogger } from './cassandra-store.ts';
import { CqlStub, int, short, str } from './cql-stub.ts';

const consistency = { localQuorum: short(6), localSerial: short(9) } as const;
const casTimeout = Buffer.concat([consistency.localSerial, int(0), int(2), str('CAS')]);
const unavailable = (at: Buffer) => Buffer.concat([at, int(2), int(1)]);

const stub = await CqlStub.start();
t.teardown(() => stub.stop());
const session = new Session({
  ...{ contactPoints: ['127.0.0.1'], port: stub.port, localDataCenter: 'datacenter1' },
  ...{ keyspace: 'k', cluster: 'c', serial: 'local' },
  ...{ clock: systemClock(), random: systemRandom(), logger: quietLogger },
});
await session.connect();
// The driver's own reconnection timer outlives its shutdown where a host was down: it must not hold the test.
t.teardown(async () => {
  await session.close();
  setTimeout(() => process.exit(), 1_000).unref();
});
const authority = new CassandraAuthority(session);
const log = new CassandraShardLog(session);
const states = new CassandraStates(session);

const claim = { seen: epochOf(0), was: '', epoch: epochOf(1), owner: 'a/1', tsBase: 1 };
const claimed = () => authority.claim(shard(1), claim);
const committed = () => log.commit(batch(1, 0, ['row']));
/** Runs `ask` against these answers; returns the error and how often it was sent. */
const faultOf = async (ask: () => Promise<unknown>, ...answers: CqlStub['answers']) => {
  stub.answers.splice(0, stub.answers.length, ...answers);
  const before = stub.requests.length;
  const error = await ask().then(
    () => null,
    (caught: { code: string; retryable: boolean }) => caught,
  );
  stub.answers.length = 0;
  return { code: error?.code, retryable: error?.retryable, sent: stub.requests.length - before };
};

await t.test(
  'each table has one writing module, and classes never meet in one table',
  async (t) => {
    const folder = fileURLToPath(new URL('../../store/cassandra/', import.meta.url));
    const conditional = new Set<string>();
    const plain = new Set<string>();
    const homes = new Map<string, Set<string>>();
    for (const file of readdirSync(folder)) {
      const source = readFileSync(`${folder}${file}`, 'utf8');
      for (const [, text] of source.matchAll(
        /['"`]((?:INSERT INTO|UPDATE|DELETE FROM) [^;]*?)['"`];/g,
      )) {
        const [, table = ''] = /(?:INTO|UPDATE|FROM) (\w+|\$\{table\})/.exec(text as string) ?? [];
        const isTrim = table === 'shard_log' && (text as string).includes('seq >= 1');
        const isRow = table === 'shard_log' && (text as string).includes('ekey');
        if (!isTrim && !isRow) (/ IF /.test(text as string) ? conditional : plain).add(table);
        homes.set(table, (homes.get(table) ?? new Set()).add(file));
      }
    }
    t.same([...conditional].sort(), [
      'cluster_view',
      'schema_lock',
      'schema_migrations',
      'shard_log',
      'tenant',
      'user',
    ]);
    t.same([...plain].sort(), ['actor_state', 'config_doc', 'node_beat', 'tenant_entity', 'tick']);
    t.same([...(homes.get('shard_log') ?? [])].sort(), [
      'authority.ts',
      'migrate.ts',
      'shard-log.ts',
    ]);
    for (const [table, files] of homes) if (table !== 'shard_log') t.equal(files.size, 1, table);
  },
);

await t.test('a conditional write that is answered is applied', async (t) => {
  t.same(await claimed(), { applied: true });
  t.same(await committed(), { applied: true });
});

await t.test('a conditional write with an unknown outcome says so and is sent once', async (t) => {
  const unknown = { code: 'ST_UNKNOWN', retryable: false, sent: 1 };
  for (const ask of [claimed, committed]) {
    const timeout = { kind: 'error', code: 0x1100, more: casTimeout } as const;
    t.same(await faultOf(ask, timeout), unknown, 'CAS, received=0');
    t.same(await faultOf(ask, { kind: 'error', code: 0 }), unknown, 'a server’s own fault');
    const read = Buffer.concat([consistency.localSerial, int(1), int(2), Buffer.from([0])]);
    t.same(
      await faultOf(ask, { kind: 'error', code: 0x1200, more: read }),
      unknown,
      'read timeout',
    );
    const accepted = {
      kind: 'error',
      code: 0x1000,
      more: unavailable(consistency.localQuorum),
    } as const;
    t.same(
      await faultOf(ask, accepted),
      unknown,
      'too few replicas for the commit of what was accepted',
    );
    t.same(
      await faultOf(ask, { kind: 'error', code: 0x1001, message: 'Too many in flight hints: 9' }),
      unknown,
    );
    t.same(await faultOf(ask, { kind: 'silent' }), unknown, 'no answer in 600 ms');
    t.same(await faultOf(ask, { kind: 'cut' }), unknown, 'the connection is cut after the send');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
  }
});

await t.test('a conditional write that was refused unread did not happen', async (t) => {
  const nothing = { code: 'ST_UNAVAILABLE', retryable: true, sent: 1 };
  for (const ask of [claimed, committed]) {
    t.same(await faultOf(ask, { kind: 'error', code: 0x1001 }), nothing, 'overloaded');
    t.same(await faultOf(ask, { kind: 'error', code: 0x1002 }), nothing, 'bootstrapping');
    const early = {
      kind: 'error',
      code: 0x1000,
      more: unavailable(consistency.localSerial),
    } as const;
    t.same(await faultOf(ask, early), nothing, 'too few replicas for the proposal');
    t.same(await faultOf(ask, { kind: 'error', code: 0x2100 }), nothing, 'not allowed');
    const fault = { code: 'ST_FAILED', retryable: false, sent: 1 };
    t.same(await faultOf(ask, { kind: 'error', code: 0x2200 }), fault, 'invalid');
  }
});

await t.test(
  'a server that forgot a statement is told it again, and only then asked',
  async (t) => {
    const before = stub.prepared;
    t.same(await faultOf(claimed, { kind: 'unprepared' }, { kind: 'applied' }), {
      ...{ code: undefined, retryable: undefined, sent: 2 },
    });
    t.equal(stub.prepared, before + 1);
  },
);

await t.test('a refused claim whose head cannot be read did not happen', async (t) => {
  const refused = { kind: 'rows', row: { '[applied]': false, epoch: 5, owner: 'b/1' } } as const;
  const failed = { kind: 'error', code: 0x1002 } as const;
  t.match(await faultOf(claimed, refused, failed), { code: 'ST_UNAVAILABLE', sent: 2 });
  const seen = { epoch: 5, owner: 'b/1', head: 3, dispatched: 2, snap: 1, ts_base: 9 };
  stub.answers.push(refused, { kind: 'rows', row: seen });
  t.match(await claimed(), {
    applied: false,
    head: { epoch: 5, owner: 'b/1', head: 3, tsBase: 9 },
  });
  const moved = { kind: 'rows', row: { ...seen, epoch: 6 } } as const;
  stub.answers.push(refused, moved, moved);
  t.match(
    await claimed(),
    { applied: false, head: { epoch: 6 } },
    'a row that moves is read serially',
  );
  stub.answers.push({ kind: 'rows', row: { '[applied]': false } });
  await t.rejects(claimed(), { code: 'ST_CORRUPT' }, 'a head row that is not there');
});

await t.test('soft state is sent again with the timestamp of its first try', async (t) => {
  const put = () => states.putStates(shard(1), 123_456, [stateRow('t/e', 1, 'x')]);
  const from = stub.requests.length;
  const timeout = Buffer.concat([consistency.localQuorum, int(1), int(2), str('SIMPLE')]);
  const late = { kind: 'error', code: 0x1100, more: timeout } as const;
  t.match(await faultOf(put, late, { kind: 'error', code: 0 }), { code: undefined, sent: 3 });
  t.match(await faultOf(put, late, late, late), { code: 'ST_UNKNOWN', retryable: true, sent: 3 });
  t.match(await faultOf(put, { kind: 'error', code: 0x2200 }), { code: 'ST_FAILED', sent: 1 });
  t.ok(stub.requests.slice(from).every(({ timestamp }) => timestamp === 123_456n));
});

await t.test('a failed read is unavailable: nothing happened', async (t) => {
  const head = () => authority.readHead(shard(1));
  const timeout = { kind: 'error', code: 0x1100, more: casTimeout } as const;
  t.match(await faultOf(head, timeout), { code: 'ST_UNAVAILABLE', retryable: true, sent: 1 });
  t.match(await faultOf(head, { kind: 'silent' }), { code: 'ST_UNAVAILABLE', sent: 1 });
});

await t.test(
  'what the driver cannot encode is a fault of the program, and nothing is sent',
  async (t) => {
    const odd = () => authority.claim(shard(1), { ...claim, owner: 7 as never });
    t.match(await faultOf(odd), { code: 'ST_FAILED', sent: 0 });
  },
);

await t.test('without a server it is unavailable, after close closed', async (t) => {
  await stub.stop();
  const { code } = await faultOf(claimed);
  t.ok(code === 'ST_UNAVAILABLE' || code === 'ST_UNKNOWN');
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.match(await faultOf(claimed), { code: 'ST_UNAVAILABLE', sent: 0 });
  await session.close();
  t.match(await faultOf(claimed), { code: 'ST_CLOSED', sent: 0 });
});

t.end();
