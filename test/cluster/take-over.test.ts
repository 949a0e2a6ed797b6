// Shards that move with the view: claims under the view's version, polling before the claim, decisions after it, and what
// becomes of shards whose owner died, was cut off or came back. C1, C2, C6, C10 are checked at each end.
import t from 'tap';
import { viewVerdict } from '../../cluster/claims.ts';
import { placementOf } from '../../cluster/placement.ts';
import { withoutMember, withVersion } from '../../cluster/view.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { type ActorKey, epoch, nodeId, type ShardId, shardOf } from '../../runtime/ids.ts';
import type { CommitBatch, ShardHead } from '../../runtime/ports.ts';
import { Fleet, type FleetNode, keyWhere } from './fleet.ts';
import { configRow, intentRow, transitionRow } from './world.ts';

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof TocsinError ? error.code : String(error);
}

/** Two or more nodes that hold their shards. */
async function fleetOf(...names: string[]): Promise<{ fleet: Fleet; nodes: FleetNode[] }> {
  const fleet = new Fleet();
  const nodes: FleetNode[] = [];
  for (const name of names) nodes.push(await fleet.node(name));
  await fleet.follow();
  return { fleet, nodes };
}

const heldBy =
  (node: FleetNode) =>
  (shard: ShardId): boolean =>
    node.host.directory.lookup(shard)?.local === true;

t.test('a head row says whether a member may claim', async (t) => {
  const fleet = new Fleet();
  const a = await fleet.node('a');
  await fleet.node('b');
  const { view } = fleet;
  const head = (owner: string, at: number) => ({ owner, epoch: epoch(at) }) as ShardHead;
  t.equal(viewVerdict(view, a.owner, head('', 0)), 2);
  t.equal(viewVerdict(view, a.owner, head('a/old', 1)), 2, 'an earlier run of this node');
  t.equal(viewVerdict(view, a.owner, head('c/gone', 1)), 2);
  t.equal(viewVerdict(view, a.owner, head('b/r2', 1)), null, 'never from a live member');
  t.equal(viewVerdict(view, a.owner, head('c/gone', 2)), 'stale');
  t.equal(viewVerdict(view, a.owner, head('b/r2', 7)), 'stale');
  t.equal(viewVerdict(view, a.owner, head(a.owner, 1)), 'adopt');
  t.equal(viewVerdict(view, a.owner, head(a.owner, 9)), 'adopt');
});

t.test('the members share all shards; each is claimed under the version of the view', async (t) => {
  const { fleet, nodes } = await fleetOf('a', 'b', 'c');
  t.same(await fleet.disowned(), []);
  for (const node of nodes) t.ok(fleet.held(node) > 300 && fleet.held(node) < 400);
  t.equal(fleet.claims.length, 1024);
  t.ok(fleet.claims.every(({ epoch: at }) => at === 3));
  const [a, b] = nodes as [FleetNode, FleetNode];
  const key = keyWhere(heldBy(b));
  t.match(a.host.directory.lookup(shardOf(key)), { node: 'b', local: false });
  t.throws(() => a.host.load(key), { code: 'RT_NOT_OWNER' });
  a.host.follow(fleet.view);
  t.equal(a.host.stats().shardsTaking, 0, 'the same view again changes nothing');
});

t.test("a dead node's shards are taken with all that it committed, in doubt or not", async (t) => {
  const { fleet, nodes } = await fleetOf('a', 'b', 'c');
  const [a] = nodes as [FleetNode];
  const key = keyWhere(heldBy(a));
  await fleet.run(a.host.decisions.commit(key, [configRow('c1', 1), transitionRow(1, 1)]));
  fleet.fault = (node, name, args) =>
    node === a && name === 'commit' && (args[0] as CommitBatch).rows.length > 0
      ? 'unknownApplied'
      : node === a && name === 'readHead'
        ? 'unavailable'
        : undefined;
  void a.host.decisions.commit(key, [configRow('c2', 1), intentRow(1)]).catch(() => undefined);
  await fleet.clock.advance(100);
  fleet.kill(a);
  fleet.remove(a);
  const startedMonoMs = fleet.clock.monoMs();
  await fleet.follow();
  t.ok(fleet.clock.monoMs() - startedMonoMs < 3000, 'C11');
  t.same(await fleet.disowned(), []);
  const heir = nodes.find((node) => !node.isDead && heldBy(node)(shardOf(key))) as FleetNode;
  const loaded = heir.actors.get(key);
  t.same(loaded?.documents.map(({ id }) => id).sort(), ['al', 'c1', 'c2']);
  await fleet.clock.advance(1000);
  t.equal(heir.sends.length, 1, 'what it owed is sent');
  await fleet.run(heir.host.decisions.commit(key, [configRow('c3', 1)]));
  t.same(fleet.forks(), []);
});

