// Makes the port `Store` over an adapter's `StoreCall`. Owns what all adapters share: the rules of a batch, bounds of
// pages, copies of bodies (callers encode into pooled buffers), splitting of long writes, the loop of a sweep.
import { assert } from '../runtime/assert.ts';
import type { ClusterStore, ViewStore } from '../runtime/cluster-ports.ts';
import type {
  Accounts,
  Authority,
  CommitBatch,
  History,
  Samples,
  ShardLog,
  StateStore,
  Store,
} from '../runtime/ports.ts';
import {
  commitRowsMax,
  pageRowsMax,
  sweepRequestsMax,
  sweepRowsMax,
  sweepTargets,
  writeRowsMax,
} from './limits.ts';
import type { ClusterCall, StoreCall } from './operations.ts';

/** Returns a `Store` that runs everything through `call`; `ping` and `close` are the adapter's own. */
export function assembleStore(
  call: StoreCall,
  life: { ping(): Promise<void>; close(): Promise<void> },
): Store {
  return {
    authority: authorityOver(call),
    shardLog: shardLogOver(call),
    states: statesOver(call),
    samples: samplesOver(call),
    history: historyOver(call),
    accounts: accountsOver(call),
    sweep: (nowMs) => sweepAll(call, nowMs),
    ping: () => life.ping(),
    close: () => life.close(),
  };
}

/** Returns the store of several nodes, likewise. */
export function assembleClusterStore(
  call: ClusterCall,
  life: { ping(): Promise<void>; close(): Promise<void> },
): ClusterStore {
  return { ...assembleStore(call, life), views: viewsOver(call) };
}

function viewsOver(call: ClusterCall): ViewStore {
  return {
    readView: (level) => call('readView', level),
    casView: async (change) => {
      assert(isVersion(change.to) && change.to > change.from, 'the version of a view only rises');
      return call('casView', { ...change, body: ownBytes(change.body) });
    },
    writeBeat: (beat) => call('writeBeat', beat),
    readBeats: () => call('readBeats'),
    deleteBeat: (of) => call('deleteBeat', of),
  };
}

function authorityOver(call: StoreCall): Authority {
  return {
    readHead: (shard, level = 'decide') => call('readHead', shard, level),
    claim: (shard, claim) => call('claim', shard, claim),
  };
}

function shardLogOver(call: StoreCall): ShardLog {
  return {
    commit: async (batch) => {
      checkBatch(batch);
      return call('commit', { ...batch, rows: batch.rows.map(withOwnBody) });
    },
    readTail: (shard, above) => call('readTail', shard, above),
  };
}

function statesOver(call: StoreCall): StateStore {
  return {
    loadShard: (shard) => call('loadShard', shard),
    readDocuments: (shard, key) => call('readDocuments', shard, key),
    putStates: (shard, ts, rows) =>
      inParts(rows, (part) => call('putStates', shard, ts, part.map(withOwnBody))),
    putDocuments: (shard, ts, rows) =>
      inParts(rows, (part) => call('putDocuments', shard, ts, part.map(withOwnBody))),
    putListing: (row) => call('putListing', row),
    listEntities: (tenant, marker, limit) => call('listEntities', tenant, marker, pageLimit(limit)),
  };
}

function samplesOver(call: StoreCall): Samples {
  return {
    appendTicks: (rows) =>
      inParts(rows, (part) =>
        call(
          'appendTicks',
          part.map((row) => ({ ...row, value: ownBytes(row.value) })),
        ),
      ),
    lastTicks: (of, notBeforeMs) => call('lastTicks', of, notBeforeMs),
    readTicks: (query) => call('readTicks', { ...query, limit: pageLimit(query.limit) }),
  };
}

function historyOver(call: StoreCall): History {
  return {
    append: (rows) => inParts(rows, (part) => call('appendHistory', part.map(withOwnBody))),
    page: (query) => call('historyPage', { ...query, limit: pageLimit(query.limit) }),
    get: (table, partition, id) => call('historyRow', table, partition, id),
    after: (query) => call('historyAfter', { ...query, limit: pageLimit(query.limit) }),
  };
}

function accountsOver(call: StoreCall): Accounts {
  return {
    user: (name) => call('user', name),
    putUser: async (user) => {
      assert(isVersion(user.version), 'the version of a user is a whole number above 0');
      return call('putUser', withOwnBody(user));
    },
    deleteUser: (name, version) => call('deleteUser', name, version),
    listUsers: (tenant, limit) => call('listUsers', tenant, pageLimit(limit)),
    tenant: (tenant) => call('tenant', tenant),
    putTenant: async (tenant) => {
      assert(isVersion(tenant.version), 'the version of a tenant is a whole number above 0');
      return call('putTenant', withOwnBody(tenant));
    },
    listTenants: (limit) => call('listTenants', pageLimit(limit)),
  };
}

/** Each target in requests of `sweepRowsMax` rows, so that decisions get in between; never more than its share. */
async function sweepAll(call: StoreCall, nowMs: number): Promise<void> {
  for (const target of sweepTargets) {
    for (let request = 0; request < sweepRequestsMax; request++) {
      if ((await call('sweep', target, nowMs)) < sweepRowsMax) break;
    }
  }
}

/** Throws `AssertionFailure` for a batch that breaks the rules of the log. */
function checkBatch(batch: CommitBatch): void {
  assert(batch.rows.length <= commitRowsMax, `a batch has at most ${commitRowsMax} rows`);
  for (let at = 0; at < batch.rows.length; at++) {
    assert(batch.rows[at]?.seq === batch.prevHead + 1 + at, 'rows of a batch follow its head');
  }
  const last = batch.prevHead + batch.rows.length;
  assert(batch.dispatched <= last && batch.snap <= last, 'watermarks never pass the head');
  assert(batch.trimTo <= Math.min(batch.dispatched, batch.snap), 'a trim never passes a watermark');
}

async function inParts<Row>(
  rows: readonly Row[],
  put: (part: readonly Row[]) => Promise<void>,
): Promise<void> {
  if (rows.length <= writeRowsMax) {
    if (rows.length > 0) await put(rows);
    return;
  }
  const parts: Promise<void>[] = [];
  for (let at = 0; at < rows.length; at += writeRowsMax) {
    parts.push(put(rows.slice(at, at + writeRowsMax)));
  }
  await Promise.all(parts);
}

function withOwnBody<Row extends { readonly body: Uint8Array | null }>(row: Row): Row {
  return { ...row, body: row.body === null ? null : ownBytes(row.body) };
}

/** A view of a pooled buffer would be cloned with the whole pool, and change under its reader. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function pageLimit(limit: number): number {
  return Math.max(0, Math.min(Math.trunc(limit), pageRowsMax));
}

function isVersion(version: number): boolean {
  return Number.isSafeInteger(version) && version > 0;
}
