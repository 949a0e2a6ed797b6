// The outbox: order, retries, deferral, superseding, isolation, and what a restart sends again – always with the same id.
import fc from 'fast-check';
import t from 'tap';
import { DispatchMark } from '../../cluster/dispatch-mark.ts';
import { confirmedLease } from '../../cluster/lease.ts';
import { decodeValue } from '../../runtime/codec.ts';
import { actorKey, shardOf } from '../../runtime/ids.ts';
import type { DeliveryResult } from '../../runtime/ports.ts';
import {
  alarmsDeletedRow,
  alice,
  bob,
  delivered,
  failed,
  idOf,
  intentRow,
  transitionRow,
  World,
} from './world.ts';

const shard = shardOf(alice);
const hourMs = 3_600_000;
const stormLines = ['a', 'b', 'c'];
const keys = [alice, bob, ...stormLines.map((line) => actorKey(`t1/en-${line}`))];

async function logOf(world: World): Promise<string[]> {
  const query = { table: 'notification_log', partition: alice, fromMs: 0, toMs: 9e15 } as const;
  const rows = await world.store.history.page({
    ...query,
    marker: null,
    reverse: false,
    limit: 9999,
  });
  return rows.map((row) => {
    const body = decodeValue(row.body) as { event: string; attempt: number; delivered: boolean };
    return `${body.event} ${body.attempt} ${body.delivered ? 'delivered' : 'not'}`;
  });
}

const headOf = (world: World) => world.store.authority.readHead(shard);
const deferredIds = async (world: World): Promise<string[]> =>
  (await world.store.states.loadShard(shard)).documents
    .filter(({ kind }) => kind === 3)
    .map(({ id }) => id);

t.test('the mark is the last seq below which every intent has ended', (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      fc.infiniteStream(fc.nat()),
      (seqs, picks) => {
        const mark = new DispatchMark();
        const open = [...seqs].sort((left, right) => left - right);
        for (const seq of open) mark.opened(seq);
        const recorded = new Set<number>();
        const left = [...open];
        while (left.length > 0) {
          const [seq] = left.splice((picks.next().value as number) % left.length, 1) as [number];
          mark.ended(seq, false);
          const expected = left.length === 0 ? 99 : (left[0] as number) - 1;
          if (mark.at(99) !== expected) return false;
          for (const unrecorded of mark.takeUnrecorded()) {
            if (recorded.has(unrecorded) || unrecorded <= expected) return false;
            recorded.add(unrecorded);
          }
        }
        return mark.openIntents === 0;
      },
    ),
  );
  t.end();
});

t.test('an intent is sent once it is committed, marked within 100 ms and logged', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  let isCommitted = false;
  world.after = (name) => {
    if (name === 'commit') isCommitted = true;
  };
  world.receive = () => {
    t.ok(isCommitted, 'nothing leaves before its commit');
    return delivered;
  };
  await world.run(host.decisions.commit(alice, [transitionRow(1, 1), intentRow(1)]));
  t.equal(world.sends.length, 1);
  await world.clock.advance(100);
  t.equal((await headOf(world)).dispatched, 2);
  t.same(await logOf(world), ['attempt 1 delivered']);
  t.match(host.outbox.stats(), { pending: 0, deferred: 0, attempts: 1 });
});

t.test('those of one alarm and channel go by number, others do not wait for them', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  const open: (() => void)[] = [];
  world.receive = (intent) =>
    intent.channel === 'slow'
      ? new Promise((resolve) => open.push(() => resolve(delivered)))
      : delivered;
  const rows = [1, 2, 3].flatMap((n) => [
    intentRow(n, { channel: 'slow' }),
    intentRow(n, { channel: 'fast' }),
  ]);
  await world.run(host.decisions.commit(alice, rows));
  await world.clock.advance(10);
  const sent = (channel: string) =>
    world.sends.filter((send) => send.channel === channel).map((send) => send.n);
  t.same(sent('fast'), [1, 2, 3]);
  t.same(sent('slow'), [1], 'an attempt under way is awaited');
  for (const n of [2, 3]) {
    open.shift()?.();
    await world.clock.advance(10);
    t.equal(sent('slow').at(-1), n);
  }
});

t.test('the next one of a line leaves although a dead receiver keeps the mark back', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  world.receive = (intent) =>
    intent.channel === 'dead' ? new Promise<never>(() => undefined) : delivered;
  for (const n of [1, 2, 3]) {
    const rows = [intentRow(n, { channel: 'dead' }), intentRow(n, { channel: 'live' })];
    await world.run(host.decisions.commit(alice, rows));
    await world.clock.advance(1_000);
    const sent = world.sends.filter((send) => send.channel === 'live').map((send) => send.n);
    t.same(sent.at(-1), n, `number ${n} is delivered`);
  }
});