t.test(
  'actors poll right after the load; the gate opens once claim and re-read are done',
  async (t) => {
    const { fleet, nodes } = await fleetOf('a', 'b');
    const [a, b] = nodes as [FleetNode, FleetNode];
    const key = keyWhere(heldBy(a));
    const quiet = keyWhere((shard) => heldBy(a)(shard) && shard !== shardOf(key));
    await fleet.run(a.host.decisions.commit(key, [configRow('c1', 1)]));
    await fleet.run(a.host.decisions.commit(quiet, [configRow('c1', 1)]));
    await fleet.clock.advance(500);
    let release = (): void => undefined;
    const claimed = new Promise<void>((resolve) => {
      release = resolve;
    });
    fleet.fault = async (node, name, args) => {
      if (node === b && name === 'claim' && args[0] === shardOf(key)) await claimed;
      return undefined;
    };
    fleet.remove(a);
    b.host.follow(fleet.view);
    await fleet.clock.advance(200);
    t.ok(b.events.includes(`actor ${key} closed`), 'it polls');
    t.notOk(b.opened.has(key));
    t.equal(b.host.mayAct(key), true);
    t.match(b.host.directory.lookup(shardOf(key)), { local: true, epoch: 3 });
    t.equal(await codeOf(b.host.decisions.commit(key, [configRow('c9', 1)])), 'RT_COMMIT_FAILED');
    t.throws(() => b.host.load(key), { code: 'RT_NOT_READY' });
    t.equal(b.opened.get(quiet), null, 'others are open meanwhile, with nothing new');
    t.match(b.host.stats(), { shardsPending: 1, shardsTaking: 1 });
    // The old owner does not know yet, and may commit until the claim lands.
    await fleet.run(a.host.decisions.commit(key, [configRow('c2', 1)]));
    release();
    await fleet.settled([b]);
    const late = b.opened.get(key);
    t.same(late?.documents.map(({ id }) => id).sort(), ['c1', 'c2'], 'the tail is folded in first');
    t.equal(await codeOf(a.host.decisions.commit(key, [configRow('c3', 1)])), 'RT_NOT_OWNER');
    t.same(a.lost, [shardOf(key)], 'a zombie loses that shard alone');
    await fleet.run(b.host.decisions.commit(key, [configRow('c3', 1)]));
    t.same(fleet.forks(), []);
  },
);

t.test(
  'an actor that another owner made or deleted meanwhile is known after the claim',
  async (t) => {
    const { fleet, nodes } = await fleetOf('a', 'b');
    const [a, b] = nodes as [FleetNode, FleetNode];
    const key = keyWhere(heldBy(a));
    const shard = shardOf(key);
    const made = keyWhere((other) => other === shard);
    const later = keyLike(shard, made);
    await fleet.run(a.host.decisions.commit(made, [configRow('c1', 1)]));
    fleet.fault = async (node, name, args) => {
      if (node !== b || name !== 'claim' || args[0] !== shard) return undefined;
      await a.host.decisions.commit(later, [configRow('c1', 1)]);
      const row = configRow('c1', 2);
      const documents = (row.documents ?? []).map((one) => ({ ...one, body: null }));
      await a.host.decisions.commit(made, [{ ...row, documents }]);
      return undefined;
    };
    fleet.remove(a);
    await fleet.follow([b]);
    t.match(b.opened.get(later), { documents: [{ id: 'c1' }] });
    t.match(b.opened.get(made), { documents: [] });
  },
);

t.test('of two that claim one shard one wins, the other leaves it', async (t) => {
  const fleet = new Fleet();
  const a = await fleet.node('a');
  const old = fleet.view;
  const b = await fleet.node('b');
  // Both think that everything is theirs: `a` by the view before `b` joined.
  a.host.follow(old);
  b.host.follow(fleet.view);
  await fleet.settled();
  await fleet.follow();
  t.same(fleet.forks(), []);
  t.same(await fleet.disowned(), []);
  t.equal(fleet.held(a) + fleet.held(b), 1024);
});

