// What evidence leads to: stalled beats, who writes a death when, the own lease, the mode of a node.
import fc from 'fast-check';
import t from 'tap';
import { BeatWatch } from '../../cluster/beats.ts';
import { type DeclareInputs, declarations, mayRejoin } from '../../cluster/declare.ts';
import type { Heartbeat, VoteKind } from '../../cluster/heartbeat.ts';
import { clusterLease } from '../../cluster/lease.ts';
import { LeaseKeeper } from '../../cluster/lease-keeper.ts';
import {
  initialMode,
  type ModeInputs,
  type ModeState,
  nextMode,
  permits,
} from '../../cluster/mode.ts';
import { emptyView, lists, type View, withMember, withoutMember } from '../../cluster/view.ts';
import type { Beat } from '../../runtime/cluster-ports.ts';
import { type NodeId, nodeId, shardId } from '../../runtime/ids.ts';
import { TestClock } from '../clock.ts';

const names = ['a', 'b', 'c', 'd', 'e'].map(nodeId) as [NodeId, NodeId, NodeId, NodeId, NodeId];
const [a, b, c, d, e] = names;

const runOf = (node: NodeId) => ({ node, incarnation: `i${node}` });

function viewOf(members: readonly NodeId[], weights: Partial<Record<string, number>> = {}): View {
  return members.reduce(
    (view, name) =>
      withMember(
        view,
        name,
        {
          ...{ incarnation: `i${name}`, address: 'x:1', zone: 'z', state: 'up' },
          ...{ weight: weights[name] ?? 4, protoMin: 1, protoMax: 1 },
        },
        0,
      ),
    emptyView('local'),
  );
}

/** Reads every 500 ms of beats that the test moves; the own one moves once a second. */
class Beats {
  readonly view = viewOf([a, b, c]);
  readonly watch = new BeatWatch(runOf(a));
  nowMs = 10_000;
  own = 0;
  readonly others = new Map<NodeId, number>([
    [b, 1],
    [c, 1],
  ]);
  isOwnMoving = true;

  read(times: number, each: (at: number) => void = () => undefined): this {
    for (let at = 0; at < times; at++) {
      this.nowMs += 500;
      if (this.isOwnMoving && this.nowMs % 1_000 === 0) this.own++;
      each(at);
      const beats: Beat[] = [
        { ...runOf(a), n: this.own },
        ...[...this.others].map(([node, n]) => ({ ...runOf(node), n })),
      ];
      this.watch.read(this.nowMs, beats, this.view);
    }
    return this;
  }

  stalled(): string {
    return [b, c].filter((node) => this.watch.isStalled(node, `i${node}`)).join('');
  }
}

t.test(
  'a beat is stalled after five equal reads over 2.5 s while the own one moved twice',
  async (t) => {
    const beats = new Beats().read(4);
    const bump = () => beats.others.set(c, (beats.others.get(c) ?? 0) + 1);
    t.equal(beats.read(1, bump).stalled(), '', 'five reads span 2 s');
    t.equal(beats.read(1, bump).stalled(), 'b');
    beats.others.set(b, 2);
    t.equal(beats.read(1, bump).stalled(), '', 'it moved');
    t.equal(beats.read(4, bump).stalled(), '');
    t.equal(beats.read(1, bump).stalled(), 'b', '2.5 s after it was first seen so');
    beats.others.delete(b);
    t.equal(beats.read(5, bump).stalled(), '', 'a row that is gone is one more value');
    t.equal(beats.read(1, bump).stalled(), 'b');
    t.notOk(beats.watch.isStalled('b', 'other'), 'another incarnation is not watched');
    t.notOk(beats.watch.isStalled('a', 'ia'), 'nor is the own one');
  },
);