t.test(
  'a failed attempt comes again by the schedule, or later where the receiver asks for it',
  async (t) => {
    const world = new World({ keepsSoftState: false, keys });
    const host = world.host();
    await world.start(host);
    const answers: DeliveryResult[] = [
      failed,
      { ...failed, retryAfterMs: 9_000 } as DeliveryResult,
      delivered,
    ];
    world.receive = () => answers.shift() as DeliveryResult;
    await world.run(host.decisions.commit(alice, [intentRow(1)]));
    await world.clock.advance(20_000);
    const gaps = world.sends.slice(1).map((send, at) => send.atMs - (world.sends[at]?.atMs ?? 0));
    t.same(gaps, [1000, 9000]);
    t.same(
      world.sends.map((send) => send.attempt),
      [1, 2, 3],
    );
    t.equal(new Set(world.sends.map((send) => send.id)).size, 1);
    t.same(await logOf(world), ['attempt 1 not', 'attempt 2 not', 'attempt 3 delivered']);
  },
);

t.test(
  'a newer state supersedes an older one that was tried, never one that was not',
  async (t) => {
    const world = new World({ keepsSoftState: false, keys });
    const host = world.host();
    await world.start(host);
    let isUp = false;
    world.receive = () => (isUp ? delivered : failed);
    await world.run(host.decisions.commit(alice, [intentRow(1)]));
    await world.run(host.decisions.commit(alice, [intentRow(2), intentRow(3)]));
    await world.clock.advance(100);
    t.same(
      world.sends.map((send) => send.n),
      [1, 2, 3],
      'each is tried once',
    );
    isUp = true;
    await world.clock.advance(60_000);
    t.same(
      world.sends.map((send) => send.n),
      [1, 2, 3, 3],
      'only the newest comes again',
    );
    const lines = await logOf(world);
    t.equal(
      lines.filter((line) => line === 'superseded 1 not').length,
      2,
      'the others are recorded',
    );
    t.equal((await headOf(world)).dispatched, (await headOf(world)).head);
  },
);

t.test('an intent that is not delivered in 30 s is deferred: the mark moves on', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  let isUp = false;
  world.receive = ({ channel }) => (isUp || channel === 'good' ? delivered : failed);
  await world.run(host.decisions.commit(alice, [intentRow(1), intentRow(1, { channel: 'good' })]));
  await world.clock.advance(29_000);
  t.equal((await headOf(world)).dispatched, 0);
  t.match(host.outbox.stats(), { pending: 1, deferred: 0 });
  await world.clock.advance(2_000);
  const { dispatched, head } = await headOf(world);
  t.equal(dispatched, head);
  t.same(await deferredIds(world), [idOf(intentRow(1))]);
  t.match(host.outbox.stats(), { pending: 0, deferred: 1, oldestPendingAgeMs: 0 });
  isUp = true;
  await world.clock.advance(60_000);
  t.same(await deferredIds(world), [], 'its end deletes the document');
  t.equal(world.sends.filter((send) => send.channel === 'ch').at(-1)?.atMs !== undefined, true);
  const sends = world.sends.length;
  world.crash();
  await world.start(world.host());
  await world.clock.advance(10 * hourMs);
  t.equal(world.sends.length, sends, 'no replay revives it');
});

t.test(
  'a receiver that is gone for 72 hours: one id for ever, the newest first, then undeliverable',
  async (t) => {
    const world = new World({ keepsSoftState: false, keys });
    let host = world.host();
    await world.start(host);
    world.receive = () => failed;
    world.retryDelayMs = (_, attempt) => Math.min(10_000 * 2 ** (attempt - 1), 2 * hourMs);
    await world.run(host.decisions.commit(alice, [intentRow(1)]));
    await world.clock.advance(20 * hourMs);
    t.equal(new Set(world.sends.map((send) => send.id)).size, 1);
    t.match(await deferredIds(world), [idOf(intentRow(1))]);
    await world.run(host.decisions.commit(alice, [intentRow(2)]));
    await world.clock.advance(20 * hourMs);
    const attempts = world.sends.filter((send) => send.n === 2).length;
    t.ok(attempts > 10);
    world.crash();
    host = world.host();
    await world.start(host);
    await world.clock.advance(10 * hourMs);
    const ofTwo = world.sends.filter((send) => send.n === 2);
    t.equal(new Set(ofTwo.map((send) => send.id)).size, 1, 'also after a restart');
    t.same(
      ofTwo.map((send) => send.attempt),
      ofTwo.map((_, at) => at + 1),
      'attempts go on counting',
    );
    t.ok(
      world.sends
        .slice(world.sends.findIndex((send) => send.n === 2))
        .every((send) => send.n === 2),
    );
    t.same(world.undeliverable, []);
    await world.clock.advance(43 * hourMs);
    t.same(world.undeliverable, [idOf(intentRow(2))]);
    const last = world.sends.at(-1)?.atMs ?? 0;
    const lastedHours = (last - (ofTwo[0]?.atMs ?? 0)) / hourMs;
    t.ok(lastedHours > 71.9 && lastedHours <= 72.1, `the last attempt is made at ${lastedHours} h`);
    t.same(await deferredIds(world), []);
    t.ok((await logOf(world)).some((line) => line.startsWith('undeliverable')));
    const count = world.sends.length;
    world.receive = () => delivered;
    await world.clock.advance(10 * hourMs);
    t.equal(world.sends.length, count, 'and never again');
  },
);