for (const fault of ['unknown', 'unknownApplied', 'unavailable'] as const) {
  t.test(`claims that end ${fault} are read and decided; every shard is owned`, async (t) => {
    const fleet = new Fleet();
    const a = await fleet.node('a');
    const seen = new Set<unknown>();
    fleet.fault = (_node, name, args) => {
      if (name !== 'claim' || seen.has(args[0])) return undefined;
      seen.add(args[0]);
      return fault;
    };
    const startedMonoMs = fleet.clock.monoMs();
    await fleet.follow();
    t.ok(fleet.clock.monoMs() - startedMonoMs < 3000);
    t.same(await fleet.disowned(), []);
    t.same(fleet.forks(), []);
    t.equal(fleet.held(a), 1024);
  });
}

t.test(
  'a store that is away while shards are taken: they are polled, and claimed later',
  async (t) => {
    const { fleet, nodes } = await fleetOf('a', 'b');
    const [a, b] = nodes as [FleetNode, FleetNode];
    const key = keyWhere(heldBy(a));
    await fleet.run(a.host.decisions.commit(key, [configRow('c1', 1)]));
    let isDown = true;
    fleet.fault = (node, name) =>
      isDown && node === b && name === 'claim' ? 'unavailable' : undefined;
    fleet.kill(a);
    fleet.remove(a);
    b.host.follow(fleet.view);
    await fleet.clock.advance(60_000);
    t.ok(b.actors.has(key));
    t.equal(b.host.mayAct(key), true, 'polled all the time');
    t.ok((b.counts.get('claims_failed CL_CLAIM_FAILED') ?? 0) > 0);
    t.notOk(b.opened.has(key));
    isDown = false;
    await fleet.settled();
    t.same(await fleet.disowned(), []);
    t.same(b.lost, []);
  },
);

t.test('an epoch above the view tells that the view is old; nothing is taken by it', async (t) => {
  const { fleet, nodes } = await fleetOf('a', 'b');
  const [a, b] = nodes as [FleetNode, FleetNode];
  const old = fleet.view;
  fleet.kill(a);
  fleet.remove(a);
  fleet.view = withVersion(fleet.view);
  const c = await fleet.node('c');
  await fleet.follow([c]);
  t.ok(fleet.held(c) > 0);
  const held = fleet.held(c);
  // `b` learns of the death alone, by a view that somebody made up from an old copy.
  b.host.follow({ ...old, version: old.version + 1, members: new Map([...old.members].slice(1)) });
  await fleet.settled([b]);
  t.ok(b.stale.length > 0);
  t.equal(fleet.held(c), held);
  await fleet.follow();
  t.same(await fleet.disowned(), []);
  t.same(fleet.forks(), []);
});

t.test('a claim that lands late is adopted, whatever the view says by then', async (t) => {
  const { fleet, nodes } = await fleetOf('a', 'b');
  const [a, b] = nodes as [FleetNode, FleetNode];
  const shard = shardOf(keyWhere(heldBy(b)));
  b.host.fence();
  t.equal(fleet.held(b), 0);
  t.equal(b.lost.length, b.counts.get('shards_lost'));
  // The process goes on as another incarnation, and the row names it already.
  const { epoch: seen, owner: was, tsBase } = await fleet.base.authority.readHead(shard);
  const late = { seen, was, epoch: epoch(seen + 1), owner: 'b/again', tsBase };
  await fleet.base.authority.claim(shard, late);
  b.host.rejoin('again');
  const { members } = fleet.view;
  const again = { ...members.get('b' as never), incarnation: 'again' } as never;
  fleet.view = { ...fleet.view, version: 9, members: new Map([...members, ['b' as never, again]]) };
  await fleet.follow();
  t.match(b.host.directory.lookup(shard), { local: true, epoch: seen + 1 });
  t.equal(fleet.held(a) + fleet.held(b), 1024);
});

t.test("what a head row shows as another's is given up; what is nobody's is found", async (t) => {
  const { fleet, nodes } = await fleetOf('a', 'b');
  const [a, b] = nodes as [FleetNode, FleetNode];
  const [mine, other] = [shardOf(keyWhere(heldBy(a))), shardOf(keyWhere(heldBy(b)))];
  const take = async (shard: ShardId, owner: string) => {
    const { epoch: seen, owner: was, tsBase } = await fleet.base.authority.readHead(shard);
    const claim = { seen, was, epoch: epoch(seen + 1), owner, tsBase };
    await fleet.base.authority.claim(shard, claim);
  };
  await take(mine, b.owner);
  await take(other, a.owner);
  await fleet.clock.advance(40_000);
  await fleet.settled();
  t.same(a.lost, [mine], 'found without a commit');
  t.same(b.lost, [other]);
  t.same(await fleet.disowned(), [], 'and each adopts what the row says is its own');
  t.same(
    a.host.misplaced().map(({ shard }) => shard),
    [other],
  );
  t.match(b.host.directory.lookup(other), { node: 'a', epoch: 3 });
});

