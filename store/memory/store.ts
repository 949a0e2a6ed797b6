// The whole store in memory: for tests and simulation. Deterministic, without timers, clock or randomness;
// answers exactly as the embedded store does. Nothing outlives the process.
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import { assembleClusterStore } from '../assemble.ts';
import { storeError } from '../errors.ts';
import { historyTables, type SweepTarget } from '../limits.ts';
import type { ClusterCall, ClusterOperations } from '../operations.ts';
import { memoryAccounts } from './accounts.ts';
import { faultyCall, type StoreFaults } from './faults.ts';
import { memoryHistory } from './history.ts';
import { memorySamples } from './samples.ts';
import { memoryShardLog } from './shard-log.ts';
import { memoryStates } from './states.ts';
import { memoryViews } from './views.ts';

/** Returns an empty store. Each operation takes effect at one instant; `faults` may delay or fail it. */
export function createMemoryStore(options: { faults?: StoreFaults } = {}): ClusterStore {
  const inner = faultyCall(memoryOperations(), options.faults ?? {});
  let isOpen = true;
  const call: ClusterCall = async (name, ...args) => {
    if (!isOpen) throw storeError('ST_CLOSED', 'the store is closed');
    return inner(name, ...args);
  };
  return assembleClusterStore(call, {
    ping: () => call('ping'),
    close: async () => {
      isOpen = false;
    },
  });
}

function memoryOperations(): ClusterOperations {
  const states = memoryStates();
  const samples = memorySamples();
  const history = memoryHistory();
  const sweep = (target: SweepTarget, nowMs: number): number => {
    if (target === 'ticks') return samples.sweepTicks(nowMs);
    if (target === 'tombstones') return states.sweepTombstones(nowMs);
    const table = historyTables.find((name) => name === target);
    return table === undefined ? 0 : history.sweepHistory(table, nowMs);
  };
  return {
    ...memoryShardLog(),
    ...states,
    ...samples,
    ...history,
    ...memoryAccounts(),
    ...memoryViews(),
    sweep,
    ping: () => undefined,
  };
}