t.test('a receiver that comes back in time gets the newest state alone', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  let isUp = false;
  world.receive = () => (isUp ? delivered : failed);
  for (let n = 1; n <= 5; n++) {
    await world.run(host.decisions.commit(alice, [intentRow(n)]));
    await world.clock.advance(10 * hourMs);
  }
  isUp = true;
  const before = world.sends.length;
  await world.clock.advance(2 * hourMs);
  t.same(
    world.sends.slice(before).map((send) => send.n),
    [5],
  );
  t.equal((await logOf(world)).filter((line) => line.startsWith('superseded')).length, 4);
});

t.test('"never again" of a receiver ends the intent', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  world.receive = () => ({ delivered: false, message: '410', final: true });
  await world.run(host.decisions.commit(alice, [intentRow(1)]));
  await world.clock.advance(10 * hourMs);
  t.equal(world.sends.length, 1);
  t.same(world.undeliverable, [idOf(intentRow(1))]);
  t.same(await logOf(world), ['attempt 1 not', 'undeliverable 1 not']);
});

t.test('a notifier that throws or never returns is a failed attempt', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  let aborted = false;
  const answers: ((signal: AbortSignal) => Promise<DeliveryResult>)[] = [
    () => Promise.reject(new Error('bug')),
    (signal) =>
      new Promise(() =>
        signal.addEventListener('abort', () => {
          aborted = true;
        }),
      ),
    () => Promise.resolve(delivered),
  ];
  world.receive = (_, signal) =>
    (answers.shift() as (signal: AbortSignal) => Promise<DeliveryResult>)(signal);
  await world.run(host.decisions.commit(alice, [intentRow(1)]));
  await world.clock.advance(60_000);
  t.ok(aborted);
  t.equal(world.sends.length, 3);
  t.equal((await logOf(world)).at(-1), 'attempt 3 delivered');
});

t.test('dead receivers delay others by less than a second', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  let underWay = 0;
  let underWayMax = 0;
  world.receive = (intent) => {
    if (!intent.channel.startsWith('dead')) return delivered;
    underWay++;
    underWayMax = Math.max(underWayMax, underWay);
    return new Promise((resolve) => {
      world.clock.schedule(world.clock.monoMs() + 25_000, () => {
        underWay--;
        resolve(failed);
      });
    });
  };
  const dead = Array.from({ length: 200 }, (_, at) =>
    intentRow(1, { alarm: `al${at}`, channel: `dead${at % 100}` }),
  );
  await world.run(host.decisions.commit(alice, dead));
  await world.clock.advance(100);
  t.ok(underWayMax <= 64, 'strangers get 64 places at first');
  let worstMs = 0;
  for (let n = 1; n <= 20; n++) {
    const at = world.clock.nowMs();
    await world.run(host.decisions.commit(bob, [intentRow(n, { channel: 'good' })]));
    const isSent = () => world.sends.some((send) => send.channel === 'good' && send.n === n);
    for (let wait = 0; wait < 500 && !isSent(); wait++) await world.clock.advance(10);
    worstMs = Math.max(worstMs, world.clock.nowMs() - at);
    await world.clock.advance(3_000);
  }
  t.ok(worstMs <= 1_100, `${worstMs} ms`);
  await world.clock.advance(200_000);
  t.ok(
    new Set(world.sends.filter((send) => send.channel.startsWith('dead')).map((send) => send.id))
      .size > 150,
  );
  t.ok(underWayMax <= 512);
});

