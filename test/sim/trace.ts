// What happened in a run, as data: typed events with their times, one line each, and a hash over all of them. The judge
// reads nothing else. Owns the event types; must not know how anything comes about. Imports types only.
import { createHash } from 'node:crypto';

export interface CommittedRow {
  readonly seq: number;
  readonly key: string;
  readonly kind: number;
  readonly body: unknown;
  readonly documents: readonly {
    readonly kind: number;
    readonly id: string;
    readonly rev: number;
    readonly body: unknown;
  }[];
  readonly history: readonly {
    readonly table: string;
    readonly id: string;
    readonly atMs: number;
    readonly body: unknown;
  }[];
}

export interface TickSeen {
  readonly key: string;
  readonly check: string;
  readonly zone: string;
  readonly slot: number;
  readonly value: readonly unknown[];
}

export type Happening =
  | { readonly kind: 'node.start' | 'node.ready' | 'node.resume' }
  | { readonly kind: 'node.end'; readonly why: string; readonly point: string }
  | { readonly kind: 'node.failed'; readonly message: string }
  | { readonly kind: 'node.pause'; readonly ms: number; readonly frozen: boolean }
  | { readonly kind: 'wall.step'; readonly deltaMs: number }
  | {
      readonly kind: 'fault';
      readonly fault: string;
      readonly what: string;
      readonly untilT: number;
    }
  | { readonly kind: 'sometimes'; readonly point: string }
  | {
      readonly kind: 'claim';
      readonly shard: number;
      readonly epoch: number;
      readonly owner: string;
      readonly applied: boolean;
    }
  | {
      readonly kind: 'commit';
      readonly shard: number;
      readonly epoch: number;
      readonly owner: string;
      readonly prevHead: number;
      readonly applied: boolean;
      readonly headEpoch: number;
      readonly rows: readonly CommittedRow[];
    }
  /** The process knows that rows up to `head` are durable. */
  | { readonly kind: 'acked'; readonly shard: number; readonly head: number }
  | { readonly kind: 'ticks'; readonly rows: readonly TickSeen[] }
  | {
      readonly kind: 'probe.start';
      readonly id: string;
      readonly zone: string;
      readonly target: string;
      readonly timeoutMs: number;
    }
  /** The answer reached the process. `state`: what a criterion without text would say. */
  | {
      readonly kind: 'probe.end';
      readonly id: string;
      readonly observed: boolean;
      readonly available: boolean;
      readonly durationMs: number;
      readonly failure: string;
    }
  | {
      readonly kind: 'page.start';
      readonly key: string;
      readonly alarm: string;
      readonly n: number;
      readonly channel: string;
      readonly id: string;
      readonly incident: string;
      readonly state: string;
      readonly hash: string;
      readonly attempt: number;
      readonly receiver: string;
    }
  /** A receiver took it. */
  | { readonly kind: 'page.received'; readonly id: string; readonly receiver: string }
  | {
      readonly kind: 'page.end';
      readonly id: string;
      readonly delivered: boolean;
      readonly final: boolean;
    }
  | { readonly kind: 'api.send'; readonly op: Operation; readonly attempt: number }
  | {
      readonly kind: 'api.reply';
      readonly op: string;
      readonly outcome: 'ok' | 'refused' | 'failed';
      readonly code: string;
      readonly id: string;
    }
  | { readonly kind: 'api.given-up'; readonly op: string }
  /** Read back through the API: what an object looks like; null: it does not exist. */
  | { readonly kind: 'api.read'; readonly of: string; readonly doc: unknown }
  | { readonly kind: 'log'; readonly level: string; readonly event: string; readonly text: string }
  | {
      readonly kind: 'gauges';
      readonly when: string;
      readonly values: Readonly<Record<string, number>>;
    }
  | { readonly kind: 'live'; readonly when: string; readonly key: string; readonly live: unknown }
  | { readonly kind: 'phase'; readonly phase: string }
  | { readonly kind: 'stored'; readonly stored: Stored };

/** What the store holds at the end. */
export interface Stored {
  readonly heads: readonly {
    readonly shard: number;
    readonly epoch: number;
    readonly head: number;
  }[];
  readonly documents: readonly {
    readonly key: string;
    readonly kind: number;
    readonly id: string;
    readonly rev: number;
    readonly body: unknown;
  }[];
  readonly history: readonly {
    readonly table: string;
    readonly key: string;
    readonly atMs: number;
    readonly id: string;
    readonly body: unknown;
  }[];
  readonly listings: readonly { readonly tenant: string; readonly entity: string }[];
}

/** One request of the client, as it is repeated until it has an outcome. */
export interface Operation {
  /** Name in the run, and Idempotency-Key. */
  readonly op: string;
  /** Actor asked. */
  readonly key: string;
  readonly message: string;
  readonly target: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export type TraceEvent = Happening & {
  /** Virtual time, ms since the start. */
  readonly t: number;
  readonly wall: number;
  readonly mono: number;
  /** Process run, 0: nobody's. */
  readonly run: number;
};

export class Trace<Event = TraceEvent> {
  readonly events: Event[] = [];
  readonly #hash = createHash('sha256');
  #lines = '';

  add(event: Event): void {
    this.events.push(event);
    this.#lines += `${JSON.stringify(event)}\n`;
    if (this.#lines.length > 65_536) this.#flush();
  }

  /** Hash of all events so far; call once. */
  digest(): string {
    this.#flush();
    return this.#hash.digest('hex').slice(0, 32);
  }

  #flush(): void {
    this.#hash.update(this.#lines);
    this.#lines = '';
  }
}
