// What every History does: pages by (instant, id) both ways with marker and filter, overwriting by id, replay by seq.
import { systemClock } from '../../runtime/clock.ts';
import type { HistoryTable } from '../../runtime/effect.ts';
import type { HistoryRecord } from '../../runtime/ports.ts';
import { bytes, key, readable, record, type Suite, text } from './rows.ts';

const dayMs = 86_400_000;
/** Within every keep, so that a store that expires by its own clock shows it too. */
const startMs = Math.floor(systemClock().nowMs() / dayMs) * dayMs - 3 * dayMs;

export const historySuite: Suite = async (t, makeStore) => {
  const { history } = await makeStore(t);
  const rows = [0, 1, 1, 2, 3].map((second, n) =>
    record(startMs + second * 1000, `row ${n}`, { key: key(n % 2 === 0 ? 't/even' : 't/odd') }),
  );
  const inOrder = [...rows].sort(
    (left, right) => left.atMs - right.atMs || (left.id < right.id ? -1 : 1),
  );
  const query = {
    ...{
      table: 'changelog' as HistoryTable,
      partition: 't',
      fromMs: startMs,
      toMs: startMs + dayMs,
    },
    ...{ marker: null, reverse: false, limit: 100 },
  };
  const page = async (more: object = {}) =>
    (await history.page({ ...query, ...more })).map((row) => text(row.body));
  const names = (of: readonly HistoryRecord[]) => of.map((row) => text(row.body));

  await t.test('a page is in order of (instant, id), or the reverse', async (t) => {
    await history.append([...rows].reverse());
    await history.append([record(startMs, 'foreign', { partition: 'u' })]);
    await history.append([record(startMs, 'audit', { table: 'audit' })]);
    t.same(await page(), names(inOrder));
    t.same(await page({ reverse: true }), names([...inOrder].reverse()));
    t.same(await page({ limit: 2 }), names(inOrder.slice(0, 2)));
    t.same(await page({ limit: 2, reverse: true }), names([...inOrder].reverse().slice(0, 2)));
    t.same(await page({ partition: 'u' }), ['foreign']);
    t.same(await page({ table: 'audit' }), ['audit']);
    const [first] = await history.page({ ...query, limit: 1 });
    t.same(readable(first ? [first] : []), readable(inOrder.slice(0, 1)), 'with all its fields');
  });

  await t.test('both ends of the range belong to it', async (t) => {
    t.same(
      await page({ fromMs: startMs + 1000, toMs: startMs + 2000 }),
      names(inOrder.slice(1, 4)),
    );
    t.same(await page({ fromMs: startMs + 1001, toMs: startMs + 1999 }), []);
    const reverse = { fromMs: startMs + 1000, toMs: startMs + 2000, reverse: true };
    t.same(await page(reverse), names(inOrder.slice(1, 4).reverse()));
  });

  await t.test('the marker is the first row of its page, both ways', async (t) => {
    for (const [at, row] of inOrder.entries()) {
      t.same(await page({ marker: row.id }), names(inOrder.slice(at)));
      const back = names(inOrder.slice(0, at + 1).reverse());
      t.same(await page({ marker: row.id, reverse: true }), back);
    }
    const marker = (inOrder[1] as HistoryRecord).id;
    t.same(await page({ marker, limit: 2 }), names(inOrder.slice(1, 3)));
    const beyond = { marker, fromMs: startMs + 2000 };
    t.same(await page(beyond), names(inOrder.slice(3)), 'the range still holds');
    const { id } = record(startMs, 'never written');
    t.same(await page({ marker: id }), [], 'an unknown marker has no page');
  });

  await t.test('a page of one actor, with its marker', async (t) => {
    const even = inOrder.filter((row) => row.key === 't/even');
    t.same(await page({ key: key('t/even') }), names(even));
    t.same(await page({ key: key('t/even'), reverse: true }), names([...even].reverse()));
    const marker = (even[1] as HistoryRecord).id;
    t.same(await page({ key: key('t/even'), marker, limit: 1 }), names(even.slice(1, 2)));
    t.same(await page({ key: key('t/none') }), []);
  });

  await t.test('a row written again overwrites itself', async (t) => {
    const [row] = rows;
    await history.append([{ ...(row as HistoryRecord), body: bytes('rewritten'), seq: 9 }]);
    t.equal((await page()).filter((name) => name === 'rewritten').length, 1);
    t.equal((await page()).length, rows.length);
    const found = await history.get('changelog', 't', (row as HistoryRecord).id);
    t.match(found, { seq: 9, atMs: startMs, key: 't/even', partition: 't', table: 'changelog' });
    t.equal(text(found?.body), 'rewritten');
  });

  await t.test('a row is found by its id in its own partition and table only', async (t) => {
    const { id } = rows[3] as HistoryRecord;
    t.equal(text((await history.get('changelog', 't', id))?.body), 'row 3');
    t.equal(await history.get('changelog', 'u', id), null);
    t.equal(await history.get('audit', 't', id), null);
    t.equal(await history.get('changelog', 't', 'no such id'), null);
  });

  await t.test('rows after a seq come in seq order, of one shard and partition', async (t) => {
    const live = (shard: number, seq: number, partition = 'live') =>
      record(startMs + 1000 - seq, `${shard}/${seq}`, { shard, seq, partition });
    await history.append([live(1, 12), live(1, 10), live(1, 11), live(2, 11), live(1, 0)]);
    await history.append([live(1, 13, 'other')]);
    const after = async (afterSeq: number, limit = 10) =>
      names(
        await history.after({
          ...{ table: 'changelog', partition: 'live', shard: 1, afterSeq, limit },
        }),
      );
    t.same(await after(0), ['1/10', '1/11', '1/12']);
    t.same(await after(10), ['1/11', '1/12']);
    t.same(await after(9, 2), ['1/10', '1/11']);
    t.same(await after(12), []);
  });

  await t.test('every table takes and pages rows', async (t) => {
    const tables = ['changelog', 'audit', 'alarm_history', 'notification_log', 'suppression_log'];
    for (const table of tables as HistoryTable[]) {
      const partition = `t/all-${table}`;
      await history.append([record(startMs, table, { table, partition })]);
      t.same(await page({ table, partition }), [table]);
    }
  });

  await t.test('more rows than one request takes are all appended', async (t) => {
    const many = Array.from({ length: 1100 }, (_, n) =>
      record(startMs + n, `m${n}`, { partition: 'many' }),
    );
    await history.append(many);
    t.same(await page({ partition: 'many', limit: 2000 }), names(many));
  });
};