t.test(
  'a shard that the view takes away is kept; a view without this incarnation fences',
  async (t) => {
    const fleet = new Fleet();
    const a = await fleet.node('a');
    await fleet.follow();
    t.equal(fleet.held(a), 1024);
    const b = await fleet.node('b');
    await fleet.follow();
    t.equal(fleet.held(a), 1024, 'a map is no hand-off');
    t.equal(fleet.held(b), 0);
    t.ok(a.host.misplaced().length > 400);
    t.match(b.host.directory.lookup(a.host.misplaced()[0]?.shard as ShardId), { node: 'a' });
    const key = keyWhere(heldBy(a));
    const asked: string[] = [];
    fleet.fault = (node, name) => {
      if (node === a && fenced) asked.push(name);
      return undefined;
    };
    let fenced = false;
    a.host.softStates.changed(key, true, () => ({ seq: 0, body: 1 }));
    fleet.remove(a);
    a.host.follow(fleet.view);
    fenced = true;
    t.equal(fleet.held(a), 0);
    t.equal(a.host.mayAct(key), false);
    t.equal(await codeOf(a.host.decisions.commit(key, [configRow('c1', 1)])), 'RT_NOT_OWNER');
    await fleet.clock.advance(20_000);
    t.same(asked, [], 'C10: nothing is asked of the store any more');
    await fleet.follow([b]);
    t.equal(fleet.held(b), 1024);
  },
);

t.test('10,000 actors are polled within 150 ms of a death, at 8 ms a request', async (t) => {
  const { fleet, nodes } = await fleetOf('a', 'b', 'c');
  const [a] = nodes as [FleetNode];
  const shards = [...Array(1024).keys()].filter((shard) => heldBy(a)(shard as ShardId));
  for (const shard of shards) {
    const rows = Array.from({ length: 10 }, (_, at) => ({
      ...{ key: `t1/en-${shard}-${at}` as ActorKey, kind: 1 as const, id: 'ch', rev: 1 },
      body: encoded,
    }));
    await fleet.base.states.putDocuments(shard as ShardId, Number.MAX_SAFE_INTEGER - 5, rows);
  }
  fleet.fault = (node) => later(fleet, node.isDead ? 0 : 8);
  fleet.kill(a);
  fleet.remove(a);
  const startedMonoMs = fleet.clock.monoMs();
  for (const { host, isDead } of nodes) if (!isDead) host.follow(fleet.view);
  const polled = (): number => nodes.reduce((sum, node) => sum + node.actors.size, 0);
  while (polled() < shards.length * 10 && fleet.clock.monoMs() - startedMonoMs < 1000) {
    await fleet.clock.advance(2);
  }
  const tookMs = fleet.clock.monoMs() - startedMonoMs;
  t.ok(tookMs <= 150, `${polled()} actors in ${tookMs} ms`);
  await fleet.settled();
  t.same(await fleet.disowned(), []);
});

function later(fleet: Fleet, ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    fleet.clock.schedule(fleet.clock.monoMs() + ms, () => resolve(undefined));
  });
}

const { encodeValue } = await import('../../runtime/codec.ts');
const encoded = encodeValue({ doc: { id: 'ch' }, madeBy: 1, last: null });

/** Another key of the same shard. */
function keyLike(shard: ShardId, not: ActorKey): ActorKey {
  let found = 0;
  return keyWhere((other) => other === shard && found++ > 0) ?? not;
}

t.test('what a dead node had been given by another is taken at once, too', async (t) => {
  const fleet = new Fleet();
  await fleet.node('c');
  await fleet.follow();
  const b = await fleet.node('b');
  const a = await fleet.node('a');
  await fleet.follow();
  const without = withoutMember(fleet.view, nodeId('b'), b.owner.slice(2), { atMs: 0 });
  const [now, then] = [placementOf(fleet.view), placementOf(without)];
  const shard = now.findIndex((to, at) => to === 'b' && then[at] === 'a') as ShardId;
  await fleet.clock.advance(33_000);
  t.match(a.host.directory.lookup(shard), { node: 'c' }, 'who had it when it was looked at');
  const { epoch: seen, owner: was, tsBase } = await fleet.base.authority.readHead(shard);
  const claim = { seen, was, epoch: epoch(fleet.view.version), owner: b.owner, tsBase };
  await fleet.base.authority.claim(shard, claim);
  fleet.kill(b);
  fleet.remove(b);
  await fleet.follow();
  await fleet.clock.advance(500);
  await fleet.settled();
  t.equal((await fleet.base.authority.readHead(shard)).owner, a.owner);
});
