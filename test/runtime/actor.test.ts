// One actor's life: steps, the release rule, refused and failed commits, supervision, quarantine, bounds.
import t from 'tap';
import { documentKinds, type Effect, rowKinds } from '../../runtime/effect.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { actorKey, shardOf } from '../../runtime/ids.ts';
import { mailboxLimits, turnLimits } from '../../runtime/limits.ts';
import type { Message } from '../../runtime/message.ts';
import { settle } from '../clock.ts';
import { commit, empty, key, obedient, world } from './harness.ts';

const other = actorKey('acme/db');
const send: Effect = { type: 'send', to: other, message: { kind: 'hello' } };
const documents: Effect = { type: 'documents', tenant: 'acme', rev: 2, documents: {} };
const notOwner = new TocsinError('RT_NOT_OWNER', 'moved', { retryable: true });
const storeDown = new TocsinError('RT_COMMIT_FAILED', 'no answer', { retryable: true });

t.test('a message activates its actor, and an answer without a commit comes at once', async (t) => {
  const w = world();
  const answer = w.ask({ kind: 'do', value: 5 });
  t.equal(w.catalog.describe(key)?.phase, 'active');
  await settle();
  t.equal(answer.value, 1);
  t.match(w.catalog.describe(key), { kind: 'obedient', messagesWaiting: 0, quarantine: null });
  t.match(w.catalog.counts(), { activations: 1, creating: 0, messagesWaiting: 0 });
  t.same(
    w.catalog.list(() => true, 10).map((actor) => actor.key),
    [key],
  );
});

t.test('a message waits for a load that takes its time, and learns that it failed', async (t) => {
  let finish = (): void => undefined;
  const soft = { seq: 9, body: { values: [1, 2], others: [] } };
  const w = world(obedient(), {
    load: () =>
      new Promise((resolve) => {
        finish = () => resolve({ ...empty, soft });
      }),
  });
  const answer = w.ask({ kind: 'do', value: 3 });
  await settle();
  t.same(answer, {});
  t.equal(w.catalog.describe(key)?.phase, 'creating');
  finish();
  await settle();
  t.equal(answer.value, 3, 'the stored state is there');
  t.equal(w.catalog.describe(key)?.lastSeq, 9);

  const broken = world(obedient(), { load: () => Promise.reject(new Error('disk')) });
  const refused = broken.ask({ kind: 'do' });
  await settle();
  t.equal(refused.error?.code, 'RT_NOT_READY');
  t.equal(broken.catalog.describe(key), null, 'the next message tries again');
  const foreign = world(obedient(), {
    load: () => {
      throw notOwner;
    },
  });
  t.equal(foreign.ask({ kind: 'do' }).error?.code, 'RT_NOT_OWNER');
});

t.test('a reply, a send and documents leave only after the commit of their step', async (t) => {
  const w = world();
  const answer = w.ask({ kind: 'do', effects: [send, documents, commit] });
  await settle();
  t.equal(w.commits.length, 1);
  t.same([answer.value, w.sent.length, w.published.length], [undefined, 0, 0]);
  w.commits[0]?.ack();
  await settle();
  t.same([answer.value, w.sent.length, w.published.length], [1, 1, 1]);
  t.equal(w.catalog.describe(key)?.lastSeq, 101);
});

t.test('nothing leaves before an earlier commit, in whatever order commits end', async (t) => {
  const w = world();
  const first = w.ask({ kind: 'do', effects: [commit] });
  const second = w.ask({ kind: 'do', effects: [commit, send] });
  const third = w.ask({ kind: 'do' });
  const live = w.ask({ kind: 'get', replyWhen: 'now' });
  await settle();
  t.equal(w.commits.length, 2, 'the actor goes on stepping');
  t.match(live.value, { values: [0, 0, 0], committed: false }, 'a live answer says so');
  w.commits[1]?.ack();
  await settle();
  t.same(
    [first.value, second.value, third.value, w.sent.length],
    [undefined, undefined, undefined, 0],
  );
  w.commits[0]?.ack();
  await settle();
  t.same([first.value, second.value, third.value, w.sent.length], [1, 2, 3, 1]);
  const later = w.ask({ kind: 'get' });
  await settle();
  t.match(later.value, { committed: true });
});

