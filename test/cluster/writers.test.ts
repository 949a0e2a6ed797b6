// What is written behind: soft states and ticks – coalesced, bounded, tried again, all of it at stop – and the event bus.
import t from 'tap';
import { localEventBus } from '../../cluster/event-bus.ts';
import { tickLimits } from '../../cluster/limits.ts';
import { inParallel, settledWithin } from '../../cluster/pause.ts';
import { tickWriter } from '../../cluster/ticks.ts';
import { decodeValue, encodeValue } from '../../runtime/codec.ts';
import { actorKey, shardOf } from '../../runtime/ids.ts';
import type { HistoryRecord } from '../../runtime/ports.ts';
import { seededRandom, TestClock } from '../clock.ts';
import { alice, bob, transitionRow, World } from './world.ts';

const logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

async function softOf(world: World, key = alice): Promise<unknown> {
  const { states } = await world.store.states.loadShard(shardOf(key));
  const row = states.find((state) => state.key === key);
  return row === undefined ? undefined : [row.seq, decodeValue(row.body)];
}

t.test('urgent changes are written together after 250 ms, with what is true then', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  let writes = 0;
  world.after = (name) => {
    if (name === 'putStates') writes++;
  };
  let runs = 0;
  const read = () => ({ seq: 0, body: { runs } });
  for (runs = 1; runs < 10; runs++) host.softStates.changed(alice, true, read);
  await world.clock.advance(249);
  t.equal(writes, 0);
  await world.clock.advance(1);
  t.equal(writes, 1);
  t.same(await softOf(world), [0, { runs: 10 }]);
  await world.clock.advance(100_000);
  t.equal(writes, 1, 'nothing in steady state');
});

t.test(
  'calm changes are written within a minute, spread over it; an urgent one does not wait for it',
  async (t) => {
    const world = new World();
    const host = world.host();
    await world.start(host);
    const at = new Map<string, number>();
    world.after = (name, args) => {
      if (name !== 'putStates') return;
      for (const row of args[2] as { key: string }[]) at.set(row.key, world.clock.monoMs());
    };
    const startedMonoMs = world.clock.monoMs();
    const keys = Array.from({ length: 200 }, (_, n) => actorKey(`t/en${n}`));
    for (const key of keys) host.softStates.changed(key, false, () => ({ seq: 0, body: 1 }));
    host.softStates.changed(keys[0] as never, true, () => ({ seq: 0, body: 2 }));
    await world.clock.advance(62_000);
    t.equal(at.size, 200);
    const waits = keys.map((key) => (at.get(key) ?? 0) - startedMonoMs);
    t.equal(waits[0], 250);
    t.ok(Math.max(...waits) <= 61_000 && Math.min(...waits.slice(1)) >= 29_000);
    t.ok(new Set(waits).size > 20, 'no herd');
  },
);

t.test(
  'a state that fails to be written comes again, newest; one deleted meanwhile stays deleted',
  async (t) => {
    const world = new World();
    const host = world.host();
    await world.start(host);
    let isDown = true;
    world.fault = (name) => (isDown && name === 'putStates' ? 'unavailable' : undefined);
    let body = 1;
    host.softStates.changed(alice, true, () => ({ seq: 0, body }));
    host.softStates.changed(bob, true, () => ({ seq: 0, body }));
    await world.clock.advance(5_000);
    body = 2;
    host.softStates.deleted(bob);
    isDown = false;
    await world.clock.advance(40_000);
    t.same(await softOf(world), [0, 2]);
    t.equal(await softOf(world, bob), undefined);
    t.equal(host.stats().softStatesWaiting, 0);
  },
);

t.test('an actor deleted while its write is under way and fails stays deleted', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  host.softStates.changed(alice, true, () => ({ seq: 0, body: 'old' }));
  await world.clock.advance(300);
  let isDown = true;
  world.fault = (name) =>
    isDown && name === 'putStates' ? world.later(500, 'unavailable') : undefined;
  host.softStates.changed(alice, true, () => ({ seq: 0, body: 'new' }));
  await world.clock.advance(300);
  host.softStates.deleted(alice);
  isDown = false;
  await world.clock.advance(60_000);
  t.equal(await softOf(world), undefined);
});

