// Faults of the memory store, as a caller sees those of a real one: unavailable, or unknown with or without effect.
// Decides nothing itself: a test's or simulator's hook says what happens to each operation.
import { never } from '../../runtime/assert.ts';
import { storeError } from '../errors.ts';
import {
  type ClusterCall,
  type ClusterOperationName,
  type ClusterOperations,
  operationKinds,
  unknownOutcome,
} from '../operations.ts';

/**
 * `unavailable`: nothing happens. `unknown`: nothing happens and the caller is not told. `unknownApplied`: it happens
 * and the caller is not told; for a read the same as `unavailable`.
 */
type StoreFault = 'unavailable' | 'unknown' | 'unknownApplied';

/** Hooks around every operation. A promise delays it (on the simulator's clock); a throw is the caller's error. */
export interface StoreFaults {
  /** Before the operation takes effect; returns its fault, if any. */
  before?(name: ClusterOperationName, args: readonly unknown[]): Hooked<Looked>;
  /** After the operation took effect, before its answer. */
  after?(name: ClusterOperationName, args: readonly unknown[]): Hooked<void>;
}

// biome-ignore lint/suspicious/noConfusingVoidType: a hook that only looks returns nothing
type Looked = StoreFault | undefined | void;
type Hooked<Value> = Value | Promise<Value>;

/** Returns a call that runs operations in place, each at one instant, through the hooks. */
export function faultyCall(operations: ClusterOperations, faults: StoreFaults): ClusterCall {
  return async (name, ...args) => {
    const fault = (await faults.before?.(name, args)) ?? null;
    if (fault === 'unavailable' || (fault !== null && operationKinds[name] === 'read')) {
      throw storeError('ST_UNAVAILABLE', `the store did not do ${name}`);
    }
    if (fault === 'unknown') throw unknownOutcome(name);
    const run = operations[name] as (...args: unknown[]) => never;
    const answer = run(...args);
    await faults.after?.(name, args);
    if (fault === 'unknownApplied') throw unknownOutcome(name);
    if (fault !== null) never(fault, 'fault of the store');
    return answer;
  };
}