t.test('across a store outage nothing stalls', async (t) => {
  const failing = new Beats().read(5);
  failing.watch.readFailed();
  t.equal(failing.read(5).stalled(), '', 'a failed read: all is counted anew');
  t.equal(failing.read(1).stalled(), 'bc');

  const gap = new Beats().read(6);
  t.equal(gap.stalled(), 'bc');
  gap.nowMs += 3_000;
  t.equal(gap.read(1).stalled(), '', 'no read for 3 s');
  t.equal(gap.read(5).stalled(), 'bc');

  const still = new Beats();
  still.isOwnMoving = false;
  t.equal(still.read(20).stalled(), '', 'reads are answered, but the own beat cannot be written');
  still.isOwnMoving = true;
  const healed = still.read(4, () => {
    for (const [node, n] of still.others) still.others.set(node, n + 1);
  });
  t.equal(healed.stalled(), '', 'when the store takes writes again, all move');

  const late = new Beats();
  late.isOwnMoving = false;
  late.read(8);
  late.isOwnMoving = true;
  t.equal(late.read(3).stalled(), '', 'one that is slow to reconnect is not blamed at once');
});

interface Said {
  readonly view?: View;
  readonly me?: NodeId;
  readonly accused?: readonly NodeId[];
  readonly kind?: VoteKind;
  readonly isVerdict?: boolean;
  readonly voters?: readonly NodeId[];
  readonly stalled?: readonly NodeId[];
  readonly isVetoed?: boolean;
}

function inputsOf(said: Said): DeclareInputs {
  const accused = said.accused ?? [e];
  return {
    view: said.view ?? viewOf(names),
    me: runOf(said.me ?? a),
    isVetoed: said.isVetoed ?? false,
    votes: accused.map((node) => ({ ...runOf(node), kind: said.kind ?? 'gone' })),
    verdicts: (said.isVerdict ?? false) ? accused.map(runOf) : [],
    votersOf: () => said.voters ?? [said.me ?? a],
    isStalled: (node) => (said.stalled ?? []).includes(node as NodeId),
  };
}

t.test(
  'a death is written on a verdict, on a vote with a stalled beat, or in a duel',
  async (t) => {
    const cases: readonly [string, Said, string][] = [
      ['a vote alone', {}, ''],
      ['a verdict', { isVerdict: true }, 'e'],
      ['a vote and a stalled beat', { stalled: [e] }, 'e'],
      ['another beat is stalled', { stalled: [d] }, ''],
      ['half of the view died', { accused: [c, d, e], stalled: [c, d] }, 'cd'],
      ['vetoed', { isVerdict: true, isVetoed: true }, ''],
      ['no member', { isVerdict: true, view: viewOf([b, c, e]) }, ''],
      ['removed already', { isVerdict: true, view: viewOf([a, b, c]) }, ''],
      ['two members', { view: viewOf([a, e]) }, 'e'],
      ['even split of four: beats move', { view: viewOf([a, b, d, e]), accused: [d, e] }, ''],
      ['no weight, the others live', { view: viewOf(names, { a: 0 }), isVerdict: true }, ''],
      ['no weight in a duel', { view: viewOf([a, e], { a: 0 }) }, ''],
      [
        'no weight in a duel, the other stalls',
        { view: viewOf([a, e], { a: 0 }), stalled: [e] },
        'e',
      ],
      [
        'no weight, one with weight lives',
        { view: viewOf(names, { a: 0 }), isVerdict: true, stalled: [b, c, e] },
        '',
      ],
      [
        'no weight, all with weight stall',
        { view: viewOf(names, { a: 0, d: 0 }), isVerdict: true, stalled: [b, c, e] },
        'e',
      ],
      [
        'nobody has weight',
        { view: viewOf(names, { a: 0, b: 0, c: 0, d: 0, e: 0 }), isVerdict: true },
        'e',
      ],
    ];
    for (const [what, said, expected] of cases) {
      const declared = declarations(inputsOf(said)).map((one) => one.node);
      t.equal(declared.join(''), expected, what);
    }
    const withdrawn = { ...inputsOf({ isVerdict: true }), votes: [] };
    t.same(declarations(withdrawn), [], 'a verdict without an own vote: a pong came since');
  },
);

