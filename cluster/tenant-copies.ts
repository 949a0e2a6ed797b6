// The copies of tenants' documents that this node keeps (design.md §4, clustering.md §15.6): read when a shard brings an entity
// of the tenant, pushed by the tenant's owner to all members at each change, read again every 30 s and where a pushed rev
// skips one. Must not know what is in them: how rows become a copy, and how a copy travels, is handed in.
import { decodeValue } from '../runtime/codec.ts';
import type { DocumentsCache } from '../runtime/documents.ts';
import { type ActorKey, actorKey, shardOf } from '../runtime/ids.ts';
import type { Message } from '../runtime/message.ts';
import type { Clock, Logger, Meter, StateStore, StoredDocument } from '../runtime/ports.ts';
import { textOf } from '../runtime/refusals.ts';
import { Lanes } from './lanes.ts';
import { copyLimits } from './limits.ts';

/** What a node pushes to the others. */
export interface TenantPush extends Message {
  readonly kind: 'tenant.push';
  readonly tenant: string;
  readonly rev: number;
  readonly data: unknown;
}

export interface TenantCopiesOptions {
  readonly states: Pick<StateStore, 'readDocuments'>;
  readonly documents: DocumentsCache;
  /** The router. */
  readonly link: {
    tellNode(node: string, message: Message): void;
    serve(kind: string, handler: (message: Message, from: string) => unknown): void;
  };
  /** Names of the other members. */
  readonly others: () => readonly string[];
  /** Whether this node still acts for an entity of the tenant; else its copy is forgotten once nobody asked for it for long. */
  readonly isNeeded: (tenant: string) => boolean;
  /** False: nobody else changes them, they are never read again. Default: true. */
  readonly rereads?: boolean;
  /** The copy that stored documents make; null: there is no such tenant. */
  readonly fold: (
    tenant: string,
    rows: readonly StoredDocument[],
  ) => { readonly rev: number; readonly documents: unknown } | null;
  /** A copy as data for the codec, and back. */
  readonly pack: (documents: unknown) => unknown;
  readonly unpack: (data: unknown) => unknown;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

export interface TenantCopies {
  /** The tenant's owner has a new copy: it is kept here and pushed to all members. */
  publish(tenant: string, rev: number, documents: unknown): void;
  /** A loaded shard has an entity of the tenant: reads its copy, unless there is one or it is being read. Never rejects. */
  want(tenant: string): Promise<void>;
  /**
   * Returns the copy, read where there is none, or in any case (`fresh`); null: there is no such tenant. It is kept and read
   * again while somebody asks for it. Rejects as the store does.
   */
  read(tenant: string, fresh?: boolean): Promise<unknown>;
  /** Tenants that are read again every 30 s. */
  readonly size: number;
  stop(): void;
}

/** Returns the copies of this node; it listens and reads again from now on. */
export function tenantCopies(options: TenantCopiesOptions): TenantCopies {
  return new Copies(options);
}

class Copies implements TenantCopies {
  readonly #options: TenantCopiesOptions;
  readonly #wanted = new Set<string>();
  readonly #askedAtMonoMs = new Map<string, number>();
  readonly #reading = new Map<string, Promise<void>>();
  readonly #lanes = new Lanes(copyLimits.reads);
  #cancel: (() => void) | null = null;

  constructor(options: TenantCopiesOptions) {
    this.#options = options;
    options.link.serve('tenant.push', (message) => this.#pushed(message as TenantPush));
    if (options.rereads !== false) this.#arm();
  }

  get size(): number {
    return this.#wanted.size;
  }

  publish(tenant: string, rev: number, documents: unknown): void {
    const { link, others, pack, logger } = this.#options;
    if (this.#options.documents.set(tenant, rev, documents) === 'stale') return;
    try {
      const push: TenantPush = { kind: 'tenant.push', tenant, rev, data: pack(documents) };
      for (const node of others()) link.tellNode(node, push);
    } catch (cause) {
      // The others read it within 30 s.
      logger.warn('tenant.unpushed', { tenant, cause });
    }
  }

  async want(tenant: string): Promise<void> {
    this.#wanted.add(tenant);
    if (this.#options.documents.get(tenant) === null) await this.#refreshed(tenant);
  }

  async read(tenant: string, fresh = false): Promise<unknown> {
    const { documents, clock } = this.#options;
    if (fresh || documents.get(tenant) === null) await this.#readNow(tenant);
    const copy = documents.get(tenant);
    if (copy === null) return null;
    this.#wanted.add(tenant);
    this.#askedAtMonoMs.set(tenant, clock.monoMs());
    return copy.documents;
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #pushed({ tenant, rev, data }: TenantPush): null {
    const { documents, unpack, isNeeded } = this.#options;
    if (!this.#wanted.has(tenant) && documents.get(tenant) === null && !isNeeded(tenant))
      return null;
    // Every push is whole; a skipped one may still mean that others are on their way in another order.
    const outcome = documents.set(tenant, rev, unpack(data));
    if (outcome === 'skipped') void this.#refreshed(tenant);
    return null;
  }

  /** Tried again with the next round where the store does not answer. */
  async #refreshed(tenant: string): Promise<void> {
    const { meter, logger } = this.#options;
    try {
      await this.#readNow(tenant);
    } catch (error) {
      meter.count('tenant_copies_unread', 1);
      logger.debug('tenant.unread', { tenant, error: textOf(error) });
    }
  }

  #readNow(tenant: string): Promise<void> {
    const known = this.#reading.get(tenant);
    if (known !== undefined) return known;
    const reading = this.#lanes
      .run(() => this.#load(tenant))
      .finally(() => this.#reading.delete(tenant));
    this.#reading.set(tenant, reading);
    return reading;
  }

  async #load(tenant: string): Promise<void> {
    const { states, fold, documents } = this.#options;
    const key: ActorKey = actorKey(tenant);
    const rows = await states.readDocuments(shardOf(key), key);
    const stored = rows.map((row): StoredDocument => ({ ...row, body: decodeValue(row.body) }));
    const copy = fold(tenant, stored);
    if (copy !== null) documents.set(tenant, copy.rev, copy.documents);
  }

  #arm(): void {
    const { clock } = this.#options;
    this.#cancel = clock.schedule(clock.monoMs() + copyLimits.rereadMs, () => {
      void this.#round();
    });
  }

  async #round(): Promise<void> {
    const { isNeeded, documents, clock } = this.#options;
    const sinceMonoMs = clock.monoMs() - copyLimits.askedKeepMs;
    for (const tenant of this.#wanted) {
      if ((this.#askedAtMonoMs.get(tenant) ?? -1) > sinceMonoMs || isNeeded(tenant)) continue;
      this.#wanted.delete(tenant);
      this.#askedAtMonoMs.delete(tenant);
      documents.delete(tenant);
    }
    await Promise.all([...this.#wanted].map((tenant) => this.#refreshed(tenant)));
    if (this.#cancel !== null) this.#arm();
  }
}
