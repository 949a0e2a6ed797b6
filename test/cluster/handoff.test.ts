// Planned hand-off between whole nodes (host, catalog, router, entity actors that poll): no slot is missed, nothing that was
// committed is lost, and whatever fails on the way, exactly one node owns the shard afterwards.
import t from 'tap';
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { entityBehaviour } from '../../actors/entity/entity.ts';
import { tenantBehaviour } from '../../actors/tenant/tenant.ts';
import { tenantLimits } from '../../api/tenant-limits.ts';
import type { HandOffs } from '../../cluster/host.ts';
import { withState, withVersion } from '../../cluster/view.ts';
import { type Catalog, createCatalog } from '../../runtime/catalog.ts';
import { decodeFrame, decodeValue, encodeValue } from '../../runtime/codec.ts';
import { DocumentsCache } from '../../runtime/documents.ts';
import { documentKinds } from '../../runtime/effect.ts';
import { type ActorKey, actorKey, entityOf, epoch, nodeId, shardOf } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import type { ProbeLink, TickRow } from '../../runtime/ports.ts';
import { createRouter, type Router } from '../../runtime/router.ts';
import { timerWheel } from '../../runtime/timers.ts';
import { seededRandom } from '../clock.ts';
import { Fleet, type FleetNode } from './fleet.ts';

t.setTimeout(180_000);

const periodMs = 10_000;
const limits = tenantLimits('open', { cores: 2, memoryBytes: 2 ** 32 });

interface Cell {
  readonly node: FleetNode;
  readonly catalog: Catalog;
  readonly router: Router;
  readonly handOffs: HandOffs;
  readonly polls: { key: string; slotAtMs: number; atMs: number }[];
}

/** A fleet whose nodes are whole. */
class Cells extends Fleet {
  readonly cells = new Map<string, Cell>();
  /** Returns true: the frame is lost. */
  loses: (from: string, to: string, kind: string) => boolean = () => false;
  readonly #listeners = new Map<string, (from: string, frame: Uint8Array) => void>();
  bumps = 0;

  async cell(name: string): Promise<Cell> {
    const polls: Cell['polls'] = [];
    const random = seededRandom(name.charCodeAt(0));
    let catalog: Catalog | null = null;
    const node = await this.node(name, {
      onOpen: (key, loaded) => catalog?.open(key, loaded),
      onLost: (shard) => void catalog?.dropShards(new Set([shard])),
      retryDelayMs: () => 1000,
    });
    const { host } = node;
    const quiet = (): void => undefined;
    const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const meter = {
      count: (what: string, by: number, label = '') => {
        const place = `${what} ${label}`.trim();
        node.counts.set(place, (node.counts.get(place) ?? 0) + by);
      },
      gauge: quiet,
    };
    const clock = this.clock;
    const timers = timerWheel({ clock, meter });
    const entity = entityBehaviour({
      ...{ zones: [{ id: 'mz' }], minPeriodMs: 1000, qualifiedNames: false },
      ...{ supportedTypes: new Set(['remote.tcp']), channelTypes: new Set(['webhook']) },
      ...{ clusterName: 'tocsin', nodeName: name },
    });
    const tenant = tenantBehaviour({ limits });
    const documents = new DocumentsCache();
    documents.set('t1', 1, { plans: new Map(), notifications: new Map(), suppressions: new Map() });
    const probes: ProbeLink<unknown, unknown> = {
      submit: (request, done) => this.#probe(node, polls, request as ProbeRequest, done),
    };
    const made: Catalog = createCatalog({
      behaviourOf: (key) => (entityOf(key) === null ? tenant : entity),
      load: (key) => host.load(key),
      reload: (key) => host.reload(key),
      ports: {
        ...{ clock, random, logger, meter, timers, probes, documents },
        ...{ decisions: host.decisions, softStates: host.softStates, ticks: host.ticks },
        mayAct: (key) => host.mayAct(key),
        epochOf: (key) => host.directory.lookup(shardOf(key))?.epoch ?? epoch(0),
        send: (to, message) => router.tell(to, message, 'system'),
        publishDocuments: () => undefined,
      },
    });
    catalog = made;
    const router: Router = createRouter({
      ...{
        node: name,
        catalog: made,
        directory: host.directory,
        clock,
        timers,
        random,
        logger,
        meter,
      },
      transport: {
        send: (to, frame) => this.#send(node, to, frame),
        onFrame: (listener) => this.#listeners.set(name, listener),
        close: async () => undefined,
      },
    });
    const handOffs = host.handOffs({
      link: router,
      actors: made,
      bumpVersion: async () => {
        this.bumps++;
        this.view = withVersion(this.view);
        for (const one of this.nodes) if (!one.isDead) one.host.follow(this.view);
        return this.view.version;
      },
    });
    node.actors.set = (key, loaded) => {
      made.activate(key, loaded, 'closed');
      return Map.prototype.set.call(node.actors, key, loaded) as typeof node.actors;
    };
    const cell = { node, catalog: made, router, handOffs, polls };
    this.cells.set(name, cell);
    return cell;
  }