t.test('voters take turns of 150 ms, in an order that differs by the accused', async (t) => {
  const firsts = new Set<string>();
  for (const accused of names) {
    const voters = names.filter((name) => name !== accused);
    const turns = voters.map((me) => {
      const said = { me, accused: [accused], isVerdict: true, voters };
      return declarations(inputsOf(said))[0]?.afterMs ?? -1;
    });
    t.same(
      [...turns].sort((x, y) => x - y),
      [0, 150, 300, 450],
    );
    firsts.add(String(voters[turns.indexOf(0)]));
  }
  t.ok(firsts.size > 1);
});

t.test('of a duel one survives, whichever compare-and-set comes first', async (t) => {
  fc.assert(
    fc.property(fc.boolean(), fc.integer({ min: 0, max: 100 }), (aFirst, extra) => {
      let row = viewOf([a, b]);
      const write = (me: NodeId, accused: NodeId): void => {
        // Everybody decides again with the row as it is.
        for (const one of declarations(inputsOf({ view: row, me, accused: [accused] }))) {
          row = withoutMember(row, one.node, one.incarnation, { atMs: extra });
        }
      };
      if (aFirst) write(a, b);
      write(b, a);
      if (!aFirst) write(a, b);
      return row.members.size === 1 && lists(row, aFirst ? a : b, aFirst ? 'ia' : 'ib');
    }),
  );
  t.pass();
});

t.test(
  'a fenced node comes back when it hears a member, or when all beats are stalled',
  async (t) => {
    const view = viewOf([b, c]);
    const stalled =
      (...of: readonly NodeId[]) =>
      (node: NodeId) =>
        of.includes(node);
    t.ok(mayRejoin({ view, hearsMember: true, isStalled: stalled() }));
    t.notOk(mayRejoin({ view, hearsMember: false, isStalled: stalled(b) }));
    t.ok(mayRejoin({ view, hearsMember: false, isStalled: stalled(b, c) }));
    t.ok(mayRejoin({ view: emptyView('local'), hearsMember: false, isStalled: stalled() }));
  },
);

function ackOf(node: NodeId, seq: number): Heartbeat {
  return {
    ...{ ...runOf(node), seq: 1, viewVersion: 5, votes: [], verdicts: [] },
    ...{ tickAgeMs: 0, storeReachable: true, wallMs: 0, mailboxDepth: 0, culprit: null },
    ...{ heard: [{ ...runOf(a), seq }], strangers: [], epochMax: 0 },
    load: { entities: 0, startsPerMinute: 0, cpuPermille: 0, hotShards: [] },
  };
}

function keeperOf(view = viewOf(names)): LeaseKeeper {
  const keeper = new LeaseKeeper({ ...runOf(a), view, atMonoMs: 0 });
  keeper.relays(3, 0);
  return keeper;
}

