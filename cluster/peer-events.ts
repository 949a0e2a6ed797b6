// Live rows between members: what this node commits reaches the members that have a listener of its tenant, so that any node
// serves any stream. Every member says which tenants it listens for; rows go to it in batches, at most once: what is lost a
// stream finds when it reads the changelog again. Must not know HTTP, nor what a row says.
import type { Message } from '../runtime/message.ts';
import type { Clock, EventBus, HistoryRecord, Meter } from '../runtime/ports.ts';
import { eventBusLimits as limits } from './limits.ts';

/** The tenants that a node listens for; null: all. `isWhole`: instead of what it said before, else beside it. */
export interface EventsWanted extends Message {
  readonly kind: 'events.want';
  readonly isWhole: boolean;
  readonly tenants: readonly string[] | null;
}

/** Rows as they were committed, in order per sender. */
export interface EventsSent extends Message {
  readonly kind: 'events.rows';
  readonly rows: readonly HistoryRecord[];
}

/** The way to other members: the router. */
export interface EventLink {
  tellNode(node: string, message: Message): void;
  serve(kind: string, handler: (message: Message, from: string) => unknown): void;
}

export interface PeerEvents extends EventBus {
  /** From now on rows are exchanged with these members; until then, and on a node alone, the bus is local. Once. */
  connect(of: { readonly link: EventLink; readonly others: () => readonly string[] }): void;
  stop(): void;
}

interface Interest {
  /** null: all. */
  tenants: Set<string> | null;
  untilMonoMs: number;
}

interface Batch {
  readonly rows: HistoryRecord[];
  bytes: number;
}

/** Returns a bus over `local`, which keeps this node's listeners. */
export function peerEvents(options: {
  readonly local: EventBus;
  readonly clock: Clock;
  readonly meter: Meter;
}): PeerEvents {
  return new Peers(options);
}

class Peers implements PeerEvents {
  readonly #options: Parameters<typeof peerEvents>[0];
  #to: Parameters<PeerEvents['connect']>[0] | null = null;
  /** Listeners of this node by tenant. */
  readonly #own = new Map<string, number>();
  readonly #interests = new Map<string, Interest>();
  readonly #batches = new Map<string, Batch>();
  /** Tenants first listened for since the last batch. */
  readonly #news = new Set<string>();
  #cancelFlush: (() => void) | null = null;
  #cancelSay: (() => void) | null = null;
  #isStopped = false;

  constructor(options: Parameters<typeof peerEvents>[0]) {
    this.#options = options;
  }

  connect(to: Parameters<PeerEvents['connect']>[0]): void {
    this.#to = to;
    to.link.serve('events.want', (message, from) => this.#wanted(message as EventsWanted, from));
    to.link.serve('events.rows', (message) => this.#received(message as EventsSent));
    if (this.#own.size > 0) this.#say();
  }

  publish(record: HistoryRecord): void {
    this.#options.local.publish(record);
    if (this.#to === null || this.#interests.size === 0 || this.#isStopped) return;
    const nowMonoMs = this.#options.clock.monoMs();
    for (const node of this.#to.others()) {
      const interest = this.#interests.get(node);
      if (interest === undefined) continue;
      if (interest.untilMonoMs <= nowMonoMs) this.#interests.delete(node);
      else if (interest.tenants?.has(record.partition) !== false) this.#put(node, record);
    }
  }

  subscribe(tenant: string, listener: (record: HistoryRecord) => void): () => void {
    const leave = this.#options.local.subscribe(tenant, listener);
    const before = this.#own.get(tenant) ?? 0;
    this.#own.set(tenant, before + 1);
    if (before === 0) this.#first(tenant);
    let isOpen = true;
    return () => {
      leave();
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#own.get(tenant) ?? 1) - 1;
      if (left > 0) this.#own.set(tenant, left);
      else this.#own.delete(tenant);
    };
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelFlush?.();
    this.#cancelSay?.();
    this.#batches.clear();
  }

  #first(tenant: string): void {
    if (this.#to === null || this.#isStopped) return;
    this.#news.add(tenant);
    this.#flushSoon();
    if (this.#cancelSay === null) this.#sayLater();
  }

  #put(node: string, record: HistoryRecord): void {
    const batch = this.#batches.get(node) ?? { rows: [], bytes: 0 };
    const bytes = batch.bytes + record.body.length;
    if (batch.rows.length >= limits.batchRows || bytes > limits.batchBytes) {
      this.#options.meter.count('stream_rows_dropped', 1);
      return;
    }
    batch.rows.push(record);
    batch.bytes = bytes;
    this.#batches.set(node, batch);
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#cancelFlush !== null) return;
    const { clock } = this.#options;
    this.#cancelFlush = clock.schedule(clock.monoMs() + limits.gatherMs, () => {
      this.#cancelFlush = null;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#news.size > 0) this.#tellAll({ isWhole: false, tenants: bounded([...this.#news]) });
    this.#news.clear();
    for (const [node, { rows }] of this.#batches) this.#tell(node, { kind: 'events.rows', rows });
    this.#batches.clear();
  }

  /** Says everything now and then: to members that are new, and to those that a message did not reach. */
  #say(): void {
    this.#cancelSay = null;
    this.#tellAll({ isWhole: true, tenants: bounded([...this.#own.keys()]) });
    // The last time says that there is nothing.
    if (this.#own.size > 0 && !this.#isStopped) this.#sayLater();
  }

  #sayLater(): void {
    const { clock } = this.#options;
    this.#cancelSay = clock.schedule(clock.monoMs() + limits.sayEveryMs, () => this.#say());
  }

  #tellAll(said: Pick<EventsWanted, 'isWhole' | 'tenants'>): void {
    for (const node of this.#to?.others() ?? []) this.#tell(node, { kind: 'events.want', ...said });
  }

  #tell(node: string, message: EventsWanted | EventsSent): void {
    this.#to?.link.tellNode(node, message);
  }

  #wanted({ isWhole, tenants }: EventsWanted, from: string): void {
    if (this.#isStopped || this.#to?.others().includes(from) !== true) return;
    const before = isWhole ? undefined : this.#interests.get(from);
    const named = tenants === null || before?.tenants === null ? null : [...tenants];
    const all = named === null ? null : new Set([...(before?.tenants ?? []), ...named]);
    if (all?.size === 0) this.#interests.delete(from);
    else {
      const untilMonoMs = this.#options.clock.monoMs() + limits.keepMs;
      const isWide = all !== null && all.size > limits.tenants;
      this.#interests.set(from, { tenants: isWide ? null : all, untilMonoMs });
    }
  }

  #received({ rows }: EventsSent): void {
    if (this.#isStopped || !Array.isArray(rows)) return;
    for (const row of rows) this.#options.local.publish(row);
  }
}

/** More tenants than one message should list are all of them. */
function bounded(tenants: readonly string[]): readonly string[] | null {
  return tenants.length > limits.tenants ? null : tenants;
}