  #send(node: FleetNode, to: string, frame: Uint8Array): void {
    const decoded = decodeFrame(frame, 0);
    const kind = decoded.type === 'envelope' ? decoded.envelope.message.kind : 'reply';
    if (node.isDead || this.loses(node.name, to, kind)) return;
    this.clock.schedule(this.clock.monoMs() + 1, () => {
      const isDead = this.cells.get(to)?.node.isDead ?? true;
      if (!isDead) this.#listeners.get(to)?.(node.name, frame);
    });
  }

  #probe(
    node: FleetNode,
    polls: Cell['polls'],
    request: ProbeRequest,
    done: (answer: ProbeAnswer) => void,
  ): void {
    if (node.isDead) return;
    const [key = '', , , slot = '0'] = request.id.split('|');
    polls.push({ key, slotAtMs: Number(slot), atMs: this.clock.nowMs() });
    const startedAtMs = this.clock.nowMs();
    this.clock.schedule(this.clock.monoMs() + 300, () => {
      if (node.isDead) return;
      done({
        ...{ id: request.id, outcome: 'observed', startedAtMs, durationMs: 300, available: true },
        ...{ status: 'ok', errorClass: null, metrics: [], address: null, debugInfo: null },
      } as ProbeAnswer);
    });
  }
}

const keys = Array.from({ length: 40 }, (_, at) => actorKey(`t1/en${at}`));

/** Entities with one check each, stored before any node starts. */
async function store(cells: Cells): Promise<void> {
  for (const key of keys) {
    const id = entityOf(key) as string;
    const times = { created_at: 1, updated_at: 1 };
    const entity = {
      ...{ id, label: id, ip_addresses: { default: '127.0.0.1' }, metadata: {}, managed: false },
      ...{ uri: null, agent_id: null, ...times },
    };
    const check = {
      ...{ id: 'ch', label: 'ch', type: 'remote.tcp', details: { port: 1 }, disabled: false },
      ...{ monitoring_zones_poll: ['mz'], timeout: 5, period: periodMs / 1000 },
      ...{
        target_alias: 'default',
        target_hostname: null,
        target_resolver: null,
        metadata: {},
        ...times,
      },
    };
    const row = (kind: number, own: string, doc: object) => ({
      ...{ key, kind: kind as 0 | 1, id: own, rev: 1 },
      body: encodeValue({ doc, madeBy: 1, last: null }),
    });
    await cells.base.states.putDocuments(shardOf(key), 1, [
      row(documentKinds.entity, id, entity),
      row(documentKinds.check, 'ch', check),
    ]);
  }
}

/** `mine`: a key that the map leaves with `a`; `theirs`: one that it gives to `b`, which is too young for it. */
async function pair(): Promise<{
  cells: Cells;
  a: Cell;
  b: Cell;
  mine: ActorKey;
  theirs: ActorKey;
}> {
  const cells = new Cells();
  await store(cells);
  const a = await cells.cell('a');
  await cells.follow();
  const b = await cells.cell('b');
  await cells.follow();
  await cells.clock.advance(2 * periodMs);
  const moving = new Set(a.node.host.misplaced().map(({ shard }) => shard));
  const isMoving = (key: ActorKey): boolean => moving.has(shardOf(key));
  const mine = keys.find((key) => !isMoving(key)) as ActorKey;
  return { cells, a, b, mine, theirs: keys.find(isMoving) as ActorKey };
}

/** The slots of a check as they are stored: outcome by slot. */
async function slotsOf(cells: Cells, key: ActorKey): Promise<{ slotAtMs: number; code: number }[]> {
  const query = { shard: shardOf(key), key, check: 'ch', fromMs: 0, toMs: 4e12, limit: 1000 };
  const rows: readonly TickRow[] = await cells.base.samples.readTicks(query);
  return rows.map(({ slotAtMs, value }) => ({
    slotAtMs,
    code: (decodeValue(value) as number[])[0] as number,
  }));
}

