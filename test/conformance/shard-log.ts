// What every ShardLog does: batches apply whole and in order under the fence, marks never go back, trims leave the head row.
import { batch, claimFresh, epochOf, head, logRows, readable, type Suite, shard } from './rows.ts';

/** `trimmedRows`: how many rows the long trim goes through; fewer where each costs a round trip. */
export const shardLogSuite =
  (options: { trimmedRows: number }): Suite =>
  async (t, makeStore) => {
    const store = await makeStore(t);
    const { authority, shardLog } = store;
    const tail = async (of: number, above = 0) =>
      readable(await shardLog.readTail(shard(of), above));

    await t.test('a batch moves the head by its rows, and the tail is what was put', async (t) => {
      await claimFresh(store, 1);
      t.same(await shardLog.commit(batch(1, 0, ['one', 'two'])), { applied: true });
      t.same(await shardLog.commit(batch(1, 2, ['three'])), { applied: true });
      const rows = (seq: number, body: string) => ({ seq, key: 't/e', kind: 1, body });
      t.same(await tail(1), [rows(1, 'one'), rows(2, 'two'), rows(3, 'three')]);
      t.same(await tail(1, 2), [rows(3, 'three')]);
      t.same(await tail(1, 3), []);
      t.same(await authority.readHead(shard(1)), head({ head: 3 }));
    });

    await t.test('a batch that builds on another head is refused with the head', async (t) => {
      await claimFresh(store, 2);
      await shardLog.commit(batch(2, 0, ['one']));
      const refusal = { applied: false, epoch: 1, owner: 'a/1', head: 1 };
      t.same(await shardLog.commit(batch(2, 0, ['again'])), refusal, 'one behind');
      t.same(await shardLog.commit(batch(2, 2, ['ahead'])), refusal, 'one ahead');
      t.equal((await tail(2)).length, 1);
    });

    await t.test('a zombie’s batch is refused, whole, with the new owner', async (t) => {
      await claimFresh(store, 3);
      await shardLog.commit(batch(3, 0, ['one']));
      const claim = { seen: epochOf(1), was: 'a/1', epoch: epochOf(2), owner: 'b/1', tsBase: 1 };
      await authority.claim(shard(3), claim);
      const late = batch(3, 1, ['late'], { dispatched: 1, snap: 1, trimTo: 1 });
      const refusal = { applied: false, epoch: 2, owner: 'b/1', head: 1 };
      t.same(await shardLog.commit(late), refusal);
      t.equal((await tail(3)).length, 1, 'its row is not there, its trim did nothing');
      t.match(await authority.readHead(shard(3)), { dispatched: 0, snap: 0 });
      const next = batch(3, 1, ['two'], { epoch: epochOf(2), owner: 'b/1' });
      t.same(await shardLog.commit(next), { applied: true });
    });

    await t.test('another owner in the same epoch is refused', async (t) => {
      await claimFresh(store, 4);
      const refusal = { applied: false, epoch: 1, owner: 'a/1', head: 0 };
      for (const owner of ['a/2', 'b/1', '']) {
        t.same(await shardLog.commit(batch(4, 0, ['x'], { owner })), refusal, owner);
      }
      t.same(await shardLog.commit(batch(4, 0, ['x'], { epoch: epochOf(2) })), refusal);
    });

    await t.test(
      'marks alone move without rows, and a late one never takes them back',
      async (t) => {
        await claimFresh(store, 5);
        await shardLog.commit(batch(5, 0, ['one', 'two', 'three']));
        const marks = (dispatched: number, snap: number) =>
          shardLog.commit(batch(5, 3, [], { dispatched, snap }));
        t.same(await marks(3, 2), { applied: true });
        await marks(1, 1);
        const after = await authority.readHead(shard(5));
        t.match(after, { head: 3, dispatched: 3, snap: 2 });
        t.same(await marks(3, 3), { applied: true });
        t.match(await authority.readHead(shard(5)), { head: 3, dispatched: 3, snap: 3 });
      },
    );

    await t.test('a batch of 256 rows applies whole; 257 are refused by rule', async (t) => {
      await claimFresh(store, 6);
      const bodies = Array.from({ length: 257 }, (_, n) => `row ${n + 1}`);
      await t.rejects(shardLog.commit(batch(6, 0, bodies)), /at most 256 rows/);
      t.same(await shardLog.commit(batch(6, 0, bodies.slice(0, 256))), { applied: true });
      const seqs = (await tail(6)).map((row) => row['seq']);
      t.same(
        seqs,
        bodies.slice(0, 256).map((_, n) => n + 1),
      );
    });

    await t.test('a batch that breaks a rule of the log is refused', async (t) => {
      await claimFresh(store, 7);
      const gap = batch(7, 0, ['x'], { rows: logRows(1, ['x']) });
      await t.rejects(shardLog.commit(gap), /follow its head/);
      await t.rejects(shardLog.commit(batch(7, 0, ['x'], { snap: 2 })), /never pass the head/);
      const early = batch(7, 0, ['x'], { dispatched: 1, snap: 0, trimTo: 1 });
      await t.rejects(shardLog.commit(early), /never passes a watermark/);
      t.match(await authority.readHead(shard(7)), { head: 0 });
    });

    await t.test('a trim goes with a batch, and only if the batch applies', async (t) => {
      await claimFresh(store, 8);
      await shardLog.commit(batch(8, 0, ['1', '2', '3', '4']));
      const trim = { dispatched: 3, snap: 3, trimTo: 3 };
      await shardLog.commit(batch(8, 9, [], { ...trim, snap: 3 }));
      t.equal((await tail(8)).length, 4, 'refused: nothing is trimmed');
      t.same(await shardLog.commit(batch(8, 4, ['5'], trim)), { applied: true });
      t.same(
        (await tail(8)).map((row) => row['seq']),
        [4, 5],
      );
      t.same(
        (await tail(8, 4)).map((row) => row['seq']),
        [5],
      );
      t.match(await authority.readHead(shard(8)), { head: 5, dispatched: 3, snap: 3 });
      const all = { dispatched: 5, snap: 5, trimTo: 5 };
      t.same(await shardLog.commit(batch(8, 5, [], all)), { applied: true });
      t.same(await tail(8), []);
      t.same(await shardLog.commit(batch(8, 5, ['6'], all)), { applied: true });
      t.same(
        (await tail(8)).map((row) => row['seq']),
        [6],
        'the log goes on above the trim',
      );
    });

    await t.test(`the head row lives on after ${options.trimmedRows} trimmed rows`, async (t) => {
      await claimFresh(store, 9);
      const bodies = Array.from({ length: 256 }, () => 'x');
      let at = 0;
      while (at < options.trimmedRows) {
        const marks = { dispatched: at, snap: at, trimTo: at };
        const outcome = await shardLog.commit(batch(9, at, bodies, marks));
        if (!outcome.applied) throw new Error(`refused at ${at}`);
        at += bodies.length;
      }
      t.same(
        await authority.readHead(shard(9)),
        head({ head: at, dispatched: at - 256, snap: at - 256 }),
      );
      t.equal((await shardLog.readTail(shard(9), 0)).length, 256);
    });

    await t.test('shards do not meet', async (t) => {
      await claimFresh(store, 10);
      await claimFresh(store, 11);
      await Promise.all([
        shardLog.commit(batch(10, 0, ['ten'])),
        shardLog.commit(batch(11, 0, ['eleven'])),
      ]);
      t.same(
        (await tail(10)).map((row) => row['body']),
        ['ten'],
      );
      t.same(
        (await tail(11)).map((row) => row['body']),
        ['eleven'],
      );
    });

    await t.test('of batches on one head one applies', async (t) => {
      await claimFresh(store, 12);
      const outcomes = await Promise.all(
        ['a', 'b', 'c'].map((body) => shardLog.commit(batch(12, 0, [body]))),
      );
      t.equal(outcomes.filter(({ applied }) => applied).length, 1);
      t.equal((await tail(12)).length, 1);
    });

    await t.test(
      'a body is what it was when it was put, whatever becomes of its buffer',
      async (t) => {
        await claimFresh(store, 13);
        const pool = new Uint8Array(64).fill(7);
        const [row] = logRows(0, ['']);
        const rows = [{ ...(row as typeof row & object), body: pool.subarray(8, 12) }];
        const done = shardLog.commit(batch(13, 0, [], { rows: rows as never }));
        pool.fill(0);
        await done;
        const [read] = await shardLog.readTail(shard(13), 0);
        t.same([...(read?.body ?? [])], [7, 7, 7, 7]);
      },
    );
  };
