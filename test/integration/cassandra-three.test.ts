// The store on three Cassandra nodes: what one node hides. Contention and unknown outcomes, a node killed, a node frozen,
// late writes after a take-over, and a fence whose cost does not grow with what was trimmed.
import t from 'tap';
import { claimShard, patiently } from '../../cluster/claims.ts';
import { verdictOfHead } from '../../cluster/commit-verdict.ts';
import { inParallel } from '../../cluster/pause.ts';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { epoch, type ShardId, shardId } from '../../runtime/ids.ts';
import type { Authority, CommitBatch, ShardHead } from '../../runtime/ports.ts';
import { batch, epochOf, readable, shard, stateRow } from '../conformance/rows.ts';
import { cassandraLab, cassandraMissing, outerContact } from '../lab/cassandra.ts';
import { TestKeyspace } from '../store/cassandra-store.ts';

const outside = outerContact() === null ? null : 'skipped: nodes of others cannot be killed';
t.setTimeout(240_000);
const skip = cassandraMissing(t, 6) ?? outside ?? false;

t.test('a store over three nodes of Cassandra', { skip, timeout: 240_000 }, async (t) => {
  const lab = await cassandraLab(t, 3);
  const keyspace = new TestKeyspace(lab.contact, 3);
  const clock = systemClock();
  const random = systemRandom();
  const cluster = 'three';
  const stores = await Promise.all(
    Array.from({ length: 2 }, () => keyspace.open(t, { cluster, authorityMs: 1_500 })),
  );
  t.pass('two nodes that migrate at once make one schema');
  const [a, b] = stores as [ClusterStore, ClusterStore];

  /** A read, or a write that may run twice, until it is answered. */
  const sure = <Answer>(ask: () => Promise<Answer>) => patiently({ clock, random }, ask);
  const headOf = (of: ShardId) => sure(() => a.authority.readHead(of, 'look'));
  const claimFresh = async (store: ClusterStore, of: number) => {
    const { won } = await claimAll(store, 'a/1', [shard(of)]);
    if (won.length === 0) throw new Error(`shard ${of} was not fresh`);
  };

  /** Claims shards for an owner, of nobody's only; counts what the store did not tell. */
  const claimAll = async (store: ClusterStore, owner: string, shards: readonly ShardId[]) => {
    let unknown = 0;
    const counted: Authority = {
      readHead: (of, level) => store.authority.readHead(of, level),
      claim: async (of, claim) => {
        try {
          return await store.authority.claim(of, claim);
        } catch (error) {
          if (error instanceof TocsinError && error.code === 'ST_UNKNOWN') unknown++;
          throw error;
        }
      },
    };
    const policy = (head: ShardHead) => {
      if (head.owner === owner) return 'adopt' as const;
      return head.owner === '' ? epoch(head.epoch + 1) : null;
    };
    const won: ShardId[] = [];
    await inParallel(shards, 48, async (of) => {
      try {
        const seen = await sure(() => store.authority.readHead(of, 'look'));
        await claimShard({ authority: counted, owner, policy, clock, random }, of, seen);
        won.push(of);
      } catch (error) {
        if (!(error instanceof TocsinError && error.code === 'CL_CLAIM_REFUSED')) throw error;
      }
    });
    return { won, unknown };
  };

  await t.test(
    'four claimers race for 256 shards: each shard has one owner, who knows it',
    async (t) => {
      const shards = Array.from({ length: 256 }, (_, of) => shardId(of));
      const startedMs = clock.monoMs();
      const more = await Promise.all(
        [0, 1].map(() => keyspace.open(t, { cluster, migrates: false, authorityMs: 1_500 })),
      );
      const outcomes = await Promise.all(
        [a, b, ...more].map((store, n) => claimAll(store, `n${n}/1`, shards)),
      );
      const unknown = outcomes.reduce((sum, outcome) => sum + outcome.unknown, 0);
      t.comment(`${unknown} unknown outcomes, ${Math.round(clock.monoMs() - startedMs)} ms`);
      const owners = new Map(outcomes.flatMap(({ won }, n) => won.map((of) => [of, `n${n}/1`])));
      t.equal(
        outcomes.flatMap(({ won }) => won).length,
        256,
        'no shard was won twice or by nobody',
      );
      const heads = await Promise.all(shards.map(headOf));
      t.ok(heads.every((head, of) => head.owner === owners.get(shardId(of)) && head.epoch === 1));
    },
  );

  await t.test(
    'a frozen owner’s late commit is refused, and its late soft state is not seen',
    async (t) => {
      await claimFresh(a, 300);
      t.same(await a.shardLog.commit(batch(300, 0, ['one'])), { applied: true });
      const late = batch(300, 1, ['late'], { dispatched: 1, snap: 1, trimTo: 1 });
      await a.states.putStates(shard(300), 1000, [stateRow('t/e', 1, 'of a')]);
      const claim = {
        seen: epochOf(1),
        was: 'a/1',
        epoch: epochOf(2),
        owner: 'b/1',
        tsBase: 2 ** 33,
      };
      t.same(await b.authority.claim(shard(300), claim), { applied: true });
      await b.states.putStates(shard(300), 2 ** 33, [stateRow('t/e', 1, 'of b')]);
      t.same(await a.shardLog.commit(late), { applied: false, epoch: 2, owner: 'b/1', head: 1 });
      // Acknowledged, and invisible: an acknowledgement of soft state proves nothing about ownership.
      await a.states.putStates(shard(300), 1001, [stateRow('t/e', 2, 'late of a')]);
      for (const store of [a, b, a, b]) {
        const { states } = await store.states.loadShard(shard(300));
        t.same(readable(states), [{ key: 't/e', seq: 1, body: 'of b' }]);
      }
      t.equal((await b.shardLog.readTail(shard(300), 0)).length, 1, 'its trim did nothing');
    },
  );

  await t.test('a write with a timestamp of another ends the same for every reader', async (t) => {
    const bodies = ['x', 'y', 'z'];
    await Promise.all(
      bodies.map((body, n) =>
        (n % 2 === 0 ? a : b).states.putStates(shard(301), 77, [stateRow('t/e', 1, body)]),
      ),
    );
    const seen = new Set<unknown>();
    for (let n = 0; n < 12; n++) {
      const { states } = await (n % 2 === 0 ? a : b).states.loadShard(shard(301));
      seen.add(readable(states)[0]?.['body']);
    }
    t.same([...seen], ['z'], 'the larger value');
  });

  /** Commits one row; where the outcome is unknown the head row decides. Returns how long it took. */
  const commitFor = async (store: ClusterStore, of: CommitBatch): Promise<number> => {
    const startedMs = clock.monoMs();
    for (;;) {
      try {
        const outcome = await store.shardLog.commit(of);
        if (outcome.applied) break;
        if (verdictOfHead(outcome, of) === 'applied') break;
        throw new Error(`refused: ${JSON.stringify(outcome)}`);
      } catch (error) {
        if (!(error instanceof TocsinError)) throw error;
        const head = await store.authority.readHead(of.shard).catch(() => null);
        const verdict = head === null ? 'again' : verdictOfHead(head, of);
        if (verdict === 'applied') break;
        if (verdict === 'lost') throw error;
      }
    }
    return clock.monoMs() - startedMs;
  };

  /** Commits rows on eight shards for `ms`; returns the times, and the rows that were acknowledged. */
  const commitLoad = async (store: ClusterStore, shards: readonly number[], ms: number) => {
    const untilMs = clock.monoMs() + ms;
    const times: number[] = [];
    const heads = await Promise.all(
      shards.map(async (of) => {
        let { head } = await headOf(shard(of));
        while (clock.monoMs() < untilMs) {
          times.push(await commitFor(store, batch(of, head, ['row'])));
          head++;
        }
        return head;
      }),
    );
    times.sort((left, right) => left - right);
    return { times, heads };
  };

  await t.test(
    'a node that freezes holds up a commit for a few time-outs, not for the freeze, and nothing is lost',
    async (t) => {
      const shards = Array.from({ length: 8 }, (_, n) => 310 + n);
      await Promise.all(shards.map((of) => claimFresh(a, of)));
      const swift = await keyspace.open(t, { cluster, migrates: false, authorityMs: 600 });
      const load = commitLoad(swift, shards, 10_000);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      lab.nodes[1]?.freeze();
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      lab.nodes[1]?.thaw();
      const { times, heads } = await load;
      const [p50, longest] = [times[times.length >> 1] as number, times.at(-1) as number];
      t.comment(
        `${times.length} commits, p50 ${Math.round(p50)} ms, longest ${Math.round(longest)} ms`,
      );
      t.ok(longest < 5_000, `longest ${Math.round(longest)} ms: not the whole freeze`);
      for (const [at, of] of shards.entries()) {
        const tail = await a.shardLog.readTail(shard(of), 0);
        t.equal(tail.length, heads[at], 'a row for each acknowledged commit, none twice');
      }
    },
  );

  await t.test(
    'a claim storm goes on while a node is killed, and the node comes back',
    async (t) => {
      const shards = Array.from({ length: 256 }, (_, n) => shardId(512 + n));
      const startedMs = clock.monoMs();
      const storm = claimAll(b, 'storm/1', shards);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await lab.kill(2);
      const { won, unknown } = await storm;
      t.comment(`${Math.round(clock.monoMs() - startedMs)} ms, ${unknown} unknown`);
      t.equal(won.length, 256);
      // Written while it was away: read later with it in the quorum.
      await b.states.putStates(shard(600), 5000, [stateRow('t/e', 1, 'newer')]);
      await lab.restart(2);
      await a.states.putStates(shard(600), 4999, [stateRow('t/e', 1, 'older')]);
      for (let n = 0; n < 12; n++) {
        const { states } = await (n % 2 === 0 ? a : b).states.loadShard(shard(600));
        t.same(readable(states), [{ key: 't/e', seq: 1, body: 'newer' }]);
      }
      const heads = await Promise.all(shards.map(headOf));
      t.ok(heads.every(({ owner }) => owner === 'storm/1'));
    },
  );

  await t.test('a commit costs the same over 50,000 trimmed rows', async (t) => {
    await claimFresh(a, 900);
    await claimFresh(a, 901);
    const bodies = Array.from({ length: 256 }, () => 'x');
    let head = 0;
    while (head < 50_000) {
      const marks = { dispatched: head, snap: head, trimTo: head };
      await commitFor(a, batch(900, head, bodies, marks));
      head += bodies.length;
    }
    await commitFor(a, batch(900, head, ['last'], { dispatched: head, snap: head, trimTo: head }));
    head++;
    const fresh: number[] = [];
    const trimmed: number[] = [];
    for (let n = 0; n < 30; n++) {
      fresh.push(await commitFor(a, batch(901, n, ['x'])));
      const marks = { dispatched: head - 1, snap: head - 1 };
      trimmed.push(await commitFor(a, batch(900, head, ['x'], marks)));
      head++;
    }
    const p50 = (of: number[]) => of.toSorted((left, right) => left - right)[15] as number;
    t.comment(
      `p50 of a commit: fresh ${Math.round(p50(fresh))} ms, trimmed ${Math.round(p50(trimmed))} ms`,
    );
    t.ok(p50(trimmed) < 2 * p50(fresh) + 10);
    t.match(await a.authority.readHead(shard(900)), { head, epoch: 1, owner: 'a/1' });
  });
});