/** Every slot since the first ended as *ran*, each one once a period. */
async function missed(cells: Cells): Promise<string[]> {
  const wrong: string[] = [];
  for (const key of keys) {
    const slots = await slotsOf(cells, key);
    for (const [at, { slotAtMs, code }] of slots.entries()) {
      const before = slots[at - 1];
      const isGap = before !== undefined && slotAtMs - before.slotAtMs !== periodMs;
      if (code !== 1 || isGap) wrong.push(`${key} slot ${slotAtMs} code ${code} gap ${isGap}`);
    }
    const last = slots.at(-1)?.slotAtMs ?? 0;
    if (cells.clock.nowMs() - last > 1.2 * periodMs) wrong.push(`${key} ends at ${last}`);
  }
  return wrong;
}

const live = { kind: 'check.list' } as Message;

t.test('a join is rebalanced by hand-offs: no slot is missed, every shard is owned', async (t) => {
  const { cells, a, b } = await pair();
  t.equal(cells.held(b.node), 0, 'a young member gets nothing yet');
  await cells.clock.advance(120_000);
  const { misplaced } = a.node.host;
  t.same(misplaced.call(a.node.host), []);
  t.ok(cells.held(b.node) > 400);
  t.same(await cells.disowned(), []);
  t.same(cells.forks(), []);
  await cells.clock.advance(2 * periodMs);
  t.same(await missed(cells), []);
  const moved = keys.filter((key) => b.catalog.describe(key) !== null);
  t.ok(moved.length > 5 && moved.every((key) => a.catalog.describe(key) === null));
  const [key] = moved as [ActorKey];
  t.match(await cells.run(a.router.ask(key, live)), { ok: true }, 'asked of the new owner');
  t.equal(a.node.counts.get('shards_lost'), undefined);
});

t.test('a drain moves everything within 25 s and misses no slot', async (t) => {
  const { cells, a, b } = await pair();
  cells.view = withState(cells.view, nodeId('a'), a.node.owner.split('/')[1] as string, 'draining');
  await cells.follow();
  const startedMonoMs = cells.clock.monoMs();
  t.equal(await cells.run(a.handOffs.drained()), true);
  const tookMs = cells.clock.monoMs() - startedMonoMs;
  t.ok(tookMs < 25_000, `1024 shards in ${tookMs} ms`);
  t.equal(cells.held(a.node), 0);
  t.same(await cells.disowned(), []);
  await cells.clock.advance(3 * periodMs);
  t.same(await missed(cells), []);
  t.same(cells.forks(), []);
  t.ok(b.catalog.counts().activations >= keys.length);
});

for (const [what, kind, reply] of [
  ['the question to prepare is lost', 'handoff.prepare', false],
  ['the final seq is lost', 'handoff.cut', false],
  ['the report is lost', 'handoff.cut', true],
] as const) {
  t.test(`${what}: one of the two goes on, nothing is missed`, async (t) => {
    const { cells, a, b, mine, theirs } = await pair();
    const key = reply ? theirs : mine;
    let isCut = false;
    cells.loses = (from, _to, sent) => {
      isCut ||= sent === kind && from === 'a';
      return reply ? isCut && from === 'b' : sent === kind;
    };
    const outcome = await cells.run(a.handOffs.move(shardOf(key), nodeId('b')));
    t.equal(outcome, reply ? 'moved' : 'kept', 'the head row decides');
    cells.loses = () => false;
    await cells.clock.advance(3 * periodMs);
    t.same(await missed(cells), []);
    t.same(cells.forks(), []);
    const holders = [a, b].filter(({ catalog }) => catalog.describe(key) !== null);
    t.same(
      holders.map(({ node }) => node.name),
      [reply ? 'b' : 'a'],
    );
    t.match(await cells.run(b.router.ask(key, live)), { ok: true });
    const head = await cells.base.authority.readHead(shardOf(key));
    t.equal(head.owner, holders[0]?.node.owner);
  });
}

