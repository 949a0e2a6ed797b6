// What every ViewStore does: one view changed by exact version, beats kept by node and incarnation.
import type { Test } from 'tap';
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import { bytes, text } from './rows.ts';

export const viewsSuite = async (
  t: Test,
  makeStore: (t: Test) => Promise<ClusterStore>,
): Promise<void> => {
  const { views } = await makeStore(t);
  const read = async (level: 'decide' | 'look' = 'decide') => {
    const view = await views.readView(level);
    return view === null ? null : [view.version, text(view.body)];
  };
  const change = (from: number, to: number, body: string) =>
    views.casView({ from, to, body: bytes(body) });

  await t.test('a cluster that was never started has no view', async (t) => {
    t.equal(await read('decide'), null);
    t.equal(await read('look'), null);
    t.equal(await change(1, 2, 'over nothing'), false);
    t.equal(await read(), null, 'and a refused change makes none');
  });

  await t.test('the first view is made once', async (t) => {
    t.equal(await change(0, 1, 'first'), true);
    t.equal(await change(0, 1, 'again'), false);
    t.same(await read('look'), [1, 'first']);
    t.same(await read('decide'), [1, 'first']);
  });

  await t.test('a view changes over exactly the version it was made from', async (t) => {
    t.equal(await change(1, 2, 'second'), true);
    t.equal(await change(1, 2, 'late'), false);
    t.equal(await change(3, 4, 'ahead'), false);
    t.same(await read(), [2, 'second']);
    t.equal(await change(2, 9, 'leap'), true, 'raised above epochs that were seen');
    t.same(await read('look'), [9, 'leap']);
  });

  await t.test('of many changes of one version one is applied', async (t) => {
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, (_, n) => change(9, 10, `of ${n}`)),
    );
    t.equal(outcomes.filter(Boolean).length, 1);
    t.same(await read(), [10, `of ${outcomes.indexOf(true)}`]);
  });

  await t.test('a view of 32 KB comes back whole, whatever becomes of its buffer', async (t) => {
    const body = new Uint8Array(32 * 1024).map((_, n) => n % 251);
    const pool = new Uint8Array(body);
    const done = views.casView({ from: 10, to: 11, body: pool });
    pool.fill(0);
    t.equal(await done, true);
    const view = await views.readView('decide');
    t.ok(Buffer.from(view?.body ?? bytes('')).equals(body));
  });

  await t.test('a version that does not rise is a fault of the program', async (t) => {
    await t.rejects(change(11, 11, 'same'), /only rises/);
    await t.rejects(change(11, 3, 'back'), /only rises/);
  });

  const beats = async () =>
    (await views.readBeats()).map(({ node, incarnation, n }) => `${node}/${incarnation} ${n}`);

  await t.test('a beat is written over itself, by node and incarnation', async (t) => {
    t.same(await beats(), []);
    await views.writeBeat({ node: 'b', incarnation: 'x1', n: 1 });
    await views.writeBeat({ node: 'a', incarnation: 'x1', n: 7 });
    await views.writeBeat({ node: 'b', incarnation: 'x1', n: 2 });
    await views.writeBeat({ node: 'b', incarnation: 'x0', n: 5 });
    t.same(await beats(), ['a/x1 7', 'b/x0 5', 'b/x1 2']);
  });

  await t.test('a beat is deleted for its incarnation alone', async (t) => {
    await views.deleteBeat({ node: 'b', incarnation: 'x0' });
    await views.deleteBeat({ node: 'nobody', incarnation: 'x0' });
    t.same(await beats(), ['a/x1 7', 'b/x1 2']);
  });
};