t.test('one receiver gets four attempts at once, two while it fails', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  let underWay = 0;
  const seen: number[] = [];
  let result: DeliveryResult = failed;
  world.receive = () => {
    seen.push(++underWay);
    return new Promise((resolve) => {
      world.clock.schedule(world.clock.monoMs() + 500, () => {
        underWay--;
        resolve(result);
      });
    });
  };
  world.retryDelayMs = () => hourMs;
  const many = (from: number) =>
    Array.from({ length: 12 }, (_, at) => intentRow(1, { alarm: `al${from + at}` }));
  await world.run(host.decisions.commit(alice, many(0)));
  await world.clock.advance(400);
  t.equal(Math.max(...seen), 4);
  await world.clock.advance(200);
  seen.length = 0;
  await world.clock.advance(2_000);
  t.ok(Math.max(...seen) <= 2);
  result = delivered;
  await world.clock.advance(10_000);
  seen.length = 0;
  await world.run(host.decisions.commit(alice, many(100)));
  await world.clock.advance(5_000);
  t.equal(Math.max(...seen), 4, 'an answer makes it good again');
});

t.test('a kill between send and mark sends the same id again; a later kill does not', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  await world.start(world.host());
  for (const [n, waitMs] of [
    [1, 0],
    [2, 200],
  ] as const) {
    world.crash();
    const host = world.host();
    await world.start(host);
    const before = world.sends.length;
    await world.run(host.decisions.commit(alice, [intentRow(n)]));
    t.equal(world.sends.length, before + 1);
    await world.clock.advance(waitMs);
    world.crash();
    await world.start(world.host());
    await world.clock.advance(1_000);
    const again = world.sends.slice(before);
    t.equal(again.length, waitMs === 0 ? 2 : 1);
    t.equal(new Set(again.map((send) => send.id)).size, 1);
  }
});

t.test(
  'what was delivered behind one that is held back is not sent again after a kill',
  async (t) => {
    const world = new World({ keepsSoftState: false, keys });
    const host = world.host();
    await world.start(host);
    world.receive = ({ channel }) => (channel === 'bad' ? failed : delivered);
    await world.run(
      host.decisions.commit(alice, [intentRow(1, { channel: 'bad' }), intentRow(1), intentRow(2)]),
    );
    await world.clock.advance(500);
    t.equal((await headOf(world)).dispatched, 0, 'the first one holds the mark');
    world.crash();
    const before = world.sends.length;
    await world.start(world.host());
    await world.clock.advance(500);
    t.same(
      world.sends.slice(before).map((send) => send.channel),
      ['bad'],
      'the log names the others',
    );
  },
);

t.test('a superseded one is never sent after the newer one, wherever the kill falls', async (t) => {
  for (let waitMs = 0; waitMs <= 300; waitMs += 20) {
    const world = new World({ keepsSoftState: false, keys });
    const host = world.host();
    await world.start(host);
    let isUp = false;
    world.receive = () => (isUp ? delivered : failed);
    await world.run(host.decisions.commit(alice, [intentRow(1)]));
    isUp = true;
    void host.decisions.commit(alice, [intentRow(2)]);
    await world.clock.advance(waitMs);
    world.crash();
    await world.start(world.host());
    await world.clock.advance(70_000);
    const numbers = world.sends.map((send) => send.n);
    const newer = numbers.indexOf(2);
    t.ok(newer !== -1 && !numbers.slice(newer).includes(1), `${waitMs} ms: ${numbers.join(' ')}`);
  }
});

t.test(
  'with slow commits too: no older one after a newer one, wherever the kill falls',
  async (t) => {
    for (const mode of ['both wait', 'held back', 'fails once'] as const) {
      for (let waitMs = 0; waitMs <= 600; waitMs += 10) {
        const world = new World({ keepsSoftState: false, keys });
        const host = world.host();
        await world.start(host);
        let failures = mode === 'fails once' ? 1 : 0;
        world.receive = ({ channel, n }) => {
          if (channel === 'bad') return failed;
          if (n === 1 && failures-- > 0) return world.later(30, failed);
          return world.later(mode === 'held back' && n === 1 ? 5 : 30, delivered);
        };
        world.fault = (name) => (name === 'commit' ? world.later(60, undefined) : undefined);
        const first = [intentRow(1, { channel: 'bad' }), intentRow(1)];
        await world.run(host.decisions.commit(alice, first));
        void host.decisions.commit(alice, [intentRow(2)]);
        await world.clock.advance(waitMs);
        world.crash();
        await world.start(world.host());
        await world.clock.advance(20_000);
        const numbers = world.sends.filter((send) => send.channel === 'ch').map((send) => send.n);
        const newer = numbers.indexOf(2);
        const isOrdered = newer === -1 || !numbers.slice(newer).includes(1);
        if (!isOrdered) t.fail(`${mode}, ${waitMs} ms: ${numbers.join(' ')}`);
      }
    }
    t.pass('in order');
  },
);