t.test(
  'a majority of acknowledgements confirms the lease from when the heartbeat was sent',
  async (t) => {
    const keeper = keeperOf();
    keeper.sent(1, 1_000);
    keeper.heartbeat(ackOf(b, 1));
    t.notOk(keeper.state(1_050).isValid, 'two of five, this node included');
    keeper.heartbeat(ackOf(b, 1));
    t.notOk(keeper.state(1_050).isValid, 'the same one twice');
    keeper.heartbeat(ackOf(nodeId('x'), 1));
    t.notOk(keeper.state(1_050).isValid, 'no member');
    keeper.heartbeat(ackOf(c, 1));
    t.equal(keeper.validUntilMonoMs, 2_400, '1.4 s from the sending, not from the answer');
    t.match(keeper.state(1_600), { isValid: true, by: 'acks', attempt: 'none', wantsRead: false });
    keeper.relays(0, 1_600);
    t.match(keeper.state(1_600), { isValid: true, wantsRead: true }, 'before the 0.4 s are over');
    keeper.relays(1, 1_600);
    t.ok(keeper.state(1_701).wantsRead, 'the newest is older than two rounds');
    keeper.sent(2, 1_800);
    keeper.heartbeat(ackOf(b, 2));
    t.equal(keeper.validUntilMonoMs, 2_400, 'b acknowledged 2, the majority only 1');
    keeper.heartbeat(ackOf(d, 2));
    t.equal(keeper.validUntilMonoMs, 3_200);
    t.match(keeper.state(3_200), { isValid: false, by: null, attempt: 'pending', wantsRead: true });
    t.equal(keeper.state(4_599).attempt, 'pending');
    t.equal(keeper.state(4_600).attempt, 'ranOut');
  },
);

t.test('the own echo confirms only a node that is alone in the view', async (t) => {
  for (const [members, isValid] of [
    [[a], true],
    [[a, b], false],
    [names, false],
  ] as const) {
    const keeper = keeperOf(viewOf(members));
    keeper.sent(1, 1_000);
    keeper.heartbeat({ ...ackOf(a, 1), seq: 1 });
    t.equal(keeper.state(1_100).isValid, isValid);
  }
  const two = keeperOf(viewOf([a, b]));
  two.sent(1, 1_000);
  two.heartbeat(ackOf(b, 1));
  t.ok(two.state(1_100).isValid, 'of two members the other must answer');
});

t.test('a read of the view confirms or denies', async (t) => {
  const keeper = keeperOf();
  keeper.viewRead(1_000, true);
  t.match(keeper.state(1_200), { isValid: true, by: 'view', wantsRead: true });
  t.equal(keeper.validUntilMonoMs, 2_400, 'from when it was asked');
  keeper.viewRead(1_100, false);
  t.match(keeper.state(1_200), { isValid: false, isDenied: true, wantsRead: false });
  keeper.viewRead(1_300, true);
  t.notOk(keeper.state(1_301).isValid, 'for ever');
});

t.test('the lease is shortened, held back and dropped', async (t) => {
  const fresh = (): LeaseKeeper => {
    const keeper = keeperOf();
    keeper.sent(1, 1_000);
    keeper.heartbeat(ackOf(b, 1));
    keeper.heartbeat(ackOf(c, 1));
    return keeper;
  };
  const renew = (keeper: LeaseKeeper, atMs: number): void => {
    keeper.sent(9, atMs);
    keeper.heartbeat(ackOf(b, 9));
    keeper.heartbeat(ackOf(c, 9));
  };
  const blind = fresh();
  blind.relays(0, 1_200);
  t.equal(blind.validUntilMonoMs, 1_600, '0.4 s once no relay passes');
  blind.relays(0, 1_300);
  t.equal(blind.validUntilMonoMs, 1_600, 'counted from the loss');
  renew(blind, 1_350);
  t.equal(blind.validUntilMonoMs, 1_600, 'late acknowledgements do not renew it');
  blind.viewRead(1_400, true);
  t.equal(blind.validUntilMonoMs, 2_800, 'a read of the view does');

  const accused = fresh();
  accused.drop(1_100);
  accused.accused(true);
  t.match(accused.state(1_100), { isValid: false, attempt: 'pending' });
  renew(accused, 1_150);
  t.notOk(accused.state(1_200).isValid, 'acknowledgements do not count while a verdict is heard');
  accused.viewRead(1_050, true);
  t.notOk(accused.state(1_200).isValid, 'a read that began before the drop is void');
  accused.viewRead(1_150, true);
  t.match(accused.state(1_200), { isValid: true, by: 'view' });
  accused.accused(false);
  renew(accused, 1_400);
  t.match(accused.state(1_450), { isValid: true, by: 'acks' });

  const told = fresh();
  told.sent(9, 1_200);
  told.heartbeat({ ...ackOf(b, 9), verdicts: [runOf(a)] });
  told.heartbeat(ackOf(c, 9));
  t.equal(told.validUntilMonoMs, 2_400, 'nor what comes with the verdict itself');

  const dropped = fresh();
  dropped.drop(1_100);
  dropped.heartbeat(ackOf(d, 1));
  t.notOk(dropped.state(1_200).isValid, 'a heartbeat sent before the drop confirms nothing');
  renew(dropped, 1_200);
  t.ok(dropped.state(1_250).isValid);

  const stuck = fresh();
  stuck.mainLoop(1_500);
  renew(stuck, 1_500);
  t.equal(
    stuck.validUntilMonoMs,
    2_400,
    'the thread does not vouch for a main loop that stands still',
  );

  const smaller = fresh();
  smaller.view(withoutMember(viewOf(names), b, 'ib', { atMs: 0 }));
  smaller.sent(2, 1_200);
  smaller.heartbeat(ackOf(b, 2));
  smaller.heartbeat(ackOf(c, 2));
  t.equal(smaller.validUntilMonoMs, 2_400, 'who is no member does not count');
});

