// The agreed view, its row, and the map that every node computes from it.
import fc from 'fast-check';
import t from 'tap';
import { effectiveWeights, movesWanted, placementOf } from '../../cluster/placement.ts';
import {
  assertSameConstants,
  dampedUntilMs,
  emptyView,
  lists,
  listsOwner,
  type Member,
  majorityOf,
  ownerOf,
  type View,
  withMember,
  withOverride,
  withoutMember,
  withState,
  withVersion,
  withWeight,
} from '../../cluster/view.ts';
import { decodeView, encodeView } from '../../cluster/view-codec.ts';
import { encodeValue } from '../../runtime/codec.ts';
import {
  murmur3,
  type NodeId,
  nodeId,
  type ShardId,
  shardId,
  shardsTotal,
} from '../../runtime/ids.ts';

const a = nodeId('a');
const b = nodeId('b');
const c = nodeId('c');

function joining(change: Partial<Member> = {}): Omit<Member, 'sinceVersion'> {
  return {
    incarnation: 'i1',
    address: '127.0.0.1:8080',
    weight: 4,
    zone: 'east',
    protoMin: 1,
    protoMax: 1,
    state: 'up',
    ...change,
  };
}

function viewOf(names: readonly string[], weight: (at: number) => number = () => 4): View {
  const join = (view: View, name: string, at: number): View =>
    withMember(view, nodeId(name), joining({ weight: weight(at) }), 0);
  return names.reduce(join, emptyView('local'));
}

t.test('a view changes by one version at a time, and not where nothing changes', async (t) => {
  const one = withMember(emptyView('local'), a, joining(), 0);
  t.equal(one.version, 1);
  t.equal(one.members.get(a)?.sinceVersion, 1);
  t.equal(withMember(one, a, joining(), 0), one, 'the same incarnation joins once');
  const replaced = withMember(one, a, joining({ incarnation: 'i2' }), 0);
  t.equal(replaced.version, 2);
  t.equal(
    replaced.members.size,
    1,
    'a join under a name that is taken kills the older incarnation',
  );
  t.notOk(lists(replaced, a, 'i1'));
  t.ok(listsOwner(replaced, ownerOf(a, 'i2')));
  t.notOk(listsOwner(replaced, ownerOf(a, 'i1')));
  t.notOk(listsOwner(replaced, ''));
  t.equal(withoutMember(replaced, a, 'i1', null), replaced, 'another incarnation is no member');
  t.equal(withoutMember(replaced, a, 'i2', null).members.size, 0);
  t.equal(withState(replaced, a, 'i2', 'draining').members.get(a)?.state, 'draining');
  t.equal(withState(replaced, a, 'i2', 'up'), replaced);
  t.equal(withState(replaced, a, 'i1', 'draining'), replaced);
  t.equal(withWeight(replaced, a, 'i2', 99).members.get(a)?.weight, 16);
  t.equal(withWeight(replaced, a, 'i2', Number.NaN).members.get(a)?.weight, 0);
  t.equal(withVersion(replaced).version, 3);
  t.equal(withVersion(replaced, 40).version, 40, 'above epochs that a restored view did not know');
  t.equal(withVersion(replaced, 1).version, 3, 'never back');
  const pinned = withOverride(replaced, shardId(7), b);
  t.equal(pinned.overrides.get(shardId(7)), b);
  t.equal(withOverride(pinned, shardId(7), b), pinned);
  t.equal(withOverride(pinned, shardId(7), null).overrides.size, 0);
  t.equal(withOverride(replaced, shardId(7), null), replaced);
});

t.test('a majority is more than half of the view', async (t) => {
  for (const [members, majority] of [
    [0, 1],
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
  ] as const) {
    t.equal(majorityOf(viewOf(['a', 'b', 'c', 'd', 'e'].slice(0, members))), majority);
  }
});

t.test('three declared deaths in ten minutes give weight 0, and time clears it', async (t) => {
  let view = emptyView('local');
  const dieAndJoin = (atMs: number, run: number): void => {
    view = withMember(view, a, joining({ incarnation: `i${run}` }), atMs);
    view = withoutMember(view, a, `i${run}`, { atMs });
  };
  dieAndJoin(1_000, 1);
  dieAndJoin(2_000, 2);
  t.equal(withMember(view, a, joining({ incarnation: 'i9' }), 3_000).members.get(a)?.weight, 4);
  dieAndJoin(3_000, 3);
  t.equal(dampedUntilMs(view, a, 4_000), 601_000);
  t.equal(withMember(view, a, joining({ incarnation: 'i9' }), 4_000).members.get(a)?.weight, 0);
  t.equal(withMember(view, b, joining(), 4_000).members.get(b)?.weight, 4, 'a name of its own');
  t.equal(dampedUntilMs(view, a, 601_000), null);
  const later = withMember(view, a, joining({ incarnation: 'i9' }), 700_000);
  t.equal(later.members.get(a)?.weight, 4);
  t.equal(later.deaths.size, 0, 'old deaths are forgotten');
  const left = withoutMember(later, a, 'i9', null);
  t.equal(left.deaths.size, 0, 'a leave is no death');
});

