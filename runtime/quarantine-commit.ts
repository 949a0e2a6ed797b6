// Makes an actor's quarantine durable: tried until it is, or the shard is someone else's. Must not know what it paused for.
import type { Commits } from './commits.ts';
import type { ActivationPorts } from './perform.ts';
import { type Quarantine, quarantineRow, releaseRow } from './quarantine.ts';
import type { Restarts } from './restarts.ts';

/** The activation, as its quarantine sees it. */
export interface Quarantined {
  readonly ports: ActivationPorts;
  readonly restarts: Restarts;
  /** Whether this record still holds. */
  isStill(record: Quarantine): boolean;
  /** True where the error says that the shard is someone else's: the activation is gone then. */
  isLost(error: unknown): boolean;
}

/** Commits the record; the pause holds at once. */
export function commitQuarantine(
  of: Quarantined,
  commits: Commits,
  record: Quarantine,
  attempt = 1,
): void {
  commits.decide([quarantineRow(record)]).catch((error: unknown) => {
    if (of.isLost(error) || !of.isStill(record)) return;
    of.restarts.waitFor('quarantine', of.restarts.backOff(attempt), () =>
      commitQuarantine(of, commits, record, attempt + 1),
    );
  });
}

/** Commits the end of a quarantine. Resolves true where it held until then; rejects as `Decisions.commit` does. */
export async function commitRelease(
  of: Quarantined,
  commits: Commits,
  record: Quarantine,
): Promise<boolean> {
  try {
    await commits.decide([releaseRow(record, of.ports.clock.nowMs())]);
  } catch (error) {
    of.isLost(error);
    throw error;
  }
  return of.isStill(record);
}