t.test("a claim of the receiver that is slow is overtaken by the giver's own", async (t) => {
  const { cells, a, b, mine: key } = await pair();
  cells.fault = (node, name, args) =>
    node === b.node && name === 'claim' && args[0] === shardOf(key)
      ? later(cells, 4000)
      : undefined;
  t.equal(await cells.run(a.handOffs.move(shardOf(key), nodeId('b'))), 'kept');
  cells.fault = () => undefined;
  await cells.clock.advance(3 * periodMs);
  t.equal(b.catalog.describe(key), null, 'its actors are dropped again');
  t.same(await missed(cells), []);
  t.same(cells.forks(), []);
  const head = await cells.base.authority.readHead(shardOf(key));
  t.equal(head.owner, a.node.owner);
  t.match(a.node.host.directory.lookup(shardOf(key)), { local: true, epoch: head.epoch });
  const rename = { kind: 'entity.update', attributes: { label: 'new' }, change: changeOf('x') };
  t.match(await cells.run(a.router.ask(key, rename as Message)), { ok: true }, 'and it commits');
});

t.test('a commit in doubt at the cut gives the move up', async (t) => {
  const { cells, a, mine: key } = await pair();
  let isDown = true;
  cells.fault = (node, name) => {
    if (node !== a.node || !isDown) return undefined;
    if (name === 'commit') return 'unknownApplied';
    return name === 'readHead' ? 'unavailable' : undefined;
  };
  const rename = { kind: 'entity.update', attributes: { label: 'new' }, change: changeOf('y') };
  const asked = a.router.ask(key, rename as Message, { timeoutMs: 60_000 });
  await cells.clock.advance(100);
  t.equal(await cells.run(a.handOffs.move(shardOf(key), nodeId('b'))), 'kept');
  isDown = false;
  t.match(await cells.run(asked), { ok: true }, 'and is acknowledged once it is known');
  t.equal(await cells.run(a.handOffs.move(shardOf(key), nodeId('b'))), 'moved');
  t.same(cells.forks(), []);
});

t.test(
  "a giver that dies between cut and claim: the receiver or the view's heir owns it",
  async (t) => {
    const { cells, a, b } = await pair();
    const key = keys[0] as ActorKey;
    cells.fault = (node, name, args) => {
      if (node !== b.node || name !== 'claim' || args[0] !== shardOf(key)) return undefined;
      cells.kill(a.node);
      return later(cells, 500);
    };
    void a.handOffs.move(shardOf(key), nodeId('b'));
    await cells.clock.advance(1000);
    cells.fault = () => undefined;
    cells.remove(a.node);
    await cells.follow();
    t.same(await cells.disowned(), []);
    t.same(cells.forks(), []);
    t.equal(cells.held(b.node), 1024);
  },
);

t.test(
  'a receiver that dies after its claim: the giver gives it up, the next view finds it',
  async (t) => {
    const { cells, a, b } = await pair();
    const key = keys[0] as ActorKey;
    cells.loses = (from, _to, kind) => {
      if (from !== 'b' || kind !== 'reply' || cells.claims.at(-1)?.by !== b.node.owner)
        return false;
      cells.kill(b.node);
      return true;
    };
    t.equal(await cells.run(a.handOffs.move(shardOf(key), nodeId('b'))), 'moved');
    cells.remove(b.node);
    await cells.follow();
    t.same(await cells.disowned(), []);
    await cells.clock.advance(2 * periodMs);
    t.match(await cells.run(a.router.ask(key, live)), { ok: true });
    t.same(cells.forks(), []);
  },
);

t.test(
  'a giver that is fenced in the middle drops everything, and says nothing more',
  async (t) => {
    const { cells, a, b, mine } = await pair();

    cells.loses = (from, _to, kind) => {
      if (from === 'a' && kind === 'handoff.cut') a.node.host.fence();
      return false;
    };
    t.equal(await cells.run(a.handOffs.move(shardOf(mine), nodeId('b'))), 'lost');
    t.equal(cells.held(a.node), 0);
    cells.remove(a.node);
    await cells.follow([b.node]);
    t.equal(cells.held(b.node), 1024);
    t.same(cells.forks(), []);
  },
);

function later(cells: Cells, ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    cells.clock.schedule(cells.clock.monoMs() + ms, () => resolve(undefined));
  });
}

function changeOf(txnId: string): object {
  const audit = { method: 'PUT', url: '/', app: 'v1.0', query: null, headers: {}, payload: '' };
  return { txnId, who: 'w', why: null, idempotencyKey: null, requestHash: 'r', audit };
}