t.test('the protocol rises with the slowest member and never falls', async (t) => {
  const old = joining({ protoMin: 1, protoMax: 1 });
  const young = joining({ protoMin: 1, protoMax: 2 });
  let view = withMember(withMember(emptyView('local'), a, old, 0), b, young, 0);
  t.equal(view.protoActive, 1);
  view = withoutMember(view, a, 'i1', null);
  t.equal(view.protoActive, 2);
  t.throws(() => withMember(view, a, old, 0), { code: 'CL_PROTOCOL_MISMATCH' });
  t.throws(() => withMember(view, c, joining({ protoMin: 3, protoMax: 4 }), 0), {
    code: 'CL_PROTOCOL_MISMATCH',
  });
  t.equal(withMember(view, c, joining({ protoMin: 2, protoMax: 4 }), 0).protoActive, 2);
  t.equal(withoutMember(view, b, 'i1', null).protoActive, 2, 'not even without members');
});

t.test('a program with other constants does not start', async (t) => {
  const view = emptyView('local');
  assertSameConstants(view, emptyView('local'));
  for (const [change, code] of [
    [{ hashId: 'fnv' }, 'CL_HASH_MISMATCH'],
    [{ shards: 512 }, 'CL_SHARDS_MISMATCH'],
    [{ serial: 'global' as const }, 'CL_SERIAL_MISMATCH'],
  ] as const) {
    t.throws(() => assertSameConstants({ ...view, ...change }, view), { code });
  }
});

t.test('a view is bounded', async (t) => {
  const full = viewOf(Array.from({ length: 128 }, (_, at) => `n${at}`));
  t.throws(() => withMember(full, a, joining(), 0), { code: 'CL_VIEW_FULL' });
  t.equal(withMember(full, nodeId('n5'), joining({ incarnation: 'x' }), 0).members.size, 128);
  let pinned = full;
  for (let shard = 0; shard < 512; shard++) pinned = withOverride(pinned, shardId(shard), a);
  t.throws(() => withOverride(pinned, shardId(600), a), { code: 'CL_VIEW_FULL' });
  t.ok(encodeView(pinned).length < 65_536);
  t.same(decodeView(pinned.version, encodeView(pinned)), pinned);
});

const nameArbitrary = fc.stringMatching(/^[a-z][a-z0-9-]{0,11}$/);
const changeArbitrary = fc.record({
  name: fc.integer({ min: 0, max: 5 }),
  kind: fc.constantFrom('join', 'die', 'leave', 'drain', 'weight', 'pin', 'bump'),
  number: fc.integer({ min: 0, max: 1023 }),
});

function changedBy(
  view: View,
  names: readonly string[],
  change: { name: number; kind: string; number: number },
): View {
  const name = nodeId(names[change.name % names.length] as string);
  const incarnation = view.members.get(name)?.incarnation ?? 'none';
  const atMs = view.version * 1_000;
  switch (change.kind) {
    case 'join':
      return withMember(
        view,
        name,
        joining({ incarnation: `r${view.version}`, weight: change.number % 17 }),
        atMs,
      );
    case 'die':
      return withoutMember(view, name, incarnation, { atMs });
    case 'leave':
      return withoutMember(view, name, incarnation, null);
    case 'drain':
      return withState(view, name, incarnation, 'draining');
    case 'weight':
      return withWeight(view, name, incarnation, change.number % 17);
    case 'pin':
      return withOverride(view, shardId(change.number), change.number % 3 === 0 ? null : name);
    default:
      return withVersion(view);
  }
}

const viewArbitrary = fc
  .tuple(
    fc.uniqueArray(nameArbitrary, { minLength: 1, maxLength: 6 }),
    fc.array(changeArbitrary, { minLength: 1, maxLength: 40 }),
  )
  .map(([names, changes]) =>
    changes.reduce((view, change) => changedBy(view, names, change), emptyView('global')),
  );

t.test(
  'every view comes back from its bytes, and the same view gives the same bytes',
  async (t) => {
    fc.assert(
      fc.property(viewArbitrary, (view) => {
        const bytes = encodeView(view);
        const back = decodeView(view.version, bytes);
        t.strictSame(back, view);
        return Buffer.compare(encodeView(back), bytes) === 0;
      }),
      { numRuns: 100 },
    );
  },
);