t.test('probes, timers, ticks and counts go at once, before any commit ends', async (t) => {
  const w = world();
  w.ticks = [{ check: 'c', zone: 'z', slotAtMs: 1, value: 1 }];
  const dueMonoMs = w.clock.monoMs() + 50;
  w.tell({
    kind: 'do',
    effects: [
      commit,
      { type: 'probe', request: { id: 'p1' } },
      { type: 'startTimer', id: 'a', dueMonoMs, message: { kind: 'rang' } },
      { type: 'startTimer', id: 'b', dueMonoMs, message: { kind: 'cancelled' } },
      { type: 'cancelTimer', id: 'b' },
      { type: 'append', ticks: [{ check: 'c', zone: 'z', slotAtMs: 2, value: 0 }] },
      { type: 'readTicks', of: [{ check: 'c', zone: 'z', passedMs: 7 }] },
      { type: 'count', name: 'slots_ran', by: 2, label: 'mzlocal' },
    ],
  } as Message);
  await settle();
  t.equal(w.appended.length, 1);
  t.equal(w.meter.counted('slots_ran', 'mzlocal'), 2);
  w.probes[0]?.done({ id: 'p1', outcome: 'observed' });
  await w.clock.advance(60);
  const answer = w.ask({ kind: 'get', replyWhen: 'now' });
  await settle();
  t.match(answer.value, { committed: false });
  w.commits[0]?.ack();
  await settle();
  const others = await othersOf(w);
  t.strictSame(
    others.map((message) => message.kind),
    ['ticks.read', 'probe.answer', 'rang'],
  );
});

t.test(
  'without the lease a probe is fenced, and sends and ticks are left out and counted',
  async (t) => {
    const w = world();
    w.isLeader = false;
    w.tell({
      kind: 'do',
      effects: [
        { type: 'probe', request: { id: 'p1' } },
        { type: 'append', ticks: [{ check: 'c', zone: 'z', slotAtMs: 2, value: 0 }] },
        send,
      ],
    } as Message);
    await settle();
    t.same([w.probes.length, w.appended.length, w.sent.length], [0, 0, 0]);
    t.equal(w.meter.counted('effects_fenced'), 3);
    t.strictSame(await othersOf(w), [{ kind: 'probe.fenced', id: 'p1' }]);
    w.tell({ kind: 'do', effects: [commit, send] } as Message);
    await settle();
    w.commits[0]?.ack();
    await settle();
    t.equal(w.sent.length, 1, 'an acknowledged commit is proof enough');
  },
);

t.test('ticks that cannot be read come back as none', async (t) => {
  const w = world();
  w.ticks = new Error('no store');
  w.tell({
    kind: 'do',
    effects: [{ type: 'readTicks', of: [{ check: 'c', zone: 'z', passedMs: 7 }] }],
  } as Message);
  await settle();
  t.strictSame(await othersOf(w), [
    { kind: 'ticks.read', ticks: [], of: [{ check: 'c', zone: 'z', passedMs: 7 }] },
  ]);
  t.equal(w.meter.counted('ticks_unread'), 1);
});

t.test('a refused commit drops the activation and everything unreleased', async (t) => {
  const w = world();
  const timer: Effect = {
    type: 'startTimer',
    id: 'a',
    dueMonoMs: w.clock.monoMs() + 1000,
    message: { kind: 'rang' },
  };
  const first = w.ask({ kind: 'do', effects: [commit, send, timer] });
  const second = w.ask({ kind: 'do', effects: [commit] });
  await settle();
  t.equal(w.ports.timers.size, 1);
  w.commits[0]?.fail(notOwner);
  await settle();
  t.equal(first.error?.code, 'RT_NOT_OWNER');
  t.equal(second.error?.code, 'RT_NOT_OWNER');
  t.same([w.sent.length, w.ports.timers.size, w.catalog.describe(key)], [0, 0, null]);
  w.commits[1]?.ack();
  await settle();
  t.equal(w.catalog.describe(key), null, 'a late acknowledgement changes nothing');
});

