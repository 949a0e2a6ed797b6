// The host over the embedded store, with the real clock: restart, crash without a stop, and the start of a large node.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createShardHost, type ShardHost } from '../../cluster/host.ts';
import type { LoadedActor } from '../../runtime/behaviour.ts';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import { encodeValue } from '../../runtime/codec.ts';
import { type ActorKey, actorKey, nodeId, type ShardId, shardOf } from '../../runtime/ids.ts';
import type { DocumentRow, Intent, Store } from '../../runtime/ports.ts';
import { openSqliteStore } from '../../store/sqlite/store.ts';
import { alice, configRow, intentRow, transitionRow } from './world.ts';

const quiet = (): void => undefined;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tocsin-host-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

let runs = 0;
function hostOver(store: Store, sends: Intent[]): ShardHost {
  return createShardHost({
    store,
    node: nodeId('n1'),
    incarnation: `i${++runs}`,
    clock: systemClock(),
    random: systemRandom(),
    logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    meter: { count: quiet, gauge: quiet },
    notifier: {
      receiverOf: (intent) => intent.channel,
      deliver: async (_, intent) => {
        sends.push(intent);
        return { delivered: true, message: 'ok' };
      },
    },
    retryDelayMs: () => 1000,
    logBody: (intent, line) => ({ intent: intent.id, ...line }),
    onLost: quiet,
  });
}

async function startOf(host: ShardHost): Promise<Map<ActorKey, LoadedActor>> {
  const actors = new Map<ActorKey, LoadedActor>();
  await host.start((key, loaded) => actors.set(key, loaded));
  return actors;
}

t.test('decisions, soft state, ticks and notifications survive a stop and a restart', async (t) => {
  const path = folder();
  const sends: Intent[] = [];
  const first = await openSqliteStore({ folder: path });
  const host = hostOver(first, sends);
  await startOf(host);
  const rows = [configRow('c1', 1), transitionRow(1, 1000), intentRow(1, { atMs: Date.now() })];
  const { lastSeq } = await host.decisions.commit(alice, rows);
  t.equal(lastSeq, 3);
  host.softStates.changed(alice, false, () => ({ seq: 3, body: { state: 'CRITICAL' } }));
  host.ticks.append(alice, [{ check: 'c1', zone: 'z', slotAtMs: Date.now(), value: 7 }]);
  t.equal(await host.stop(10_000), true);
  await first.close();
  t.equal(sends.length, 1);
  const second = await openSqliteStore({ folder: path });
  const next = hostOver(second, sends);
  const actors = await startOf(next);
  t.match(actors.get(alice), {
    soft: { seq: 3, body: { state: 'CRITICAL' } },
    documents: [{ id: 'c1', rev: 1 }],
  });
  t.match(await next.ticks.last(alice, [{ check: 'c1', zone: 'z' }]), [{ value: 7 }]);
  t.match(next.directory.lookup(shardOf(alice)), { epoch: 2, local: true });
  await next.stop(10_000);
  t.equal(sends.length, 1, 'nothing is sent again');
  // A node that dies without a word: whatever was acknowledged is there.
  const third = hostOver(second, sends);
  await startOf(third);
  await Promise.all(
    Array.from({ length: 500 }, (_, n) =>
      third.decisions.commit(actorKey(`t2/en${n}`), [configRow('c', n)]),
    ),
  );
  const fourth = hostOver(second, sends);
  const all = await startOf(fourth);
  t.equal([...all.keys()].filter((key) => key.startsWith('t2/')).length, 500);
  await t.rejects(third.decisions.commit(alice, [configRow('c1', 2)]), { code: 'RT_NOT_OWNER' });
  await fourth.stop(10_000);
  await third.stop(1);
  await second.close();
});

t.test('a node of 10,000 entities is loaded, in a time that is told', async (t) => {
  const store = await openSqliteStore({ folder: folder() });
  const byShard = new Map<ShardId, { documents: DocumentRow[]; keys: ActorKey[] }>();
  const check = { label: 'http', target: 'x'.repeat(200), period: 10 };
  for (let n = 0; n < 10_000; n++) {
    const key = actorKey(`tenant/en${n}`);
    const group = byShard.get(shardOf(key)) ?? { documents: [], keys: [] };
    byShard.set(shardOf(key), group);
    group.keys.push(key);
    for (const kind of [0, 1, 2] as const) {
      group.documents.push({ key, kind, id: `d${kind}`, rev: 1, body: encodeValue(check) });
    }
  }
  const soft = encodeValue({ zones: { a: 'OK', b: 'OK', c: 'OK' }, last: [1, 2, 3] });
  await Promise.all(
    [...byShard].flatMap(([shard, { documents, keys }]) => [
      store.states.putDocuments(shard, 1, documents),
      store.states.putStates(
        shard,
        1,
        keys.map((key) => ({ key, seq: 0, body: soft })),
      ),
    ]),
  );
  const host = hostOver(store, []);
  const startedMs = performance.now();
  const actors = await startOf(host);
  const tookMs = performance.now() - startedMs;
  t.comment(`${Math.round(tookMs)} ms`);
  t.equal(actors.size, 10_000);
  t.equal(host.stats().shardsHeld, 1024);
  await host.stop(10_000);
  await store.close();
});

t.test(
  'a storm of 5,000 transitions is committed, projected and dispatched within five seconds',
  async (t) => {
    const store = await openSqliteStore({ folder: folder() });
    const sends: Intent[] = [];
    const host = hostOver(store, sends);
    await startOf(host);
    const startedMs = performance.now();
    await Promise.all(
      Array.from({ length: 5_000 }, (_, n) => {
        const rows = [transitionRow(n, n), intentRow(1, { alarm: `al${n}`, atMs: Date.now() })];
        return host.decisions.commit(actorKey(`storm/en${n}`), rows);
      }),
    );
    while (sends.length < 5_000) await new Promise((resolve) => setImmediate(resolve));
    const tookMs = performance.now() - startedMs;
    t.ok(tookMs < 5_000, `${Math.round(tookMs)} ms`);
    t.equal(await host.stop(10_000), true);
    const next = hostOver(store, sends);
    await startOf(next);
    await next.stop(10_000);
    t.equal(sends.length, 5_000, 'each once');
    await store.close();
  },
);