t.test('a damaged row is refused with one code, a longer one is read', async (t) => {
  const view = withOverride(viewOf(['a', 'b']), shardId(3), b);
  const bytes = encodeView(view);
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodeView(2, bytes.subarray(0, length)), { code: 'CL_VIEW_DAMAGED' });
  }
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
      const broken = bytes.slice();
      broken[at] = (broken[at] as number) ^ (1 << bit);
      try {
        decodeView(2, broken);
        return true;
      } catch (error) {
        return (error as { code?: string }).code === 'CL_VIEW_DAMAGED';
      }
    }),
    { numRuns: 300 },
  );
  const longer = [
    1,
    'h',
    1024,
    0,
    1,
    [['a', 'i', 'x:1', 4, 'z', 1, 1, 0, 1, 'new']],
    [],
    [],
    'new',
  ];
  t.equal(decodeView(1, encodeValue(longer)).members.get(a)?.address, 'x:1');
  const cases: readonly (readonly [string, unknown])[] = [
    ['another format', [2, ...longer.slice(1)]],
    ['no array', 'view'],
    ['a bad name', [...longer.slice(0, 5), [['a b', 'i', 'x', 4, 'z', 1, 1, 0, 1]], [], []]],
    ['a bad weight', [...longer.slice(0, 5), [['a', 'i', 'x', 17, 'z', 1, 1, 0, 1]], [], []]],
    ['a bad state', [...longer.slice(0, 5), [['a', 'i', 'x', 4, 'z', 1, 1, 2, 1]], [], []]],
    ['a bad incarnation', [...longer.slice(0, 5), [['a', 'I/', 'x', 4, 'z', 1, 1, 0, 1]], [], []]],
    ['a bad serial', [1, 'h', 1024, 7, 1, [], [], []]],
    ['a bad shard', [1, 'h', 1024, 0, 1, [], [[1024, 'a']], []]],
  ];
  for (const [what, value] of cases) {
    t.throws(() => decodeView(1, encodeValue(value)), { code: 'CL_VIEW_DAMAGED' }, what);
  }
});

function loadsOf(placement: readonly (NodeId | null)[]): Map<NodeId | null, number> {
  const loads = new Map<NodeId | null, number>();
  for (const node of placement) loads.set(node, (loads.get(node) ?? 0) + 1);
  return loads;
}

/** Nodes of different releases must agree on it: never change it. */
const frozenStart = '0000211202202102012101220022002102101022002001000211120001002120';

t.test('the map of three nodes of one weight is frozen', async (t) => {
  const placement = placementOf(viewOf(['node-0', 'node-1', 'node-2']));
  const digest = placement.map((node) => node?.at(-1)).join('');
  t.equal(placement.length, shardsTotal);
  t.matchOnly([...loadsOf(placement)].sort(), [
    ['node-0', 353],
    ['node-1', 314],
    ['node-2', 357],
  ]);
  t.equal(digest.slice(0, 64), frozenStart);
  t.equal(murmur3(Buffer.from(digest)), 0xb2aeb5cf, 'as computed by an independent program');
});

t.test('the map is bounded, complete, and the same whatever order members came in', async (t) => {
  const membersArbitrary = fc.uniqueArray(
    fc.tuple(nameArbitrary, fc.integer({ min: 0, max: 16 })),
    { minLength: 1, maxLength: 12, selector: ([name]) => name },
  );
  fc.assert(
    fc.property(membersArbitrary, fc.integer({ min: 0, max: 99 }), (members, turn) => {
      const build = (list: readonly (readonly [string, number])[]): View =>
        list.reduce(
          (view, [name, weight]) => withMember(view, nodeId(name), joining({ weight }), 0),
          emptyView('local'),
        );
      const turned = [
        ...members.slice(turn % members.length),
        ...members.slice(0, turn % members.length),
      ];
      const view = build(members);
      const placement = placementOf(view);
      const weights = effectiveWeights(view);
      const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
      const isBounded = [...loadsOf(placement)].every(([node, load]) => {
        const weight = node === null ? 0 : (weights.get(node) ?? 0);
        return weight > 0 && load <= Math.ceil((1.1 * shardsTotal * weight) / total + 1e-9);
      });
      const same = placementOf(build(turned)).every((node, shard) => node === placement[shard]);
      return isBounded && same && placementOf(view) === placement;
    }),
    { numRuns: 40 },
  );
  t.pass();
});

t.test('a death or a join moves little else than the shards of that node', async (t) => {
  const countArbitrary = fc.integer({ min: 2, max: 16 });
  fc.assert(
    fc.property(countArbitrary, fc.integer({ min: 1, max: 16 }), (count, weight) => {
      const names = Array.from({ length: count }, (_, at) => `node-${at}`);
      const view = viewOf(names, () => weight);
      const gone = nodeId('node-1');
      const before = placementOf(view);
      const after = placementOf(withoutMember(view, gone, 'i1', null));
      const moved = before.filter((node, shard) => node !== gone && after[shard] !== node).length;
      const orphans = before.filter((node) => node === gone).length;
      // The same two maps read the other way round are a join.
      return moved <= 25 && orphans <= Math.ceil((1.1 * shardsTotal) / count);
    }),
    { numRuns: 30 },
  );
  t.pass();
});