t.test('a state that cannot be read now is asked again; one that never can is left', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  let reads = 0;
  host.softStates.changed(alice, true, () => (++reads < 3 ? null : { seq: 0, body: 'late' }));
  host.softStates.changed(bob, true, () => null);
  const broken = actorKey('t1/en-broken');
  host.softStates.changed(broken, true, () => {
    throw new Error('bug');
  });
  await world.clock.advance(30_000);
  t.same(await softOf(world), [0, 'late']);
  t.equal(host.stats().softStatesWaiting, 0);
  t.equal(world.counts.get('soft_states_unreadable'), 5);
});

t.test('an actor whose rows hold snap back is written without being asked', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  let seq = 0;
  host.softStates.changed(alice, true, () => ({ seq, body: {} }));
  await world.clock.advance(1_000);
  seq = (await world.run(host.decisions.commit(alice, [transitionRow(1, 1)]))).lastSeq;
  await world.clock.advance(200_000);
  t.same(await softOf(world), [1, {}]);
  t.equal((await world.store.authority.readHead(shardOf(alice))).snap, 1);
});

t.test('a stop writes every soft state and tick, then the marks, and closes', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  const { lastSeq } = await world.run(host.decisions.commit(alice, [transitionRow(1, 1)]));
  host.softStates.changed(alice, false, () => ({ seq: lastSeq, body: 'last' }));
  host.softStates.changed(bob, false, () => null);
  host.ticks.append(alice, [{ check: 'ch', zone: 'z', slotAtMs: world.clock.nowMs(), value: 1 }]);
  t.equal(await world.run(host.stop(10_000)), true);
  t.same(await softOf(world), [lastSeq, 'last']);
  t.match(await world.store.authority.readHead(shardOf(alice)), {
    snap: 1,
    dispatched: 1,
    head: 1,
  });
  t.equal(world.clock.pending, 0);
  await t.rejects(host.decisions.commit(alice, [transitionRow(2, 2)]), { code: 'RT_NOT_OWNER' });
  t.equal(await host.stop(1), true, 'twice is once');
  const actors = await world.start(world.host());
  t.same(actors.get(alice), { documents: [], soft: { seq: 1, body: 'last' }, tail: [] });
});

t.test('a stop with the store gone ends in time and says that it was not orderly', async (t) => {
  const world = new World();
  const host = world.host();
  await world.start(host);
  await world.run(host.decisions.commit(alice, [transitionRow(1, 1)]));
  host.softStates.changed(alice, false, () => ({ seq: 1, body: 1 }));
  host.ticks.append(alice, [{ check: 'ch', zone: 'z', slotAtMs: 1, value: 1 }]);
  world.fault = () => 'unavailable';
  const startedMonoMs = world.clock.monoMs();
  t.equal(await world.run(host.stop(5_000)), false);
  t.ok(world.clock.monoMs() - startedMonoMs < 8_000);
});

t.test(
  'ticks are appended every second or 500 rows, and read back through the queue',
  async (t) => {
    const world = new World();
    const sizes: number[] = [];
    world.after = (name, args) =>
      name === 'appendTicks' && sizes.push((args[0] as unknown[]).length);
    const host = world.host();
    await world.start(host);
    const nowMs = world.clock.nowMs();
    const tick = (n: number) => ({
      check: 'ch',
      zone: `z${n % 3}`,
      slotAtMs: nowMs + n,
      value: { n },
    });
    host.ticks.append(alice, [tick(1), tick(2)]);
    await world.clock.advance(999);
    t.same(sizes, []);
    await world.clock.advance(1);
    t.same(sizes, [2]);
    host.ticks.append(
      alice,
      Array.from({ length: 1100 }, (_, n) => tick(n)),
    );
    await world.clock.advance(0);
    t.same(sizes, [2, 500, 500]);
    const last = await world.run(
      host.ticks.last(alice, [
        { check: 'ch', zone: 'z1' },
        { check: 'ch', zone: 'none' },
      ]),
    );
    t.same(sizes, [2, 500, 500, 100], 'what waits is written first');
    t.same(last, [{ check: 'ch', zone: 'z1', slotAtMs: nowMs + 1099, value: { n: 1099 } }]);
    host.ticks.append(alice, [{ ...tick(1), value: new Map() }, tick(2000)]);
    await world.clock.advance(1_000);
    t.equal(sizes.at(-1), 1, 'a value that no codec takes costs itself alone');
  },
);