t.test('a failed commit reloads the actor, after all its commits have ended', async (t) => {
  let reloads = 0;
  const stored = { ...empty, soft: { seq: 40, body: { values: [7], others: [] } } };
  const w = world(obedient(), {
    reload: async () => {
      reloads++;
      if (reloads === 1) throw new Error('store still down');
      return stored;
    },
  });
  const first = w.ask({ kind: 'do', effects: [commit, send] });
  const second = w.ask({ kind: 'do', effects: [commit] });
  await settle();
  w.commits[0]?.fail(storeDown);
  await settle();
  t.equal(first.error?.code, 'RT_COMMIT_FAILED');
  t.equal(second.error?.code, 'RT_COMMIT_FAILED');
  t.equal(w.catalog.describe(key)?.phase, 'creating');
  await w.clock.advance(60_000);
  t.equal(reloads, 0, 'the other commit has no outcome yet');
  w.commits[1]?.fail(storeDown);
  await settle();
  const waiting = w.ask({ kind: 'get' });
  await w.clock.advance(300);
  t.same([reloads, waiting.value], [1, undefined]);
  await w.clock.advance(600);
  t.equal(reloads, 2);
  t.match(waiting.value, { values: [7] }, 'what was in memory is gone, the store holds');
  t.equal(w.sent.length, 0);
});

t.test('a shard that is lost during a reload ends the actor', async (t) => {
  const w = world(obedient(), { reload: () => Promise.reject(notOwner) });
  w.tell({ kind: 'do', effects: [commit] } as Message);
  await settle();
  w.commits[0]?.fail(storeDown);
  await settle();
  const waiting = w.ask({ kind: 'get' });
  await w.clock.advance(300);
  t.equal(waiting.error?.code, 'RT_NOT_OWNER');
  t.same([w.catalog.describe(key), w.ports.timers.size], [null, 0]);
});

t.test('soft state is read only while everything is committed', async (t) => {
  const w = world();
  w.tell({ kind: 'do', value: 4, effects: [{ type: 'save', urgent: true }, commit] } as Message);
  await settle();
  const read = w.soft.get(key);
  t.equal(read?.(), null);
  w.commits[0]?.ack();
  await settle();
  t.same(read?.(), { seq: 101, body: { values: [4], others: [] } });
});

t.test('a step that throws is refused, changes nothing and pauses the actor', async (t) => {
  const w = world();
  w.ask({ kind: 'do', value: 1 });
  const failed = w.ask({ kind: 'throw' });
  const after = w.ask({ kind: 'get' });
  await settle();
  t.equal(failed.error?.code, 'RT_STEP_FAILED');
  t.same([after.value, w.catalog.describe(key)?.isPaused], [undefined, true]);
  await w.clock.advance(300);
  t.match(after.value, { values: [1] });
  t.match(w.catalog.describe(key), { isPaused: false, lastFailure: 'throw: Error: told to throw' });
});

t.test('a timer message that failed comes again: a slot chain does not end silently', async (t) => {
  let failures = 2;
  const behaviour = obedient({
    step: (state, message, context) => {
      if ((message.kind as string) === 'slot' && failures-- > 0) throw new Error('not yet');
      return obedient().step(state, message, context);
    },
  });
  const w = world(behaviour);
  const dueMonoMs = w.clock.monoMs() + 10;
  const effects: Effect[] = [{ type: 'startTimer', id: 's', dueMonoMs, message: { kind: 'slot' } }];
  w.tell({ kind: 'do', effects } as Message);
  await w.clock.advance(2000);
  t.strictSame(await othersOf(w), [{ kind: 'slot' }]);
  t.equal(w.meter.counted('steps_failed'), 2);
});