t.test('the store away: a newer one waits for the end of the older, however long', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  world.receive = () => failed;
  await world.run(host.decisions.commit(alice, [intentRow(1)]));
  await world.clock.advance(40_000);
  world.receive = () => delivered;
  // The newer one is taken, nothing behind it.
  let commits = 0;
  world.fault = (name) => (name === 'commit' && ++commits > 1 ? 'unavailable' : undefined);
  await world.run(host.decisions.commit(alice, [intentRow(2)]));
  await world.clock.advance(60_000);
  const isNewerSent = world.sends.some((send) => send.n === 2);
  t.notOk(isNewerSent, 'a kill now would send the first again');
  world.crash();
  world.fault = () => undefined;
  await world.start(world.host());
  await world.clock.advance(60_000);
  const numbers = world.sends.map((send) => send.n);
  t.same(numbers, [...numbers].sort(), 'in order');
  t.equal(numbers.at(-1), 2);
});

t.test('deferred before an older one, a newer one stays behind it over a kill', async (t) => {
  let hits = 0;
  for (let gapMs = 3_000; gapMs < 9_000; gapMs += 333) {
    const world = new World({ keepsSoftState: false, keys });
    const host = world.host();
    await world.start(host);
    world.receive = () => world.later(60_000, delivered);
    await world.run(host.decisions.commit(alice, [intentRow(1)]));
    await world.clock.advance(gapMs);
    await world.run(host.decisions.commit(alice, [intentRow(2)]));
    // The store is back right before the second one's deferral; the end of the first is tried again later.
    world.fault = (name) => (name === 'commit' ? 'unavailable' : undefined);
    await world.clock.advance(29_990);
    world.fault = () => undefined;
    for (let at = 0; at < 200 && (await deferredIds(world)).length === 0; at++) {
      await world.clock.advance(1);
    }
    world.crash();
    world.receive = () => delivered;
    const before = world.sends.length;
    await world.start(world.host());
    await world.clock.advance(70_000);
    const numbers = world.sends.slice(before).map((send) => send.n);
    t.same(numbers, [...numbers].sort(), `in order, ${gapMs} ms apart`);
    if (numbers.length === 2) hits++;
  }
  t.ok(hits > 0, 'the first was still owed');
});

t.test('an intent that was resumed is not forgotten by the marks of newer commits', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  await world.start(world.host());
  world.receive = () => failed;
  for (let run = 0; run < 3; run++) {
    world.crash();
    const host = world.host();
    await world.start(host);
    const row = run === 0 ? intentRow(1) : transitionRow(run, run);
    await world.run(host.decisions.commit(alice, [row]));
    await world.clock.advance(1_000);
  }
  world.crash();
  world.receive = () => delivered;
  const before = world.sends.length;
  await world.start(world.host());
  await world.clock.advance(1_000);
  t.equal(world.sends.length, before + 1);
});

t.test('an attempt that succeeds while its deferral is committed is not sent again', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  world.retryDelayMs = () => 29_500;
  world.receive = () => (world.sends.length === 1 ? failed : world.later(600, delivered));
  await world.run(host.decisions.commit(alice, [intentRow(1)]));
  world.fault = (name) => (name === 'commit' ? world.later(500, undefined) : undefined);
  await world.clock.advance(40_000);
  t.equal(world.sends.length, 2);
  t.same(await deferredIds(world), []);
  world.crash();
  await world.start(world.host());
  await world.clock.advance(hourMs);
  t.equal(world.sends.length, 2);
});

t.test('while the lease has lapsed nothing is sent or committed; then it goes on', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  let confirm = (_: number): void => undefined;
  const host = world.host({
    lease: (isHeld) => {
      const lease = confirmedLease({ clock: world.clock, lengthMs: 1_400, isHeld });
      confirm = lease.confirm;
      return lease;
    },
  });
  await world.start(host);
  confirm(world.clock.monoMs());
  world.receive = () => failed;
  world.retryDelayMs = () => 2_000;
  await world.run(host.decisions.commit(alice, [intentRow(1)]));
  t.equal(world.sends.length, 1);
  world.receive = () => delivered;
  await world.clock.advance(10_000);
  t.equal(world.sends.length, 1);
  await t.rejects(host.decisions.commit(alice, [intentRow(2)]), { code: 'RT_NOT_OWNER' });
  t.equal(host.mayAct(alice), false);
  confirm(world.clock.monoMs());
  await world.clock.advance(1_000);
  t.equal(world.sends.length, 2);
});