t.test('no lease outlives 1.4 s after its last confirmation began, whatever happens', async (t) => {
  const eventArbitrary = fc.record({
    kind: fc.constantFrom('ack', 'read', 'drop', 'relays', 'accused', 'pause', 'view'),
    who: fc.integer({ min: 0, max: 4 }),
    waitMs: fc.integer({ min: 0, max: 600 }),
    flag: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(eventArbitrary, { maxLength: 60 }), (events) => {
      const keeper = keeperOf();
      let nowMs = 1_000;
      let seq = 0;
      let lastStartMs = Number.NEGATIVE_INFINITY;
      for (const event of events) {
        nowMs += event.kind === 'pause' ? 10 * event.waitMs : event.waitMs;
        keeper.sent(++seq, nowMs);
        const who = names[event.who] as NodeId;
        if (event.kind === 'ack')
          keeper.heartbeat(ackOf(who, Math.max(1, seq - (event.flag ? 1 : 0))));
        if (event.kind === 'read') keeper.viewRead(nowMs, true);
        if (event.kind === 'drop') keeper.drop(nowMs);
        if (event.kind === 'relays') keeper.relays(event.flag ? 3 : 0, nowMs);
        if (event.kind === 'accused') keeper.accused(event.flag);
        if (event.kind === 'ack' || event.kind === 'read') lastStartMs = nowMs;
        const state = keeper.state(nowMs);
        if (state.isValid && nowMs - lastStartMs > 1_400) return false;
        if (event.kind === 'drop' && state.isValid) return false;
        if (state.isValid !== nowMs < keeper.validUntilMonoMs) return false;
        if (state.isValid === (state.by === null)) return false;
      }
      return true;
    }),
    { numRuns: 200 },
  );
  t.pass();
});

t.test('the lease of the main loop is asked at the point of effect', async (t) => {
  const clock = new TestClock();
  let untilMs = clock.monoMs() + 1_400;
  const lease = clusterLease({
    clock,
    validUntilMonoMs: () => untilMs,
    isHeld: (shard) => shard === 3,
  });
  t.ok(lease.mayAct(shardId(3)));
  t.notOk(lease.mayAct(shardId(4)));
  clock.freeze(1_400);
  t.notOk(lease.mayAct(shardId(3)), 'no timer had to run for this');
  untilMs = clock.monoMs() + 1;
  t.ok(lease.mayAct(shardId(3)));
  t.equal(lease.validUntilMonoMs(), untilMs);
});

