// What every Authority does: head rows are there from the first start, a claim matches exactly, a refusal tells the head.
import { claimFresh, epochOf, head, type Suite, shard } from './rows.ts';

export const authoritySuite: Suite = async (t, makeStore) => {
  const { authority, ...store } = await makeStore(t);

  await t.test('a shard is nobody’s at first, with all marks at 0', async (t) => {
    for (const of of [0, 511, 1023]) {
      const fresh = head({ epoch: epochOf(0), owner: '', tsBase: 0 });
      t.same(await authority.readHead(shard(of)), fresh);
    }
  });

  await t.test('a claim that matches exactly is applied and read back', async (t) => {
    const claim = { seen: epochOf(0), was: '', epoch: epochOf(7), owner: 'a/1', tsBase: 123 };
    t.same(await authority.claim(shard(1), claim), { applied: true });
    t.same(await authority.readHead(shard(1)), head({ epoch: epochOf(7), tsBase: 123 }));
  });

  await t.test('a stale claim is refused with the current epoch and owner', async (t) => {
    await claimFresh({ authority, ...store }, 2);
    const claim = { epoch: epochOf(9), owner: 'b/1', tsBase: 9 };
    for (const [seen, was] of [
      [0, ''],
      [0, 'a/1'],
      [1, ''],
      [1, 'a/2'],
      [2, 'a/1'],
    ] as const) {
      const outcome = await authority.claim(shard(2), { ...claim, seen: epochOf(seen), was });
      t.match(outcome, { applied: false, head: { epoch: 1, owner: 'a/1' } }, `${seen} ${was}`);
    }
    t.same(await authority.readHead(shard(2)), head({}), 'and nothing changed');
  });

  await t.test('of many claims on one head one wins', async (t) => {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        authority.claim(shard(3), {
          ...{ seen: epochOf(0), was: '', epoch: epochOf(5), owner: `n${n}/1`, tsBase: 1 },
        }),
      ),
    );
    const winners = outcomes.filter(({ applied }) => applied);
    t.equal(winners.length, 1);
    const owner = `n${outcomes.findIndex(({ applied }) => applied)}/1`;
    t.equal((await authority.readHead(shard(3))).owner, owner);
  });

  await t.test('a take-over keeps head and marks', async (t) => {
    await claimFresh({ authority, ...store }, 4);
    const { shardLog } = store;
    const rows = [{ seq: 1, key: 't/e' as never, kind: 1 as const, body: new Uint8Array([1]) }];
    const marks = { dispatched: 1, snap: 1, trimTo: 0, rows };
    const owner = { epoch: epochOf(1), owner: 'a/1' };
    await shardLog.commit({ shard: shard(4), ...owner, prevHead: 0, ...marks });
    const claim = { seen: epochOf(1), was: 'a/1', epoch: epochOf(2), owner: 'b/4', tsBase: 5000 };
    t.same(await authority.claim(shard(4), claim), { applied: true });
    const taken = { epoch: epochOf(2), owner: 'b/4', tsBase: 5000, head: 1 };
    t.same(await authority.readHead(shard(4)), head({ ...taken, dispatched: 1, snap: 1 }));
  });

  await t.test('epochs and timestamps near 2^53 come back whole', async (t) => {
    const top = Number.MAX_SAFE_INTEGER;
    const claim = { seen: epochOf(0), was: '', epoch: epochOf(top - 1), owner: 'a/1', tsBase: top };
    t.same(await authority.claim(shard(5), claim), { applied: true });
    t.match(await authority.readHead(shard(5)), { epoch: top - 1, tsBase: top });
  });
};