t.test('a deferred intent survives a kill at every step, with its id and its tries', async (t) => {
  for (const point of ['putDocuments', 'none', 'later'] as const) {
    const world = new World({ keepsSoftState: false, keys });
    const host = world.host();
    await world.start(host);
    let isUp = false;
    world.receive = () => (isUp ? delivered : failed);
    world.retryDelayMs = () => 60_000;
    await world.run(host.decisions.commit(alice, [intentRow(1)]));
    world.fault = (name) => (name === point ? 'unavailable' : undefined);
    await world.clock.advance(point === 'later' ? 150_000 : 31_000);
    world.crash();
    world.fault = () => undefined;
    const before = world.sends.length;
    await world.start(world.host());
    await world.clock.advance(1_000);
    isUp = true;
    await world.clock.advance(60_000);
    const again = world.sends.slice(before);
    t.equal(again.length, 1, point);
    t.equal(again[0]?.attempt, before + 1, 'it goes on counting');
    t.equal(new Set(world.sends.map((send) => send.id)).size, 1);
    await world.clock.advance(1_000);
    t.same(await deferredIds(world), []);
  }
});

t.test('a retry that fell due while the node was down runs promptly', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  world.receive = () => failed;
  world.retryDelayMs = () => hourMs;
  await world.run(host.decisions.commit(alice, [intentRow(1)]));
  await world.clock.advance(40_000);
  world.crash();
  await world.clock.advance(5 * hourMs);
  world.receive = () => delivered;
  const before = world.sends.length;
  await world.start(world.host());
  await world.clock.advance(100);
  t.equal(world.sends.length, before + 1);
});

t.test('without a lease nothing is sent; with it the intent leaves', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  world.receive = () => failed;
  await world.run(host.decisions.commit(alice, [intentRow(1)]));
  const other = world.host({ incarnation: 'other' });
  world.receive = () => delivered;
  await world.start(other);
  await world.clock.advance(100);
  const sent = world.sends.length;
  t.ok(sent >= 2);
  await t.rejects(world.run(host.decisions.commit(alice, [intentRow(2)])), {
    code: 'RT_NOT_OWNER',
  });
  await world.clock.advance(60_000);
  t.equal(world.sends.length, sent, 'the node that lost the shard is silent');
  t.match(host.outbox.stats(), { pending: 0, deferred: 0 });
});

t.test('the store away: committed intents leave, their ends are recorded later', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  let isUp = false;
  world.receive = () => (isUp ? delivered : failed);
  await world.run(host.decisions.commit(alice, [intentRow(1)]));
  await world.clock.advance(40_000);
  world.fault = () => 'unavailable';
  isUp = true;
  await world.clock.advance(60_000);
  t.equal(host.outbox.stats().deferred, 0, 'delivered');
  world.fault = () => undefined;
  await world.clock.advance(60_000);
  t.same(await deferredIds(world), []);
  const sends = world.sends.length;
  world.crash();
  await world.start(world.host());
  await world.clock.advance(hourMs);
  t.equal(world.sends.length, sends);
  t.ok((await logOf(world)).includes(`attempt ${sends} delivered`));
});

t.test('a stop awaits attempts under way, starts none, and leaves nothing to repeat', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  const open: (() => void)[] = [];
  world.receive = () => new Promise((resolve) => open.push(() => resolve(delivered)));
  const rows = [intentRow(1), intentRow(2), intentRow(1, { channel: 'other' })];
  await world.run(host.decisions.commit(alice, rows));
  t.equal(world.sends.length, 2);
  const stopped = host.stop(20_000);
  await world.clock.advance(2_000);
  for (const resolve of open) resolve();
  t.equal(await world.run(stopped), true);
  t.equal(world.sends.length, 2);
  t.equal(world.clock.pending, 0, 'no timer is left');
  world.receive = () => delivered;
  await world.start(world.host());
  await world.clock.advance(1_000);
  t.same(
    world.sends.slice(2).map((send) => `${send.channel} ${send.n}`),
    ['ch 2'],
  );
});

t.test('a stop cuts off what does not end in time, and says so', async (t) => {
  const world = new World({ keepsSoftState: false, keys });
  const host = world.host();
  await world.start(host);
  let aborted = false;
  world.receive = (_, signal) =>
    new Promise((resolve) =>
      signal.addEventListener('abort', () => {
        aborted = true;
        resolve(failed);
      }),
    );
  await world.run(host.decisions.commit(alice, [intentRow(1)]));
  const startedMonoMs = world.clock.monoMs();
  t.equal(await world.run(host.stop(4_000)), false);
  t.ok(aborted);
  t.ok(world.clock.monoMs() - startedMonoMs < 5_000);
});

const isEnd = (line: string): boolean => !line.startsWith('attempt');