const calm: ModeInputs = {
  nowMonoMs: 100_000,
  isDenied: false,
  isDraining: false,
  lease: { isValid: true, attempt: 'none', isDenied: false },
  ackedWithinLease: true,
  storeAnsweredMonoMs: 99_900,
  peerReachesStore: true,
};
const lapsed = (attempt: 'pending' | 'ranOut') => ({ isValid: false, attempt, isDenied: false });
const silent = { storeAnsweredMonoMs: 95_000 };

t.test('modes by what confirms the lease and who reaches the store', async (t) => {
  const cases: readonly [string, Partial<ModeInputs>, string][] = [
    ['all is well', {}, 'NORMAL'],
    ['view reads alone', { ackedWithinLease: false }, 'NO-NATS'],
    ['the store is silent for 4.9 s', { storeAnsweredMonoMs: 95_100 }, 'NORMAL'],
    ['the store is silent to all', { ...silent, peerReachesStore: false }, 'NO-STORE'],
    ['the store is silent to me', silent, 'STORE-CUT'],
    ['neither, for 1.4 s', { ...silent, lease: lapsed('ranOut') }, 'ISOLATED'],
    ['neither, the store is silent for less than 5 s', { lease: lapsed('ranOut') }, 'ISOLATED'],
    ['neither yet', { lease: lapsed('pending') }, 'NORMAL (awaiting)'],
    [
      'an old lease by a view read, then nothing',
      { ...silent, ackedWithinLease: false },
      'ISOLATED',
    ],
    ['told by a peer', { lease: { ...calm.lease, isDenied: true } }, 'FENCED'],
    ['read in the view', { isDenied: true }, 'FENCED'],
    ['denied while it drains', { isDenied: true, isDraining: true }, 'FENCED'],
    ['it drains', { isDraining: true }, 'DRAINING'],
    ['it drains without NATS', { isDraining: true, ackedWithinLease: false }, 'DRAINING'],
    ['it drains without the store', { isDraining: true, ...silent }, 'STORE-CUT'],
  ];
  const normal = nextMode(initialMode, calm);
  for (const [what, change, expected] of cases) {
    const next = nextMode(normal, { ...calm, ...change });
    t.equal(next.mode + (next.isAwaiting ? ' (awaiting)' : ''), expected, what);
  }
});

t.test('what a mode permits', async (t) => {
  const short = (state: ModeState, nowMs: number): string => {
    const { poll, commit, notify, takeOver } = permits(state, nowMs);
    return `${poll ? 'polls' : 'still'} ${commit} ${notify}${takeOver ? ' takes over' : ''}`;
  };
  t.equal(short(initialMode, 0), 'still refused none');
  const at = (change: Partial<ModeInputs>): ModeState =>
    nextMode(initialMode, { ...calm, ...change });
  const cases: readonly [Partial<ModeInputs>, string][] = [
    [{}, 'polls batch committed takes over'],
    [{ ackedWithinLease: false }, 'polls batch degraded'],
    [{ ...silent, peerReachesStore: false }, 'polls journal unfenced'],
    [silent, 'polls journal none'],
    [{ lease: lapsed('ranOut') }, 'polls journal selfTested'],
    [{ lease: lapsed('pending') }, 'still refused none'],
    [{ isDenied: true }, 'still refused none'],
    [{ isDraining: true }, 'polls batch committed'],
  ];
  for (const [change, expected] of cases) t.equal(short(at(change), 100_000), expected);
  const cut = at(silent);
  t.equal(short(cut, 114_999), 'polls journal none');
  t.equal(short(cut, 115_000), 'polls journal unfenced', 'what was not handed over within 15 s');
  const later = nextMode(cut, { ...calm, ...silent, nowMonoMs: 110_000 });
  t.equal(later.sinceMonoMs, 100_000, 'counted from when it began');
  t.equal(at({ lease: lapsed('ranOut') }).allowedUntilMonoMs, 101_400, 'a pause outlives it');
  t.equal(at({}).allowedUntilMonoMs, Number.NEGATIVE_INFINITY);
});