t.test(
  'a sixth failure within a minute quarantines: committed, visible, queries still answered',
  async (t) => {
    const quarantined: string[] = [];
    const w = world(obedient(), { onQuarantine: (of) => quarantined.push(of) });
    w.ask({ kind: 'do', value: 1 });
    for (let failure = 0; failure < 6; failure++) {
      w.ask({ kind: 'throw' });
      await w.clock.advance(8000);
    }
    t.match(w.catalog.describe(key)?.quarantine, { cause: 'failures', reason: /told to throw/ });
    t.match(w.commits.at(-1)?.rows, [
      {
        kind: rowKinds.quarantine,
        body: { quarantined: true },
        documents: [{ kind: documentKinds.quarantine, id: 'quarantine' }],
      },
    ]);
    t.same([quarantined, w.catalog.counts().quarantined], [[key], 1]);
    const change = w.ask({ kind: 'do' });
    const query = w.ask({ kind: 'get' });
    w.tell({ kind: 'note' });
    await settle();
    t.equal(change.error?.code, 'RT_QUARANTINED');
    t.match(query.value, { values: [1] });
    t.equal(w.meter.counted('messages_quarantined'), 1);

    const commitsBefore = w.commits.length;
    w.commits.at(-1)?.fail(storeDown);
    await w.clock.advance(500);
    t.equal(w.commits.length, commitsBefore + 1, 'its commit is tried until it is durable');
  },
);

t.test('an operator releases a quarantined actor, which starts from the store', async (t) => {
  const record = { quarantined: true, reason: 'was bad', atMs: 5, rev: 1 };
  const soft = { seq: 3, body: { values: [1, 2], others: [] } };
  const stored = {
    ...empty,
    soft,
    documents: [{ kind: documentKinds.quarantine, id: 'quarantine', rev: 1, body: record }],
  };
  let inits = 0;
  const behaviour = obedient({
    init: (of, loaded, context) => {
      inits++;
      const dueMonoMs = context.monoMs + 10;
      const effects: Effect[] = [
        { type: 'startTimer', id: 's', dueMonoMs, message: { kind: 'slot' } },
      ];
      return { ...obedient().init(of, loaded, context), effects };
    },
  });
  const w = world(behaviour, { load: () => stored, reload: async () => ({ ...empty, soft }) });
  const query = w.ask({ kind: 'get' });
  const change = w.ask({ kind: 'do' });
  await settle();
  t.match(query.value, { values: [1, 2] }, 'loaded quarantined, it still answers');
  t.equal(change.error?.code, 'RT_QUARANTINED');
  t.equal(w.ports.timers.size, 0, 'and runs nothing');
  let isReleased = false;
  const released = w.catalog.release(key).then(() => {
    isReleased = true;
  });
  await settle();
  t.equal(isReleased, false);
  t.match(w.commits[0]?.rows, [{ documents: [{ kind: documentKinds.quarantine, body: null }] }]);
  w.commits[0]?.ack();
  await released;
  t.same([inits, w.ports.timers.size, w.catalog.describe(key)?.quarantine], [2, 1, null]);
  const again = w.ask({ kind: 'do', value: 3 });
  await settle();
  t.equal(again.value, 3);
  t.equal(await w.catalog.release(key), false);
  t.equal(w.commits.length, 1, 'releasing a free actor does nothing');
});

t.test('the tail of the log decides over an older document about quarantine', async (t) => {
  const body = { quarantined: true, reason: 'was bad', atMs: 5, rev: 1 };
  const document = { kind: documentKinds.quarantine, id: 'quarantine', rev: 1, body };
  const tailRow = (quarantined: boolean) => ({
    seq: 8,
    key,
    kind: rowKinds.quarantine,
    body: { ...body, quarantined },
  });
  const released = world();
  released.catalog.activate(key, { ...empty, documents: [document], tail: [tailRow(false)] });
  t.match(released.catalog.describe(key), { quarantine: null, lastSeq: 8 });
  const held = world();
  held.catalog.activate(key, { ...empty, tail: [tailRow(true)] });
  t.match(held.catalog.describe(key)?.quarantine, { reason: 'was bad' });
});

t.test('an actor whose init fails waits, and is quarantined without a state', async (t) => {
  const behaviour = obedient({
    init: () => {
      throw new Error('bad row');
    },
  });
  const w = world(behaviour);
  w.autoAck = true;
  w.catalog.activate(key, empty);
  const query = w.ask({ kind: 'get' });
  await w.clock.advance(60_000);
  t.match(w.catalog.describe(key)?.quarantine, { reason: 'init: Error: bad row' });
  t.equal(query.error?.code, 'RT_QUARANTINED');
});

