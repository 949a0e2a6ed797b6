// Messages, steps and asks a second through the actor runtime, and what an actor at rest costs. One JSON line per case.
// Run: node --expose-gc --import tsx bench/mailbox.ts
import type { Behaviour, LoadedActor } from '../runtime/behaviour.ts';
import { createCatalog } from '../runtime/catalog.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { DocumentsCache } from '../runtime/documents.ts';
import { type ActorKey, actorKey, epoch } from '../runtime/ids.ts';
import { createLogger } from '../runtime/log.ts';
import { Mailbox, systemDelivery } from '../runtime/mailbox.ts';
import type { Message } from '../runtime/message.ts';
import { createMeter } from '../runtime/meter.ts';
import type { ActivationPorts } from '../runtime/perform.ts';
import { createRouter } from '../runtime/router.ts';
import { timerWheel } from '../runtime/timers.ts';

const clock = systemClock();
const empty: LoadedActor = { documents: [], soft: null, tail: [] };
const ping: Message = { kind: 'ping' };

const counter: Behaviour<number, Message, unknown> = {
  kind: 'counter',
  version: 1,
  init: () => ({ state: 0, effects: [] }),
  step: (state) => ({ state: state + 1, reply: state, effects: [] }),
  snapshot: () => null,
  isQuery: () => false,
};

function print(name: string, result: Record<string, number>): void {
  console.log(JSON.stringify({ bench: name, ...result }));
}

function ports(): ActivationPorts {
  const meter = createMeter();
  return {
    clock,
    meter,
    random: systemRandom(),
    logger: createLogger({ level: 'silent' }),
    timers: timerWheel({ clock, meter }),
    documents: new DocumentsCache(),
    decisions: { commit: async () => ({ lastSeq: 1 }) },
    softStates: { changed: () => undefined, deleted: () => undefined },
    ticks: { append: () => undefined, last: async () => [] },
    probes: { submit: () => undefined },
    mayAct: () => true,
    epochOf: () => epoch(1),
    send: () => undefined,
    publishDocuments: () => undefined,
  };
}

function catalogOf(world: ActivationPorts) {
  return createCatalog({
    ports: world,
    behaviourOf: () => counter,
    load: () => empty,
    reload: async () => empty,
  });
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

function mailbox(): void {
  const count = 5_000_000;
  const box = new Mailbox();
  const delivery = systemDelivery(actorKey('acme/web'), ping);
  const start = clock.monoMs();
  for (let n = 0; n < count; n++) {
    box.offer(delivery);
    if (n % 8 === 7) for (let taken = 0; taken < 8; taken++) box.take();
  }
  const seconds = (clock.monoMs() - start) / 1000;
  print('mailbox.offer_take', { messages: count, perSecond: Math.round(count / seconds) });
}

async function steps(actors: number): Promise<void> {
  const catalog = catalogOf(ports());
  const keys = Array.from({ length: actors }, (_, n) => actorKey(`acme/e${n}`));
  for (const key of keys) catalog.activate(key, empty);
  const count = 1_000_000;
  const burst = Math.max(128, Math.min(actors, 4096));
  const start = clock.monoMs();
  for (let sent = 0; sent < count; ) {
    for (let n = 0; n < burst; n++, sent++) {
      const to = keys[sent % actors] as ActorKey;
      const lane = 'user' as const;
      catalog.deliver({ to, message: ping, lane, corr: '', deadlineMonoMs: null }, null);
    }
    while (catalog.describe(keys[(sent - 1) % actors] as ActorKey)?.messagesWaiting !== 0) {
      await nextTurn();
    }
  }
  const seconds = (clock.monoMs() - start) / 1000;
  print('actor.steps', { actors, messages: count, perSecond: Math.round(count / seconds) });
}

async function asks(): Promise<void> {
  const world = ports();
  const catalog = catalogOf(world);
  const router = createRouter({
    node: 'n1',
    catalog,
    directory: { lookup: () => ({ node: 'n1', local: true, epoch: epoch(1) }) },
    transport: null,
    clock,
    timers: world.timers,
    random: systemRandom(),
    logger: world.logger,
    meter: world.meter,
  });
  const keys = Array.from({ length: 1000 }, (_, n) => actorKey(`acme/e${n}`));
  const waits: number[] = [];
  const start = clock.monoMs();
  for (let round = 0; round < 200; round++) {
    await Promise.all(
      keys.map(async (key) => {
        const asked = clock.monoMs();
        await router.ask(key, ping);
        waits.push(clock.monoMs() - asked);
      }),
    );
  }
  const seconds = (clock.monoMs() - start) / 1000;
  const single: number[] = [];
  for (let n = 0; n < 2000; n++) {
    const asked = clock.monoMs();
    await router.ask(keys[n % 1000] as ActorKey, ping);
    single.push(clock.monoMs() - asked);
  }
  single.sort((a, b) => a - b);
  print('router.ask_local', {
    asks: waits.length,
    perSecond: Math.round(waits.length / seconds),
    aloneP50Us: Math.round((single[1000] ?? 0) * 1000),
    aloneP99Us: Math.round((single[1980] ?? 0) * 1000),
  });
}

function memory(): void {
  if (global.gc === undefined) return;
  const count = 50_000;
  const catalog = catalogOf(ports());
  const keys = Array.from({ length: count }, (_, n) => actorKey(`acme/e${n}`));
  for (const key of keys) if (key.length === 0) return;
  global.gc();
  const before = process.memoryUsage().heapUsed;
  for (const key of keys) catalog.activate(key, empty);
  global.gc();
  const bytes = (process.memoryUsage().heapUsed - before) / count;
  print('actor.at_rest', { actors: catalog.counts().activations, bytesEach: Math.round(bytes) });
}

memory();
mailbox();
await steps(1);
await steps(10_000);
await asks();