t.test('with its alarm an intent ends: in its first window and deferred', async (t) => {
  for (const ageMs of [10, 10_000, 29_990, 31_000, 5 * hourMs]) {
    const world = new World({ keepsSoftState: false, keys });
    const host = world.host();
    await world.start(host);
    world.receive = ({ channel }) => (channel === 'good' ? delivered : failed);
    const other = intentRow(1, { alarm: 'other' });
    await world.run(host.decisions.commit(alice, [intentRow(1), intentRow(2), other]));
    await world.run(host.decisions.commit(bob, [intentRow(1, { owner: 'bob' })]));
    await world.clock.advance(ageMs);
    await world.run(host.decisions.commit(alice, [alarmsDeletedRow('al', 'none')]));
    const before = world.sends.length;
    await world.clock.advance(60 * hourMs);
    const after = world.sends.slice(before);
    t.notOk(
      after.some(({ id }) => [1, 2].some((n) => id === idOf(intentRow(n)))),
      `${ageMs} ms: nothing of it leaves any more`,
    );
    t.ok(
      after.some(({ id }) => id === idOf(other)),
      'another alarm goes on',
    );
    t.ok(
      after.some(({ key }) => key === bob),
      'and the alarm of that id elsewhere',
    );
    const ends = (await logOf(world)).filter(isEnd);
    t.match(ends, [/^superseded/, /^withdrawn/], 'its end is recorded');
    t.notOk((await deferredIds(world)).some((id) => id === idOf(intentRow(2))));
    t.match(host.outbox.stats(), { pending: 0, deferred: 2 });
    t.same(world.undeliverable, [], 'nobody is told another way');
  }
});

t.test('an attempt under way is awaited when its alarm is deleted, and is the last', async (t) => {
  for (const answer of [delivered, failed, { ...failed, final: true } as DeliveryResult]) {
    const world = new World({ keepsSoftState: false, keys });
    const host = world.host();
    await world.start(host);
    world.receive = () => world.later(20_000, answer);
    // A second one waits behind it in its line, and one of the same receiver for a place.
    const rows = [intentRow(1), intentRow(2)];
    for (const alarm of ['a', 'b', 'c', 'queued']) rows.push(intentRow(1, { alarm }));
    await world.run(host.decisions.commit(alice, rows));
    await world.clock.advance(5_000);
    t.equal(world.sends.length, 4);
    await world.run(
      host.decisions.commit(alice, [alarmsDeletedRow('al', 'a', 'b', 'c', 'queued')]),
    );
    t.match(host.outbox.stats(), { pending: 4, sending: 4 });
    await world.clock.advance(hourMs);
    t.equal(world.sends.length, 4);
    t.match(host.outbox.stats(), { pending: 0, deferred: 0, sending: 0 });
    const isTaken = answer === delivered;
    const log = await logOf(world);
    t.equal(log.filter((line) => line.startsWith('attempt 1')).length, 4);
    t.equal(log.filter((line) => line.startsWith('withdrawn')).length, isTaken ? 2 : 6);
    t.equal(log.filter(isEnd).length, isTaken ? 2 : 6, 'each has one end');
    t.same(world.undeliverable, []);
    const { dispatched, head } = await headOf(world);
    t.equal(dispatched, head, 'the mark is free');
  }
});

t.test('nothing of a deleted alarm is sent after a kill, wherever it falls', async (t) => {
  const ages = { sending: 0, 'first window': 10_000, deferring: 30_000, deferred: 40_000 };
  const faults = {
    none: () => undefined,
    'slow commits': (world: World) => world.later(40, undefined),
    'no projection': (_: World, name: string) =>
      name === 'putDocuments' ? ('unavailable' as const) : undefined,
    'answers lost': (_: World, name: string) =>
      name === 'commit' ? ('unknownApplied' as const) : undefined,
  };
  for (const [age, ageMs] of Object.entries(ages)) {
    for (const [what, faultOf] of Object.entries(faults)) {
      for (const waitMs of [0, 1, 40, 50, 80, 100, 120, 200, 3_000]) {
        const title = `${age}, ${what}, ${waitMs} ms`;
        const world = new World({ keepsSoftState: false, keys });
        const host = world.host();
        await world.start(host);
        world.receive = () => (age === 'sending' ? world.later(25_000, failed) : failed);
        world.retryDelayMs = (_, attempt) => 1_000 * attempt;
        await world.run(host.decisions.commit(alice, [intentRow(1), transitionRow(1, 1)]));
        await world.clock.advance(ageMs);
        let isDeleted = false;
        world.after = (name, [batch]) => {
          const rows = name === 'commit' ? (batch as { rows: { kind: number }[] }).rows : [];
          isDeleted ||= rows.some(({ kind }) => kind === 4);
        };
        world.fault = (name) => faultOf(world, name);
        host.decisions.commit(alice, [alarmsDeletedRow('al')]).catch(() => undefined);
        for (let step = 0; step < 100 && !isDeleted; step++) await world.clock.advance(10);
        await world.clock.advance(waitMs);
        world.crash();
        world.fault = () => undefined;
        world.receive = () => delivered;
        const before = world.sends.length;
        const next = world.host();
        await world.start(next);
        await world.clock.advance(10 * 60_000);
        const ends = (await logOf(world)).filter(isEnd);
        await world.run(next.decisions.commit(alice, [transitionRow(2, 2)]));
        const { dispatched, head } = await headOf(world);
        t.ok(isDeleted, title);
        t.equal(world.sends.length, before, `${title}: silent`);
        t.match(ends, [/^withdrawn/], `${title}: ends once`);
        t.same(await deferredIds(world), [], title);
        t.equal(dispatched, head - 1, `${title}: the mark is free`);
        t.match(next.outbox.stats(), { pending: 0, deferred: 0 }, title);
      }
    }
  }
});