t.test('an actor that stalled the loop is quarantined without being started', async (t) => {
  let inits = 0;
  const behaviour = obedient({
    init: (of, loaded, context) => {
      inits++;
      return obedient().init(of, loaded, context);
    },
  });
  const w = world(behaviour);
  w.autoAck = true;
  w.catalog.quarantine(key, 'blocked the event loop for 6 s', 'stalled');
  const query = w.ask({ kind: 'get' });
  await settle();
  t.same([inits, query.error?.code, w.commits.length], [0, 'RT_QUARANTINED', 1]);
  await w.catalog.release(key);
  t.equal(inits, 1);
});

t.test('a full user lane refuses the newest; the system lane has its own room', async (t) => {
  const w = world();
  const answers = Array.from({ length: mailboxLimits.userMessages + 2 }, () =>
    w.ask({ kind: 'do' }),
  );
  for (let sent = 0; sent < 1000; sent++) w.tell({ kind: 'note' }, 'system');
  t.equal(answers.at(-1)?.error?.code, 'RT_MAILBOX_FULL');
  t.equal(w.meter.counted('mailbox_rejected', 'user'), 2);
  t.equal(w.meter.counted('mailbox_rejected', 'system'), 0);
  await settle(30);
  t.equal(answers[mailboxLimits.userMessages - 1]?.value, mailboxLimits.userMessages);
  t.equal((await othersOf(w)).length, 1000);
});

t.test('a timer that finds the system lane full comes again', async (t) => {
  const w = world();
  const dueMonoMs = w.clock.monoMs() + 10;
  w.tell({
    kind: 'do',
    effects: [{ type: 'startTimer', id: 's', dueMonoMs, message: { kind: 'slot' } }],
  } as Message);
  await settle();
  const slow = w.ask({ kind: 'throw' });
  await settle();
  t.equal(slow.error?.code, 'RT_STEP_FAILED');
  for (let sent = 0; sent < mailboxLimits.systemMessages; sent++)
    w.tell({ kind: 'note' }, 'system');
  await w.clock.advance(20);
  t.equal(w.meter.counted('mailbox_rejected', 'system'), 1);
  await w.clock.advance(600);
  await settle(80);
  const others = await othersOf(w);
  t.equal(others.at(-1)?.kind, 'slot');
});

t.test('expired work is dropped before execution', async (t) => {
  const w = world();
  const answer = w.ask({ kind: 'do' }, { deadlineMonoMs: w.clock.monoMs() });
  const timely = w.ask({ kind: 'do' }, { deadlineMonoMs: w.clock.monoMs() + 1 });
  await settle();
  t.equal(answer.error?.code, 'RT_DEADLINE');
  t.equal(timely.value, 1);
  t.equal(w.meter.counted('messages_expired'), 1);
});

t.test(
  'a busy actor gives way after its turn, and system messages to a waiting user',
  async (t) => {
    const order: string[] = [];
    const behaviour = obedient({
      step: (state, message, context) => {
        order.push(message.kind);
        return obedient().step(state, message, context);
      },
    });
    const w = world(behaviour);
    for (let sent = 0; sent < turnLimits.messages * 2; sent++) w.tell({ kind: 'note' }, 'system');
    w.tell({ kind: 'do' });
    w.tell({ kind: 'get' }, 'user', other);
    await settle();
    t.equal(order.indexOf('get'), turnLimits.messages, 'the other actor is next after one turn');
    t.equal(order.indexOf('do'), mailboxLimits.systemStreak);
  },
);

t.test('a turn ends after 5 ms, and its actor is named before it', async (t) => {
  const named: (string | null)[] = [];
  const w = world(
    obedient({
      step: (state, message, context) => {
        w.clock.freeze(3);
        return obedient().step(state, message, context);
      },
    }),
    { onTurn: (of) => named.push(of) },
  );
  for (let sent = 0; sent < 8; sent++) w.tell({ kind: 'note' });
  await settle();
  const turns = Array.from({ length: 5 }, () => [key, null]).flat();
  t.strictSame(named, turns, 'its load, then two steps of 3 ms each turn; and then nobody');
});