t.test('who may own: draining, weightless and pinned', async (t) => {
  const names = ['a', 'b', 'c'];
  const owners = (view: View): string =>
    [...loadsOf(placementOf(view)).keys()].map(String).sort().join(' ');
  const full = viewOf(names);
  t.equal(owners(full), 'a b c');
  t.equal(owners(withState(full, b, 'i1', 'draining')), 'a c');
  t.equal(owners(withWeight(full, b, 'i1', 0)), 'a c');
  t.equal(owners(viewOf(names, (at) => (at === 0 ? 4 : 0))), 'a b c', 'one of three: all equal');
  t.equal(owners(viewOf(names, (at) => (at === 2 ? 0 : 4))), 'a b', 'two of three: as they are');
  t.equal(owners(viewOf(names, () => 0)), 'a b c');
  t.equal(owners(viewOf(['a', 'b'], (at) => (at === 0 ? 4 : 0))), 'a', 'one of two is no fewer');
  const oneStays = withState(withWeight(viewOf(['a', 'b']), a, 'i1', 0), b, 'i1', 'draining');
  t.equal(owners(oneStays), 'a', 'draining ones are left out of the count');
  t.equal(owners(withState(viewOf(['a']), a, 'i1', 'draining')), 'null');
  t.equal(owners(emptyView('local')), 'null');

  let pinned = full;
  for (let shard = 0; shard < 500; shard++) pinned = withOverride(pinned, shardId(shard), a);
  const placement = placementOf(pinned);
  t.ok(placement.slice(0, 500).every((node) => node === a));
  t.ok(
    placement.slice(500).every((node) => node === b || node === c),
    'a is full by its pins',
  );
  t.equal(placementOf(withWeight(pinned, a, 'i1', 0)).filter((node) => node === a).length, 0);
  t.ok(placementOf(withoutMember(pinned, a, 'i1', null)).every((node) => node === b || node === c));
});

t.test('moves wanted: paced for a join, at once for a drain or a pin', async (t) => {
  const two = viewOf(['a', 'b']);
  const three = withMember(two, c, joining(), 0);
  const before = placementOf(two);
  const after = placementOf(three);
  const holders = (shard: ShardId): NodeId | null => before[shard] ?? null;
  const inputs = {
    view: three,
    me: a,
    holders,
    inFlight: [],
    startedRecently: 0,
    upSinceMonoMs: new Map([[c, 0]]),
    nowMonoMs: 30_000,
  };
  const moves = movesWanted(inputs);
  const held = before.filter((node) => node === a).length;
  t.equal(moves.length, Math.floor(held / 64), 'one per 64 shards that are held');
  t.ok(moves.every((move) => before[move.shard] === a && after[move.shard] === move.to));
  t.ok(moves.every((move) => move.to === c && move.reason === 'rebalance'));
  t.same(movesWanted({ ...inputs, nowMonoMs: 29_999 }), [], 'c is up for less than 30 s');
  t.same(movesWanted({ ...inputs, upSinceMonoMs: new Map() }), []);
  t.equal(movesWanted({ ...inputs, startedRecently: 23 }).length, 2, 'half of 51 in 5 s: two give');
  t.equal(movesWanted({ ...inputs, startedRecently: 25 }).length, 0);
  t.equal(movesWanted({ ...inputs, inFlight: moves.slice(0, 5) }).length, moves.length - 5);
  const again = movesWanted({ ...inputs, inFlight: moves.slice(0, 5) });
  t.notOk(again.some((move) => moves.slice(0, 5).some((one) => one.shard === move.shard)));
  t.same(
    movesWanted({ ...inputs, holders: (shard) => after[shard] ?? null }),
    [],
    'all is in place',
  );
  t.same(movesWanted({ ...inputs, holders: () => nodeId('dead') }), [], 'the dead do not give');
  t.same(movesWanted({ ...inputs, holders: () => null }), []);

  const draining = withState(three, a, 'i1', 'draining');
  const drain = movesWanted({ ...inputs, view: draining, nowMonoMs: 0 });
  t.equal(drain.length, 64);
  t.ok(drain.every((move) => move.reason === 'drain' && move.to !== a));

  const shard = shardId(before.indexOf(a));
  const pinned = withOverride(two, shard, b);
  t.same(movesWanted({ ...inputs, view: pinned, nowMonoMs: 0 }), [
    { shard, to: b, reason: 'override' },
  ]);
});
