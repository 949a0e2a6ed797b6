// One flat operation run on the port that it belongs to. Must not know faults.
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import type { ClusterOperationName } from '../../store/operations.ts';

/** Returns the answer of the operation; rejects where the simulation has none of that name. */
export function runOn(
  store: ClusterStore,
  name: ClusterOperationName,
  args: readonly unknown[],
): Promise<unknown> {
  const { authority, shardLog, states, samples, history, accounts, views } = store;
  const table: Partial<Record<ClusterOperationName, [object, string]>> = {
    readHead: [authority, 'readHead'],
    claim: [authority, 'claim'],
    commit: [shardLog, 'commit'],
    readTail: [shardLog, 'readTail'],
    loadShard: [states, 'loadShard'],
    readDocuments: [states, 'readDocuments'],
    putStates: [states, 'putStates'],
    putDocuments: [states, 'putDocuments'],
    putListing: [states, 'putListing'],
    listEntities: [states, 'listEntities'],
    appendTicks: [samples, 'appendTicks'],
    lastTicks: [samples, 'lastTicks'],
    readTicks: [samples, 'readTicks'],
    appendHistory: [history, 'append'],
    historyPage: [history, 'page'],
    historyRow: [history, 'get'],
    historyAfter: [history, 'after'],
    tenant: [accounts, 'tenant'],
    putTenant: [accounts, 'putTenant'],
    readView: [views, 'readView'],
    casView: [views, 'casView'],
    writeBeat: [views, 'writeBeat'],
    readBeats: [views, 'readBeats'],
    deleteBeat: [views, 'deleteBeat'],
  };
  if (name === 'sweep') {
    return args[0] === 'ticks' ? store.sweep(args[1] as number).then(() => 0) : Promise.resolve(0);
  }
  if (name === 'ping') return Promise.resolve();
  const found = table[name];
  if (found === undefined) return Promise.reject(new Error(`the simulation has no ${name}`));
  const [port, method] = found;
  const run = (port as Record<string, (...args: unknown[]) => Promise<unknown>>)[method];
  return (run as (...args: unknown[]) => Promise<unknown>).apply(port, [...args]);
}
