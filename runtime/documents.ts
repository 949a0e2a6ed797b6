// The node's frozen copies of tenants' documents, each with its rev: what a step gets as `context.documents`.
// Written by whoever loads a shard or hears a push; never goes back. Must not know what is in them. Bounded: above 20,000
// tenants the one set longest ago leaves and is read again with its next load.

import { deepFreeze } from './freeze.ts';
import { documentsLimits } from './limits.ts';
import type { Meter } from './ports.ts';

export interface TenantCopy {
  readonly rev: number;
  readonly documents: unknown;
}

export type DocumentsListener = (tenant: string, copy: TenantCopy) => void;

export class DocumentsCache {
  readonly #copies = new Map<string, TenantCopy>();
  readonly #listeners = new Set<DocumentsListener>();
  readonly #meter: Meter | undefined;
  readonly #tenantsMax: number;

  constructor(options: { readonly meter?: Meter; readonly tenantsMax?: number } = {}) {
    this.#meter = options.meter;
    this.#tenantsMax = options.tenantsMax ?? documentsLimits.tenants;
  }

  get size(): number {
    return this.#copies.size;
  }

  /** Returns the copy of a tenant, or null where this node has none. */
  get(tenant: string): TenantCopy | null {
    return this.#copies.get(tenant) ?? null;
  }

  /**
   * Keeps and freezes the documents, and tells the listeners. Returns what happened: `stale` for a rev not above the one
   * kept (nothing changes), `skipped` where the rev is not the next one (kept, but the caller reads again), else `set`.
   */
  set(tenant: string, rev: number, documents: unknown): 'set' | 'skipped' | 'stale' {
    const before = this.#copies.get(tenant);
    if (before !== undefined && rev <= before.rev) return 'stale';
    const copy: TenantCopy = { rev, documents: deepFreeze(documents) };
    this.#copies.delete(tenant);
    if (this.#copies.size >= this.#tenantsMax) this.#dropOldest();
    this.#copies.set(tenant, copy);
    for (const listener of this.#listeners) listener(tenant, copy);
    return before !== undefined && rev > before.rev + 1 ? 'skipped' : 'set';
  }

  /** Forgets a tenant of whose entities this node owns none any more. */
  delete(tenant: string): void {
    this.#copies.delete(tenant);
  }

  /** Calls `listener` after each change; returns how to stop that. */
  onChange(listener: DocumentsListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tenants(): IterableIterator<string> {
    return this.#copies.keys();
  }

  #dropOldest(): void {
    const oldest = this.#copies.keys().next();
    if (oldest.done) return;
    this.#copies.delete(oldest.value);
    this.#meter?.count('documents_dropped', 1);
  }
}
