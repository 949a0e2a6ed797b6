// Routing: local and remote asks and tells, retries until the deadline, execution once per correlation id.
import t from 'tap';
import type { Directory, Transport } from '../../runtime/cluster-ports.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { type ActorKey, actorKey, epoch, type ShardId, shardOf } from '../../runtime/ids.ts';
import { dedupLimits } from '../../runtime/limits.ts';
import type { Message } from '../../runtime/message.ts';
import { createRouter, type Router } from '../../runtime/router.ts';
import { seededRandom, settle } from '../clock.ts';
import { commit, type World, world } from './harness.ts';

const here = actorKey('acme/web');
const there = actorKey('acme/db');

/** Transports by node name; frames arrive with the next turn of the event loop, unless they are lost. */
class Wires {
  readonly frames: { from: string; to: string; bytes: Uint8Array }[] = [];
  lose = 0;
  readonly #listeners = new Map<string, (from: string, frame: Uint8Array) => void>();

  transport(node: string): Transport {
    return {
      send: (to, bytes) => {
        this.frames.push({ from: node, to, bytes });
        if (this.lose-- > 0) return;
        setImmediate(() => this.#listeners.get(to)?.(node, bytes));
      },
      onFrame: (listener) => this.#listeners.set(node, listener),
      close: async () => undefined,
    };
  }

  deliver(to: string, bytes: Uint8Array): void {
    this.#listeners.get(to)?.('x', bytes);
  }
}

class Places implements Directory {
  readonly #owners = new Map<ShardId, string>();
  readonly #node: string;

  constructor(node: string) {
    this.#node = node;
  }

  put(key: ActorKey, node: string | null): void {
    if (node === null) this.#owners.delete(shardOf(key));
    else this.#owners.set(shardOf(key), node);
  }

