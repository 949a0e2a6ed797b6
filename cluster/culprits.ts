// Actors that stopped the main loop of a process (clustering.md §14 Poison loop): heard of in the last heartbeats of a node that
// ended itself, or left in a file by the process before this one. Whoever loads such an actor does not start it and commits
// its quarantine instead. Must not know shards, nor who writes the file.

import type { LoadedActor } from '../runtime/behaviour.ts';
import type { Catalog } from '../runtime/catalog.ts';
import type { ActorKey } from '../runtime/ids.ts';
import type { Clock, Logger } from '../runtime/ports.ts';
import { quarantineOf } from '../runtime/quarantine.ts';
import { repeat } from '../runtime/repeat.ts';
import { culpritLimits as limits } from './limits.ts';

/** What a heartbeat of a process that is about to end says. */
export interface HeardCulprit {
  readonly node: string;
  readonly incarnation: string;
  readonly culprit: string | null;
}

export interface Culprits {
  /** Starts an actor with what its shard's load read; one that stopped a node is quarantined instead, and not started. */
  activate(key: ActorKey, loaded: LoadedActor, gate?: 'open' | 'closed'): void;
  /** Keys that would not be started now. */
  readonly size: number;
  stop(): Promise<void>;
}

interface CulpritsOptions {
  readonly catalog: Pick<Catalog, 'activate' | 'quarantine' | 'describe'>;
  /** The members as the failure detector sees them. */
  readonly heard: () => readonly HeardCulprit[];
  /** Name of this node. */
  readonly node: string;
  /** Key that the process before this one left behind; null: none. */
  readonly left: string | null;
  /** What was left is dealt with: the file may go. */
  readonly forget: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Returns the start of this node's actors; it listens to heartbeats from now on. */
export function culprits(options: CulpritsOptions): Culprits {
  const { catalog, clock, logger, forget } = options;
  /** Until when each is not started, and which node it stopped. */
  const known = new Map<string, { untilMonoMs: number; of: string }>();
  const noted = new Set<string>();
  let left = options.left;
  const endMonoMs = clock.monoMs() + limits.keepMs;

  const note = (key: string, of: string): void => {
    if (known.size >= limits.keys) return;
    known.set(key, { untilMonoMs: clock.monoMs() + limits.keepMs, of });
    logger.warn('culprit.noted', { key, of });
  };

  const listen = (): void => {
    for (const { node, incarnation, culprit } of options.heard()) {
      const mark = `${node}/${incarnation} ${culprit}`;
      if (culprit === null || noted.has(mark)) continue;
      if (noted.size >= limits.keys) noted.clear();
      noted.add(mark);
      note(culprit, node);
    }
    for (const [key, { untilMonoMs }] of known) {
      if (untilMonoMs <= clock.monoMs()) known.delete(key);
    }
  };

  const isCommitted = (key: string): boolean => {
    const actor = catalog.describe(key as ActorKey);
    return actor !== null && actor.quarantine !== null && actor.commitsPending === 0;
  };

  /** What is committed is known to the store: an operator may release it. What was left goes, at the latest in ten minutes. */
  const settle = (): void => {
    const isLate = clock.monoMs() >= endMonoMs;
    if (left !== null && (isLate || isCommitted(left))) {
      forget();
      left = null;
    }
    for (const key of known.keys()) if (isCommitted(key)) known.delete(key);
  };

  if (left !== null) note(left, options.node);
  const stop = repeat(
    'culprits',
    limits.lookMs,
    async () => {
      listen();
      settle();
    },
    { clock, logger },
  );
  return {
    activate: (key, loaded, gate = 'open') => {
      listen();
      const culprit = known.get(key);
      const isStopped = quarantineOf(loaded)?.cause === 'stalled';
      if (culprit === undefined || isStopped) catalog.activate(key, loaded, gate);
      else catalog.quarantine(key, `it blocked the event loop of ${culprit.of}`, 'stalled');
    },
    get size() {
      return known.size;
    },
    stop,
  };
}