t.test('an actor that stops leaves memory; the next message finds the store', async (t) => {
  const loads: string[] = [];
  const w = world(obedient(), {
    load: (of) => {
      loads.push(of);
      return empty;
    },
  });
  const stopped = w.ask({ kind: 'get', effects: [{ type: 'stop' }] });
  const next = w.ask({ kind: 'do' });
  await settle();
  t.match(stopped.value, { values: [] });
  t.equal(next.value, 1, 'what had come in meanwhile is executed by its successor');
  t.strictSame(loads, [key, key]);
  t.strictSame(w.deleted, [key], 'it kept no soft state');
  w.ask({ kind: 'do', effects: [commit, { type: 'stop' }] });
  await settle();
  t.equal(w.catalog.describe(key)?.phase, 'deactivating', 'not before its commit');
  w.commits[0]?.ack();
  await settle();
  t.equal(w.catalog.describe(key), null);
  t.match(
    w.soft.get(key)?.(),
    { seq: 101, body: { values: [0, 0] } },
    'its soft state outlives it',
  );
});

t.test('lost shards take their actors with them', async (t) => {
  const w = world();
  const held = w.ask({ kind: 'do', effects: [commit] });
  w.tell({ kind: 'do' }, 'user', other);
  await settle();
  t.equal(w.catalog.dropShards(new Set([shardOf(key)])), 1);
  t.equal(held.error?.code, 'RT_NOT_OWNER');
  t.strictSame([...w.catalog.keys()], [other]);
});

t.test('draining refuses users and waits for what is under way', async (t) => {
  const w = world();
  w.ask({ kind: 'do', effects: [commit] });
  await settle();
  let isDrained = false;
  const drained = w.catalog.drain().then(() => {
    isDrained = true;
  });
  t.equal(w.ask({ kind: 'do' }).error?.code, 'RT_NOT_READY');
  await w.clock.advance(50);
  t.equal(isDrained, false);
  w.commits[0]?.ack();
  await w.clock.advance(20);
  await drained;
  t.ok(isDrained);
});

t.test('a behaviour that changes its input is caught by frozen states', async (t) => {
  const w = world();
  const answer = w.ask({ kind: 'mutate' });
  await settle();
  t.equal(answer.error?.code, 'RT_STEP_FAILED');
  t.match(answer.error?.cause, { name: 'TypeError' });
});

t.test('a port that throws costs its effect alone', async (t) => {
  const w = world();
  const ports = w.ports as { send: unknown };
  ports.send = () => {
    throw new Error('closed');
  };
  const answer = w.ask({ kind: 'do', effects: [send] });
  await settle();
  t.equal(answer.value, 1);
  t.equal(w.meter.counted('effects_failed', 'send'), 1);
  t.ok(w.events.includes('effect.failed'));
});

t.test('the step sees the frozen copy of its tenant, which never goes back', async (t) => {
  const w = world();
  const cache = w.ports.documents;
  const heard: number[] = [];
  const stop = cache.onChange((_tenant, copy) => heard.push(copy.rev));
  t.equal(cache.set('acme', 4, { plans: ['a'] }), 'set');
  t.equal(cache.set('acme', 3, { plans: ['old'] }), 'stale');
  t.equal(cache.set('acme', 6, { plans: ['b'] }), 'skipped');
  stop();
  cache.set('acme', 7, { plans: ['c'] });
  const answer = w.ask({ kind: 'get' });
  await settle();
  t.match(answer.value, { documents: { plans: ['c'] } });
  t.strictSame(heard, [4, 6]);
  const copy = cache.get('acme')?.documents as { readonly plans: string[] } | undefined;
  t.ok(Object.isFrozen(copy?.plans));
  t.equal(cache.get('nobody'), null);
});

/** The messages that the actor got and did not know. */
async function othersOf(w: ReturnType<typeof world>): Promise<readonly Message[]> {
  w.tell({ kind: 'do', effects: [{ type: 'save', urgent: true }] } as Message);
  const commitsBefore = w.commits.length;
  await settle(20);
  for (const pending of w.commits.slice(0, commitsBefore)) pending.ack();
  await settle(20);
  const body = w.soft.get(key)?.()?.body as { others: readonly Message[] } | undefined;
  return body?.others ?? [];
}