  lookup(shard: ShardId) {
    const node = this.#owners.get(shard);
    return node === undefined ? null : { node, local: node === this.#node, epoch: epoch(1) };
  }

  observe(shard: ShardId, node: string): void {
    this.#owners.set(shard, node);
  }
}

interface Node extends World {
  readonly router: Router;
  readonly places: Places;
}

function node(name: string, wires: Wires | null = null, simulateRemote = false): Node {
  const w = world();
  w.autoAck = true;
  const places = new Places(name);
  places.put(here, name);
  const router = createRouter({
    node: name,
    catalog: w.catalog,
    directory: places,
    transport: wires?.transport(name) ?? null,
    clock: w.clock,
    timers: w.ports.timers,
    random: seededRandom(name.length),
    logger: w.ports.logger,
    meter: w.meter,
    simulateRemote,
  });
  return Object.assign(w, { router, places });
}

/** Two nodes: `a` owns `here`, `b` owns `there`. */
function pair(): { a: Node; b: Node; wires: Wires } {
  const wires = new Wires();
  const [a, b] = [node('a', wires), node('b', wires)];
  for (const one of [a, b]) {
    one.places.put(here, 'a');
    one.places.put(there, 'b');
  }
  return { a, b, wires };
}

const add = (value: number, more: object = {}): Message =>
  ({ kind: 'do', value, ...more }) as Message;
const get = { kind: 'get' } as Message;

t.test('an ask of a local actor resolves with its reply and leaves nothing behind', async (t) => {
  const a = node('a');
  t.equal(await a.router.ask(here, add(1)), 1);
  t.match(await a.router.ask(here, get), { values: [1] });
  await t.rejects(a.router.ask(here, { kind: 'throw' }), { code: 'RT_STEP_FAILED' });
  t.equal(a.router.pending, 0);
});

t.test('simulateRemote finds a message and a reply that could not travel', async (t) => {
  const a = node('a', null, true);
  t.equal(await a.router.ask(here, add(1)), 1);
  await t.rejects(a.router.ask(here, { kind: 'do', value: new Map() } as unknown as Message), {
    code: 'RT_DECODE',
  });
  a.router.tell(here, { kind: 'do', value: new Map() } as unknown as Message);
  t.equal(a.meter.counted('tells_dropped', 'not_sent'), 1);
  const plain = node('a');
  t.equal(await plain.router.ask(here, add(1, { extra: new Map() })), 1, 'else nobody looks');
  t.equal(a.router.pending, 0);
});

t.test('an ask of a remote actor goes and comes back as frames, errors included', async (t) => {
  const { a, b, wires } = pair();
  t.equal(await a.router.ask(there, add(4)), 1);
  t.equal(wires.frames.length, 2);
  t.match(b.catalog.describe(there), { phase: 'active' });
  t.equal(a.catalog.describe(there), null);
  await t.rejects(a.router.ask(there, { kind: 'throw' }), {
    name: 'TocsinError',
    code: 'RT_STEP_FAILED',
    retryable: false,
  });
  await b.clock.advance(300);
  a.router.tell(there, add(5));
  await settle();
  t.match(await b.router.ask(there, get), { values: [4, 5] });
  t.equal(a.router.pending, 0);
});

t.test('an unanswered ask ends at its deadline, by default after 5 s', async (t) => {
  const { a, wires } = pair();
  wires.lose = 100;
  const short = a.router.ask(there, get, { timeoutMs: 100 });
  const usual = a.router.ask(there, get);
  let ended = '';
  short.catch(() => {
    ended += 'short ';
  });
  usual.catch(() => {
    ended += 'usual';
  });
  await a.clock.advance(99);
  t.equal(ended, '');
  await a.clock.advance(2);
  t.equal(ended, 'short ');
  await a.clock.advance(4900);
  await t.rejects(short, { code: 'RT_DEADLINE', retryable: true });
  await t.rejects(usual, { code: 'RT_DEADLINE' });
  t.equal(a.meter.counted('asks_expired'), 2);
});

t.test(
  'an ask waits for an owner, with pauses from 10 to 200 ms, and says so at its deadline',
  async (t) => {
    const a = node('a');
    a.places.put(here, null);
    const answer = a.router.ask(here, add(1));
    await a.clock.advance(1000);
    t.equal(a.router.pending, 1);
    a.places.put(here, 'a');
    await a.clock.advance(250);
    t.equal(await answer, 1);
    a.places.put(here, null);
    const hopeless = a.router.ask(here, add(1), { timeoutMs: 500 });
    const refused = t.rejects(hopeless, { code: 'RT_NOT_OWNER' });
    await a.clock.advance(600);
    await refused;
    a.router.tell(here, add(1));
    t.equal(a.meter.counted('tells_dropped', 'no_owner'), 1);
    t.equal(a.ports.timers.size, 0);
  },
);

t.test('a stale sender is told, and finds the new owner with the same question', async (t) => {
  const { a, b } = pair();
  a.places.put(there, 'b');
  b.places.put(there, null);
  const answer = a.router.ask(there, add(1));
  await settle();
  t.equal(b.catalog.describe(there), null);
  a.places.put(there, 'a');
  await a.clock.advance(50);
  t.equal(await answer, 1);
  t.match(a.catalog.describe(there), { phase: 'active' });
  a.places.put(there, 'b');
  a.router.tell(there, add(2));
  await settle();
  t.equal(b.meter.counted('tells_dropped', 'not_owner'), 1);
});

t.test(
  'a question asked again with its id is executed once, while and after it is under way',
  async (t) => {
    const { a, b } = pair();
    b.autoAck = false;
    const how = { corr: 'create 7' };
    const first = a.router.ask(there, add(1, { effects: [commit] }), how);
    await settle();
    const second = a.router.ask(there, add(1, { effects: [commit] }), how);
    await settle();
    t.equal(b.commits.length, 1);
    b.commits[0]?.ack();
    t.strictSame(await Promise.all([first, second]), [1, 1]);
    t.equal(await b.router.ask(there, add(1), how), 1, 'asked of another node too');
    t.match(await b.router.ask(there, get), { values: [1] });
    await b.clock.advance(dedupLimits.keepMs + 1);
    t.equal(await a.router.ask(there, add(1), how), 2, 'it is forgotten after 30 s');
  },
);

t.test('a lost frame is sent again, and the question is executed once', async (t) => {
  const { a, b, wires } = pair();
  wires.lose = 1;
  const answer = a.router.ask(there, add(1));
  await a.clock.advance(600);
  t.equal(await answer, 1);
  t.match(await b.router.ask(there, get), { values: [1] });
  wires.lose = 0;
  const slow = a.router.ask(there, add(2, { effects: [commit] }));
  b.autoAck = false;
  await a.clock.advance(2000);
  b.commits[0]?.ack();
  await settle();
  t.equal(await slow, 2);
  t.match(await b.router.ask(there, get), { values: [1, 2] });
  t.equal(a.ports.timers.size, 0);
});

t.test('a node that lost an actor says who has it, and the asker goes there at once', async (t) => {
  const { a, b, wires } = pair();
  const c = node('c', wires);
  for (const places of [b.places, c.places]) places.put(there, 'c');
  const answer = a.router.ask(there, add(1));
  await a.clock.advance(10);
  t.equal(await answer, 1);
  t.match(c.catalog.describe(there), { phase: 'active' });
  t.equal(a.places.lookup(shardOf(there))?.node, 'c', 'the directory has learned it');
  a.places.put(there, 'b');
  a.router.tell(there, add(2));
  await settle();
  t.match(await c.router.ask(there, get), { values: [1, 2] }, 'a tell is forwarded');
  a.places.put(there, 'gone');
  const stuck = a.router.ask(there, get);
  await settle();
  a.places.put(there, 'c');
  a.router.nodeGone('gone');
  await a.clock.advance(20);
  t.match(await stuck, { values: [1, 2] });
});

t.test('nodes are asked themselves; those that do not answer are named', async (t) => {
  const { a, b } = pair();
  const heard: string[] = [];
  for (const one of [a, b]) {
    one.router.serve('ping', async (message, from) => {
      heard.push(from);
      return { got: (message as { value?: number }).value };
    });
  }
  b.router.serve('fail', () => {
    throw new TocsinError('RT_STEP_FAILED', 'no');
  });
  const message = { kind: 'ping', value: 7 } as Message;
  t.same(await a.router.askNode('b', message), { got: 7 });
  const asked = a.router.askNodes(['a', 'b', 'x'], message, { timeoutMs: 1000 });
  await a.clock.advance(1100);
  const { answers, silent } = await asked;
  t.same([...answers.keys()].sort(), ['a', 'b']);
  t.same(silent, ['x']);
  await t.rejects(a.router.askNode('b', { kind: 'fail' }), { code: 'RT_STEP_FAILED' });
  a.router.tellNode('b', message);
  await settle();
  t.same(heard, ['a', 'a', 'a', 'a']);
});

t.test('an outcome that changed nothing is not repeated: the retry is executed', async (t) => {
  const a = node('a');
  a.autoAck = false;
  const how = { corr: 'x' };
  const failing = a.router.ask(here, add(1, { effects: [commit] }), how);
  await settle();
  a.commits[0]?.fail(new TocsinError('RT_COMMIT_FAILED', 'no answer', { retryable: true }));
  await t.rejects(failing, { code: 'RT_COMMIT_FAILED' });
  await a.clock.advance(500);
  a.autoAck = true;
  t.equal(await a.router.ask(here, add(1, { effects: [commit] }), how), 1);
});

t.test('a reply that cannot travel becomes an error, and broken frames are counted', async (t) => {
  const { a, b, wires } = pair();
  b.ports.documents.set('acme', 1, new Map());
  await t.rejects(a.router.ask(there, get), { code: 'RT_DECODE' });
  wires.deliver('b', Uint8Array.from([1, 2, 3]));
  t.equal(b.meter.counted('decode_rejected', 'frame'), 1);
});

t.test('a stopping router refuses what is under way and what comes', async (t) => {
  const { a, b } = pair();
  b.autoAck = false;
  const pending = a.router.ask(there, add(1, { effects: [commit] }));
  const refused = t.rejects(pending, { code: 'RT_NOT_READY' });
  await settle();
  a.router.stop();
  await refused;
  await t.rejects(a.router.ask(here, get), { code: 'RT_NOT_READY' });
  t.equal(a.router.pending, 0);
  t.equal(a.ports.timers.size, 0);
});
