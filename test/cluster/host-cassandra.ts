// The host over the shared store, with the real clock: decisions, soft state, ticks and notifications over a stop, a restart
// and a crash. Run by test/store/cassandra.test.ts, which has the server.
import type { Test } from 'tap';
import { createShardHost, type ShardHost } from '../../cluster/host.ts';
import type { LoadedActor } from '../../runtime/behaviour.ts';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import { type ActorKey, actorKey, nodeId, shardOf } from '../../runtime/ids.ts';
import type { Intent, Store } from '../../runtime/ports.ts';
import { alice, configRow, intentRow, transitionRow } from './world.ts';

const quiet = (): void => undefined;

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

/** `open` makes a handle on one and the same cluster's store each time. */
export async function hostOverCassandra(
  t: Test,
  open: (t: Test) => Promise<ClusterStore>,
): Promise<void> {
  const sends: Intent[] = [];
  const first = await open(t);

  await t.test('what was acknowledged survives a stop and a restart', async (t) => {
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
    await t.rejects(first.ping(), { code: 'ST_CLOSED' });
    const next = hostOver(await open(t), sends);
    const actors = await startOf(next);
    t.match(actors.get(alice), {
      soft: { seq: 3, body: { state: 'CRITICAL' } },
      documents: [{ id: 'c1', rev: 1 }],
    });
    t.match(await next.ticks.last(alice, [{ check: 'c1', zone: 'z' }]), [{ value: 7 }]);
    t.match(next.directory.lookup(shardOf(alice)), { epoch: 2, local: true });
    await next.stop(10_000);
    t.equal(sends.length, 1, 'nothing is sent again');
  });

  await t.test('a node that dies without a word leaves what it acknowledged', async (t) => {
    const store = await open(t);
    const dead = hostOver(store, sends);
    await startOf(dead);
    await Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        dead.decisions.commit(actorKey(`t2/en${n}`), [configRow('c', n)]),
      ),
    );
    const heir = hostOver(store, sends);
    const all = await startOf(heir);
    t.equal([...all.keys()].filter((key) => key.startsWith('t2/')).length, 300);
    const late = dead.decisions.commit(alice, [configRow('c1', 2)]);
    await t.rejects(late, { code: 'RT_NOT_OWNER' });
    t.equal(await heir.stop(10_000), true);
    await dead.stop(1);
  });
}
