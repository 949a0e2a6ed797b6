// What every StateStore does: whole rows by timestamp, deletes that beat older inserts, loads of one shard, listings in id order.
import { bytes, documentRow, key, readable, type Suite, shard, stateRow } from './rows.ts';

export const stateStoreSuite: Suite = async (t, makeStore) => {
  const { states } = await makeStore(t);
  const load = async (of: number) => {
    const loaded = await states.loadShard(shard(of));
    const order = (row: Record<string, unknown>) => `${row['key']} ${row['kind']} ${row['id']}`;
    const sorted = (rows: Record<string, unknown>[]) =>
      rows.sort((left, right) => (order(left) < order(right) ? -1 : 1));
    return {
      documents: sorted(readable(loaded.documents)),
      states: sorted(readable(loaded.states)),
    };
  };
  const bodies = async (of: number) => (await load(of)).states.map((row) => row['body']);

  await t.test('a load is what was put, of its shard only', async (t) => {
    await states.putStates(shard(1), 10, [stateRow('t/a', 4, 'sa'), stateRow('t/b', 5, '')]);
    await states.putDocuments(shard(1), 11, [
      documentRow('t/a', 'ch1', 2, 'doc 1'),
      documentRow('t/a', 'ch2', 3, 'doc 2'),
      { ...documentRow('t', 'np', 1, 'plan'), kind: 17 },
    ]);
    await states.putStates(shard(2), 12, [stateRow('t/c', 1, 'other')]);
    t.same(await load(1), {
      documents: [
        { key: 't', kind: 17, id: 'np', rev: 1, body: 'plan' },
        { key: 't/a', kind: 1, id: 'ch1', rev: 2, body: 'doc 1' },
        { key: 't/a', kind: 1, id: 'ch2', rev: 3, body: 'doc 2' },
      ],
      states: [
        { key: 't/a', seq: 4, body: 'sa' },
        { key: 't/b', seq: 5, body: '' },
      ],
    });
    t.same(await load(3), { documents: [], states: [] });
  });

  await t.test('the documents of one actor are read alone', async (t) => {
    const read = async (of: number, name: string) =>
      readable(await states.readDocuments(shard(of), key(name)));
    await states.putDocuments(shard(11), 11, [
      { ...documentRow('t', 'np', 1, 'plan'), kind: 17 },
      { ...documentRow('t', 'root', 4, 'root'), kind: 16 },
      { ...documentRow('t', 'gone', 2, null), kind: 17 },
      documentRow('t/a', 'ch1', 2, 'doc 1'),
    ]);
    t.same(await read(11, 't'), [
      { key: 't', kind: 16, id: 'root', rev: 4, body: 'root' },
      { key: 't', kind: 17, id: 'np', rev: 1, body: 'plan' },
    ]);
    t.same(await read(11, 't/b'), []);
    t.same(await read(12, 't'), []);
  });

  await t.test('a row with an equal or lower timestamp loses', async (t) => {
    const put = (ts: number, body: string | null) =>
      states.putStates(shard(4), ts, [stateRow('t/a', ts, body)]);
    await put(20, 'first');
    await put(19, 'older');
    t.same(await bodies(4), ['first']);
    await put(20, 'equal');
    t.same(await bodies(4), ['first'], 'a retry with the same timestamp changes nothing');
    await put(21, 'newer');
    t.same((await load(4)).states, [{ key: 't/a', seq: 21, body: 'newer' }]);
  });

  await t.test(
    'a delete beats older inserts, before and after them, and loses to newer',
    async (t) => {
      const put = (ts: number, body: string | null) =>
        states.putStates(shard(5), ts, [stateRow('t/a', ts, body)]);
      await put(30, null);
      await put(29, 'late');
      t.same(await bodies(5), [], 'an insert that comes late stays away');
      await put(31, 'again');
      t.same(await bodies(5), ['again']);
      await put(30, null);
      t.same(await bodies(5), ['again'], 'a late delete takes nothing newer');
      await put(32, null);
      t.same(await bodies(5), []);
    },
  );

  await t.test('documents follow the same rules by (key, kind, id)', async (t) => {
    const put = (ts: number, body: string | null, id = 'a') =>
      states.putDocuments(shard(6), ts, [documentRow('t/a', id, ts, body)]);
    await put(40, 'first');
    await put(39, null);
    await put(40, 'equal');
    await put(41, 'beside', 'b');
    t.same(
      (await load(6)).documents.map((row) => row['body']),
      ['first', 'beside'],
    );
    await put(42, null);
    await put(41, 'late');
    t.same(
      (await load(6)).documents.map((row) => row['body']),
      ['beside'],
    );
  });

  await t.test('a shard of many rows loads whole', async (t) => {
    const rows = Array.from({ length: 1200 }, (_, n) => stateRow(`t/e${n}`, n, 'x'.repeat(300)));
    await states.putStates(shard(7), 50, rows);
    const loaded = await states.loadShard(shard(7));
    t.equal(loaded.states.length, rows.length);
    t.equal(loaded.states[700]?.body.length, 300);
  });

  await t.test('a document of 48 KB comes back whole', async (t) => {
    const body = new Uint8Array(48 * 1024).map((_, n) => n % 251);
    const row = { key: key('t/a'), kind: 0 as const, id: '', rev: 1, body };
    await states.putDocuments(shard(8), 60, [row]);
    const [read] = (await states.loadShard(shard(8))).documents;
    t.ok(Buffer.from(read?.body ?? bytes('')).equals(body));
  });

  const listed = async (marker: string | null, limit = 100, tenant = 't') =>
    (await states.listEntities(tenant, marker, limit)).map(({ entity }) => entity);
  const list = (entity: string, label: string | null, ts: number, tenant = 't') =>
    states.putListing({ tenant, entity, label, updatedMs: ts, ts });

  await t.test('a listing goes by id, from the marker on, a page at a time', async (t) => {
    for (const id of ['enC', 'enA', 'enE', 'enB', 'enD']) await list(id, `label ${id}`, 1);
    await list('enX', 'foreign', 1, 'u');
    t.same(await listed(null), ['enA', 'enB', 'enC', 'enD', 'enE']);
    t.same(await listed(null, 2), ['enA', 'enB']);
    t.same(await listed('enC', 2), ['enC', 'enD'], 'the marker is the first of the page');
    t.same(await listed('enBB', 2), ['enC', 'enD'], 'a marker that is gone: the next one');
    t.same(await listed('enF'), []);
    t.same(await listed(null, 0), []);
    t.same(await states.listEntities('t', 'enE', 5), [{ entity: 'enE', label: 'label enE' }]);
    t.same(await listed(null, 9, 'nobody'), []);
  });

  await t.test('a listing’s line goes by timestamp, its removal too', async (t) => {
    await list('en1', 'one', 10, 'v');
    await list('en1', 'old', 9, 'v');
    await list('en2', null, 10, 'v');
    await list('en2', 'late', 9, 'v');
    t.same(await states.listEntities('v', null, 9), [{ entity: 'en1', label: 'one' }]);
    await list('en1', null, 11, 'v');
    await list('en2', '', 11, 'v');
    t.same(await states.listEntities('v', null, 9), [{ entity: 'en2', label: '' }]);
  });
};
