// What tests of the actor runtime need: a catalog over ports that the test controls, and a small behaviour to put in it.
import type { Behaviour, LoadedActor, StepContext } from '../../runtime/behaviour.ts';
import { type Catalog, type CatalogOptions, createCatalog } from '../../runtime/catalog.ts';
import { DocumentsCache } from '../../runtime/documents.ts';
import type { DecisionRow, Effect, TickWrite } from '../../runtime/effect.ts';
import type { TocsinError } from '../../runtime/errors.ts';
import { type ActorKey, actorKey, epoch } from '../../runtime/ids.ts';
import type { Lane, Message } from '../../runtime/message.ts';
import { createMeter } from '../../runtime/meter.ts';
import type { ActivationPorts } from '../../runtime/perform.ts';
import type { Logger, StoredTick } from '../../runtime/ports.ts';
import { timerWheel } from '../../runtime/timers.ts';
import { seededRandom, TestClock } from '../clock.ts';

export const empty: LoadedActor = { documents: [], soft: null, tail: [] };
export const key: ActorKey = actorKey('acme/web');

/** Tells the test actor what to do: the step returns exactly these. */
export interface DoMessage extends Message {
  readonly kind: 'do' | 'get' | 'throw' | 'note' | 'mutate';
  readonly value?: number;
  readonly effects?: readonly Effect[];
  readonly replyWhen?: 'now' | 'committed';
}

export interface Seen {
  readonly values: readonly number[];
  readonly others: readonly Message[];
}

/** An actor that does what it is told, and remembers it: `values` of `do`, every message that it does not know. */
export function obedient(
  overrides: Partial<Behaviour<Seen, DoMessage, unknown>> = {},
): Behaviour<Seen, DoMessage, unknown> {
  return {
    kind: 'obedient',
    version: 1,
    init: (_key, loaded) => ({
      state: (loaded.soft?.body as Seen | undefined) ?? { values: [], others: [] },
      effects: [],
    }),
    step: obey,
    snapshot: (state) => (state.values.length === 0 ? null : state),
    isQuery: (message) => message.kind === 'get',
    ...overrides,
  };
}

function obey(state: Seen, message: DoMessage, context: StepContext<unknown>) {
  const effects = message.effects ?? [];
  const { replyWhen } = message;
  const when = replyWhen === undefined ? {} : { replyWhen };
  switch (message.kind) {
    case 'do': {
      const values = [...state.values, message.value ?? 0];
      return { state: { ...state, values }, reply: values.length, effects, ...when };
    }
    case 'get': {
      const { committed, documents } = context;
      return { state, reply: { values: state.values, committed, documents }, effects, ...when };
    }
    case 'throw':
      throw new Error('told to throw');
    case 'mutate':
      (state.values as number[]).push(1);
      return { state, effects };
    default:
      return { state: { ...state, others: [...state.others, message] }, effects };
  }
}

export const row: DecisionRow = { kind: 1, body: { n: 1 } };
export const commit: Effect = { type: 'commit', rows: [row] };

/** One commit that the test ends when it likes. */
export interface PendingCommit {
  readonly key: ActorKey;
  readonly rows: readonly DecisionRow[];
  ack(): void;
  fail(error: TocsinError): void;
}

export interface Answer {
  readonly value?: unknown;
  readonly error?: TocsinError;
}

export interface World {
  readonly clock: TestClock;
  readonly catalog: Catalog;
  readonly ports: ActivationPorts;
  readonly meter: ReturnType<typeof createMeter>;
  readonly commits: PendingCommit[];
  readonly sent: { to: ActorKey; message: Message }[];
  readonly published: { tenant: string; rev: number }[];
  readonly probes: { request: unknown; done: (answer: unknown) => void }[];
  readonly appended: TickWrite[];
  readonly soft: Map<ActorKey, () => { seq: number; body: unknown } | null>;
  readonly deleted: ActorKey[];
  readonly events: string[];
  /** Acknowledge every commit at once, as it comes. */
  autoAck: boolean;
  isLeader: boolean;
  ticks: readonly StoredTick[] | Error;
  /** Asks and returns where the answer will be. */
  ask(message: DoMessage, options?: AskHow): Answer;
  tell(message: Message, lane?: Lane, to?: ActorKey): void;
}

export interface AskHow {
  readonly to?: ActorKey;
  readonly lane?: Lane;
  readonly deadlineMonoMs?: number;
}

/** Returns a world with one catalog; actors are loaded empty unless `options` say otherwise. */
export function world(
  behaviour: Behaviour<Seen, DoMessage, unknown> = obedient(),
  options: Partial<CatalogOptions> = {},
): World {
  const clock = new TestClock();
  const meter = createMeter();
  const events: string[] = [];
  const timers = timerWheel({ clock, meter });
  let seq = 100;
  const commits: PendingCommit[] = [];
  const ports: ActivationPorts = {
    clock,
    random: seededRandom(7),
    logger: recorder(events),
    meter,
    timers,
    documents: new DocumentsCache(),
    decisions: {
      commit: (of, rows) =>
        new Promise((resolve, reject) => {
          const pending: PendingCommit = {
            key: of,
            rows,
            ack: () => {
              seq += rows.length;
              resolve({ lastSeq: seq });
            },
            fail: reject,
          };
          if (it.autoAck) pending.ack();
          commits.push(pending);
        }),
    },
    softStates: {
      changed: (of, _urgent, read) => it.soft.set(of, read),
      deleted: (of) => it.deleted.push(of),
    },
    ticks: {
      append: (_of, ticks) => it.appended.push(...ticks),
      last: async () => {
        if (it.ticks instanceof Error) throw it.ticks;
        return it.ticks;
      },
    },
    probes: { submit: (request, done) => it.probes.push({ request, done }) },
    mayAct: () => it.isLeader,
    epochOf: () => epoch(3),
    send: (to, message) => it.sent.push({ to, message }),
    publishDocuments: (tenant, rev) => it.published.push({ tenant, rev }),
  };
  const catalog = createCatalog({
    ports,
    behaviourOf: () => behaviour,
    load: () => empty,
    reload: async () => empty,
    freeze: true,
    ...options,
  });
  const it: World = {
    clock,
    catalog,
    ports,
    meter,
    commits,
    events,
    sent: [],
    published: [],
    probes: [],
    appended: [],
    soft: new Map(),
    deleted: [],
    autoAck: false,
    isLeader: true,
    ticks: [],
    ask(message, how = {}) {
      const answer: { value?: unknown; error?: TocsinError } = {};
      const envelope = {
        to: how.to ?? key,
        message,
        lane: how.lane ?? 'user',
        corr: '',
        deadlineMonoMs: how.deadlineMonoMs ?? null,
      };
      catalog.deliver(envelope, {
        resolve: (value) => {
          answer.value = value;
        },
        reject: (error) => {
          answer.error = error;
        },
      });
      return answer;
    },
    tell(message, lane = 'user', to = key) {
      catalog.deliver({ to, message, lane, corr: '', deadlineMonoMs: null }, null);
    },
  };
  return it;
}

function recorder(events: string[]): Logger {
  const note = (event: string): void => {
    events.push(event);
  };
  return { debug: note, info: note, warn: note, error: note };
}