t.test(
  'while the store is away the oldest ticks are dropped and counted; the rest arrives',
  async (t) => {
    const clock = new TestClock();
    const counts = new Map<string, number>();
    let isDown = true;
    const stored: number[] = [];
    const writer = tickWriter({
      samples: {
        appendTicks: async (rows) => {
          if (isDown) throw new Error('away');
          stored.push(...rows.map((row) => row.slotAtMs));
        },
        lastTicks: async () => [],
        readTicks: async () => [],
      },
      clock,
      random: seededRandom(1),
      logger,
      meter: {
        count: (name, by) => counts.set(name, (counts.get(name) ?? 0) + by),
        gauge: () => undefined,
      },
    });
    const total = tickLimits.waitingRows + 5_000;
    for (let n = 0; n < total; n += 100) {
      writer.append(
        alice,
        Array.from({ length: 100 }, (_, at) => ({
          check: 'c',
          zone: 'z',
          slotAtMs: n + at,
          value: 1,
        })),
      );
    }
    await clock.advance(20_000);
    t.equal(writer.waiting, tickLimits.waitingRows);
    t.equal(counts.get('ticks_dropped'), 5_000);
    t.equal(await writer.flush(), false);
    isDown = false;
    await clock.advance(60_000);
    t.equal(stored.length, tickLimits.waitingRows);
    t.equal(stored.at(-1), total - 1);
    t.equal(writer.waiting, 0);
  },
);

t.test(
  'the newest ticks are asked for again while the store does not answer, for 30 s, after what waits is written',
  async (t) => {
    const clock = new TestClock();
    let reads = 0;
    let failures = 3;
    let isWritable = false;
    const row = { shard: shardOf(alice), key: alice, check: 'c', zone: 'z', slotAtMs: 5 };
    const writer = tickWriter({
      samples: {
        appendTicks: async () => {
          if (!isWritable) throw new Error('away');
        },
        lastTicks: async () => {
          reads++;
          if (failures-- > 0) throw new Error('away');
          return [{ ...row, value: encodeValue(1) }];
        },
        readTicks: async () => [],
      },
      clock,
      random: seededRandom(1),
      logger,
      meter: { count: () => undefined, gauge: () => undefined },
    });
    const of = [{ check: 'c', zone: 'z' }];
    writer.append(alice, [{ check: 'c', zone: 'z', slotAtMs: 4, value: 1 }]);
    const passed = async (seconds: number) => {
      for (let second = 0; second < seconds; second++) await clock.advance(1_000);
    };
    const first = writer.last(alice, of);
    await passed(5);
    t.equal(reads, 0, 'not before the own ones are stored');
    isWritable = true;
    await passed(20);
    t.match(await first, [{ slotAtMs: 5 }]);
    t.equal(reads, 4);
    failures = Number.MAX_SAFE_INTEGER;
    const second = t.rejects(writer.last(alice, of), { message: 'away' });
    await passed(40);
    await second;
    t.equal(clock.pending, 0);
  },
);

t.test('the event bus tells its tenant, survives a bad listener and lets go', (t) => {
  const counts: string[] = [];
  const bus = localEventBus({
    meter: { count: (name) => counts.push(name), gauge: () => undefined },
    logger,
  });
  const heard: string[] = [];
  const record = (partition: string) => ({ partition, id: partition }) as HistoryRecord;
  bus.subscribe('a', () => {
    throw new Error('bug');
  });
  const stop = bus.subscribe('a', (row) => heard.push(row.id));
  bus.publish(record('a'));
  bus.publish(record('b'));
  t.same(heard, ['a']);
  t.same(counts, ['stream_listener_failures']);
  stop();
  stop();
  bus.publish(record('a'));
  t.same(heard, ['a']);
  for (let n = 1; n < 10_000; n++) bus.subscribe('c', () => undefined);
  t.throws(() => bus.subscribe('c', () => undefined), { code: 'RT_QUEUE_FULL' });
  t.end();
});

t.test('waiting leaves no timer behind, and parallel work ends before its error', async (t) => {
  const clock = new TestClock();
  t.equal(await settledWithin(clock, Promise.reject(new Error('x')), 100), true);
  t.equal(clock.pending, 0);
  let underWay = 0;
  let most = 0;
  const ran: number[] = [];
  const work = inParallel([1, 2, 3, 4, 5, 6], 2, async (item) => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay--;
    ran.push(item);
    if (item === 3) throw new Error('three');
  });
  await t.rejects(work, { message: 'three' });
  t.equal(underWay, 0);
  t.equal(most, 2);
  t.ok(ran.length <= 4);
});
