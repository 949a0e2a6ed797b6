// What the resources of a tenant have in common: bounds, metadata, fresh ids, and the size that a document may have.
// Must not know any one resource.
import { refused } from '../refusal.ts';
import { hash, type Rule } from '../validate.ts';

/** Notifications, plans, suppressions of one tenant: all are pushed to every node that serves it. */
export const resourcesMax = 1_000;
/** A document must fit a commit batch with its head (storage.md §6). */
const documentCharactersMax = 48_000;

/** JSON values by name. */
export const metadata: Rule = hash({ k: [1, 255], max: 256 });

/** Returns `candidate`, with a counter where an older object has that id. */
export function freshId(candidate: string, taken: ReadonlyMap<string, unknown>): string {
  if (!taken.has(candidate)) return candidate;
  for (let n = 2; ; n += 1) if (!taken.has(`${candidate}${n}`)) return `${candidate}${n}`;
}

/** Returns a refusal where one more object is too many, else null. */
export function full(
  what: string,
  held: ReadonlyMap<string, unknown>,
): ReturnType<typeof refused> | null {
  if (held.size < resourcesMax) return null;
  return refused('limitReached', `Limit of ${resourcesMax} ${what} has been reached`);
}

/** Returns a refusal where the document is larger than can be stored, else null. */
export function tooLarge(document: object): ReturnType<typeof refused> | null {
  if (JSON.stringify(document).length <= documentCharactersMax) return null;
  return refused(
    'badRequest',
    'Object is too large',
    `An object has at most ${documentCharactersMax} characters`,
  );
}