t.test('an end that the store does not take is recorded later, or by the next start', async (t) => {
  for (const isKilled of [false, true]) {
    const world = new World({ keepsSoftState: false, keys });
    let host = world.host();
    await world.start(host);
    world.receive = () => failed;
    await world.run(host.decisions.commit(alice, [intentRow(1)]));
    await world.clock.advance(40_000);
    // The deletion is taken, nothing behind it.
    let commits = 0;
    world.fault = (name) => (name === 'commit' && ++commits > 1 ? 'unavailable' : undefined);
    await world.run(host.decisions.commit(alice, [alarmsDeletedRow('al')]));
    const before = world.sends.length;
    await world.clock.advance(10 * 60_000);
    t.same(await deferredIds(world), [idOf(intentRow(1))]);
    if (isKilled) world.crash();
    world.fault = () => undefined;
    if (isKilled) {
      host = world.host();
      await world.start(host);
    }
    await world.clock.advance(60_000);
    t.same(await deferredIds(world), []);
    t.equal(world.sends.length, before);
    t.equal((await logOf(world)).filter((line) => line.startsWith('withdrawn')).length, 1);
    t.match(host.outbox.stats(), { pending: 0, deferred: 0 });
  }
});

t.test(
  'random storms with kills: no intent lost, one id each, never older after newer',
  async (t) => {
    const lines = stormLines;
    for (let seed = 1; seed <= 40; seed++) {
      const random = fc.sample(fc.nat(999), { numRuns: 400, seed });
      let at = 0;
      const chance = (of: number): boolean => (random[at++ % random.length] as number) % of === 0;
      const world = new World({ keepsSoftState: false, keys, seed });
      let host = world.host();
      await world.start(host);
      const numbers = new Map(lines.map((line) => [line, 0]));
      let isUp = true;
      const got = new Map<string, number>();
      world.receive = (intent) => {
        if (!isUp || chance(5)) return failed;
        got.set(intent.channel, Math.max(got.get(intent.channel) ?? 0, intent.n));
        return delivered;
      };
      world.fault = (name) => {
        if (name !== 'commit' || !chance(12)) return undefined;
        return chance(2) ? 'unknown' : 'unknownApplied';
      };
      for (let step = 0; step < 40; step++) {
        for (const line of lines.filter(() => chance(3))) {
          const n = (numbers.get(line) ?? 0) + 1;
          numbers.set(line, n);
          const key = actorKey(`t1/en-${line}`);
          const row = intentRow(n, { channel: line, atMs: world.clock.nowMs() });
          await world.run(host.decisions.commit(key, [transitionRow(n, n), row]));
        }
        if (chance(6)) isUp = !isUp;
        await world.clock.advance(chance(4) ? 35_000 : 150);
        if (!chance(8)) continue;
        world.crash();
        host = world.host();
        await world.start(host);
      }
      isUp = true;
      await world.clock.advance(2 * hourMs);
      for (const line of lines) {
        const sent = world.sends.filter((send) => send.channel === line);
        const last = numbers.get(line) ?? 0;
        t.ok(
          sent.every((send, i) => send.n >= (sent[i - 1]?.n ?? 0)),
          `seed ${seed}: in order on ${line}`,
        );
        t.equal(got.get(line) ?? 0, last, `seed ${seed}: the newest state of ${line} arrived`);
        t.equal(new Set(sent.map((send) => send.n)).size, last, `seed ${seed}: each was tried`);
        t.equal(new Set(sent.map((send) => send.id)).size, last, `seed ${seed}: one id for each`);
      }
      t.match(host.outbox.stats(), { pending: 0, deferred: 0 }, `seed ${seed}`);
    }
  },
);
