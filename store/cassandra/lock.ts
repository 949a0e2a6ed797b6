// The migrator's lock: one row of `schema_lock`, taken and renewed by compare-and-set, gone by itself when its holder dies.
// Follows storage.md §16.
import type { Clock } from '../../runtime/ports.ts';
import { storeError } from '../errors.ts';
import type { SchemaLink } from './schema-link.ts';

const keepS = 300;
const renewMs = 60_000;
const pollMs = 500;

const takeLock = `INSERT INTO schema_lock (name, owner) VALUES ('schema', ?) IF NOT EXISTS USING TTL ${keepS}`;
const renewLock = `UPDATE schema_lock USING TTL ${keepS} SET owner = ? WHERE name = 'schema' IF owner = ?`;
const dropLock = "DELETE FROM schema_lock WHERE name = 'schema' IF owner = ?";

/**
 * Runs `work` while this process holds the lock. Rejects `ST_UNAVAILABLE` where another holds it for longer than `waitMs`.
 * `work` may ask `isHeld`, and must be harmless where it is not any more.
 */
export async function withSchemaLock<Answer>(
  link: SchemaLink,
  of: { readonly owner: string; readonly clock: Clock; readonly waitMs: number },
  work: (isHeld: () => boolean) => Promise<Answer>,
): Promise<Answer> {
  const { owner, clock, waitMs } = of;
  const deadlineMonoMs = clock.monoMs() + waitMs;
  while (!(await take(link, owner))) {
    if (clock.monoMs() > deadlineMonoMs) {
      throw storeError('ST_UNAVAILABLE', 'another node has been changing the schema for too long');
    }
    await new Promise<void>((resolve) => {
      clock.schedule(clock.monoMs() + pollMs, resolve);
    });
  }
  let heldUntilMonoMs = clock.monoMs() + keepS * 500;
  let cancel = (): void => undefined;
  const renewLater = (): void => {
    cancel = clock.schedule(clock.monoMs() + renewMs, () => {
      const askedMonoMs = clock.monoMs();
      link.cas(renewLock, [owner, owner]).then(
        ({ applied }) => {
          if (applied) heldUntilMonoMs = askedMonoMs + keepS * 500;
          renewLater();
        },
        () => renewLater(),
      );
    });
  };
  renewLater();
  try {
    return await work(() => clock.monoMs() < heldUntilMonoMs);
  } finally {
    cancel();
    // Not released: it goes by its TTL.
    await link.cas(dropLock, [owner]).catch(link.report);
  }
}

/** An unknown outcome is asked again: the row then names its owner. */
async function take(link: SchemaLink, owner: string): Promise<boolean> {
  const answer = await link.cas(takeLock, [owner]);
  return answer.applied || answer.row?.['owner'] === owner;
}
