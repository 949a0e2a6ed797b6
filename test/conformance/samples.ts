// What every Samples does: ticks overwrite by slot, the newest of a series, ranges by (slot, zone).
import { systemClock } from '../../runtime/clock.ts';
import { bytes, key, readable, type Suite, shard, tick } from './rows.ts';

const hourMs = 3_600_000;
/** Within the keep, so that a store that expires by its own clock shows it too. */
const startMs = Math.floor(systemClock().nowMs() / hourMs) * hourMs - 4 * hourMs;

export const samplesSuite: Suite = async (t, makeStore) => {
  const store = await makeStore(t);
  const { samples } = store;
  const series = (check: string, zone: string) => ({
    ...{ shard: shard(1), key: key('t/e'), check, zone },
  });
  const read = async (fromMs: number, toMs: number, limit = 100, check = 'chA') =>
    (await samples.readTicks({ shard: shard(1), key: key('t/e'), check, fromMs, toMs, limit })).map(
      (row) => [row.slotAtMs - startMs, row.zone, readable([row])[0]?.['value']],
    );

  await t.test('a range is read by slot, then zone, its end left out', async (t) => {
    await samples.appendTicks([
      tick('mzB', startMs + 2000, 'b2'),
      tick('mzA', startMs + 2000, 'a2'),
      tick('mzA', startMs + 1000, 'a1'),
      tick('mzA', startMs + 3000, 'a3'),
      { ...tick('mzA', startMs + 1000, 'other check'), check: 'chB' },
      { ...tick('mzA', startMs + 1000, 'other entity'), key: key('t/f') },
      { ...tick('mzA', startMs + 1000, 'other shard'), shard: shard(2) },
    ]);
    const [first, second, third, fourth] = [
      [1000, 'mzA', 'a1'],
      [2000, 'mzA', 'a2'],
      [2000, 'mzB', 'b2'],
      [3000, 'mzA', 'a3'],
    ];
    t.same(await read(startMs, startMs + 9000), [first, second, third, fourth]);
    t.same(await read(startMs + 1000, startMs + 3000), [first, second, third]);
    t.same(await read(startMs + 1001, startMs + 3001), [second, third, fourth]);
    t.same(await read(startMs, startMs + 9000, 2), [first, second]);
    t.same(await read(startMs + 4000, startMs + 9000), []);
    t.same(await read(startMs, startMs + 9000, 9, 'chB'), [[1000, 'mzA', 'other check']]);
  });

  await t.test('a slot polled again overwrites, in one append or two', async (t) => {
    await samples.appendTicks([tick('mzA', startMs + 1000, 'again')]);
    t.same(await read(startMs, startMs + 2000), [[1000, 'mzA', 'again']]);
    const both = [tick('mzA', startMs + 1000, 'x'), tick('mzA', startMs + 1000, 'a1')];
    await samples.appendTicks(both);
    t.same(await read(startMs, startMs + 2000), [[1000, 'mzA', 'a1']]);
  });

  await t.test('the last tick of each series, and none that is too old', async (t) => {
    const of = [series('chA', 'mzA'), series('chA', 'mzC'), series('chA', 'mzB')];
    const last = await samples.lastTicks(of, startMs);
    t.same(last.map((row) => [row.zone, row.slotAtMs - startMs]).sort(), [
      ['mzA', 3000],
      ['mzB', 2000],
    ]);
    t.same(last[0]?.key, 't/e');
    const recent = await samples.lastTicks(of, startMs + 3000);
    t.same(
      recent.map((row) => row.zone),
      ['mzA'],
    );
    t.same(await samples.lastTicks(of, startMs + 3001), []);
    t.same(await samples.lastTicks([], 0), []);
  });

  await t.test('series go on over hours, and late ticks take their place', async (t) => {
    const at = [5, 65, 125, 185].map((minute) => startMs + minute * 60_000);
    await samples.appendTicks(
      at.map((slot, n) => ({ ...tick('mzA', slot, `${n}`), check: 'chH' })),
    );
    const late = startMs + 95 * 60_000;
    await samples.appendTicks([{ ...tick('mzA', late, 'late'), check: 'chH' }]);
    const all = await read(startMs, startMs + 9 * hourMs, 99, 'chH');
    t.same(
      all.map((row) => row[2]),
      ['0', '1', 'late', '2', '3'],
    );
    const [last] = await samples.lastTicks([series('chH', 'mzA')], startMs);
    t.equal(last?.slotAtMs, at[3]);
    t.same(
      (await read(startMs + hourMs, startMs + 3 * hourMs, 2, 'chH')).map((row) => row[2]),
      ['1', 'late'],
    );
  });

  await t.test('thousands of ticks at once, and the last of each', async (t) => {
    const rows = Array.from({ length: 3000 }, (_, n) => ({
      ...tick('mzA', startMs + (n % 3) * 10_000, `${n}`),
      ...{ shard: shard(n % 1024), key: key(`t/e${Math.floor(n / 3)}`) },
    })).map((row, n) => ({ ...row, shard: shard(Math.floor(n / 3) % 1024) }));
    await samples.appendTicks(rows);
    const of = Array.from({ length: 1000 }, (_, n) => ({
      ...{ shard: shard(n % 1024), key: key(`t/e${n}`), check: 'chA', zone: 'mzA' },
    }));
    const last = await samples.lastTicks(of, startMs);
    t.equal(last.length, 1000);
    t.ok(last.every((row) => row.slotAtMs === startMs + 20_000));
  });

  await t.test('an empty value is a value', async (t) => {
    const row = { ...tick('mzA', startMs + 1000, ''), check: 'chE', value: bytes('') };
    await samples.appendTicks([row]);
    t.same(await read(startMs, startMs + 2000, 9, 'chE'), [[1000, 'mzA', '']]);
    await samples.appendTicks([]);
  });
};
