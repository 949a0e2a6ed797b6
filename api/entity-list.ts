// Entities of a tenant in id order, a page at a time: ids from the listing, each entity asked of its owner, a bounded
// number at once. What is being deleted meanwhile is left out; what is quarantined and cannot be shown is named; where an
// owner does not answer there is no answer. Owns the filters by `entityId`, `uri` and `agentId`.
import type { EntityView } from '../actors/entity/messages.ts';
import { codeOf } from '../runtime/refusals.ts';
import { mapLimited } from '../runtime/work-queue.ts';
import { askOrNull, type Call, entityKey, tenantOfCall } from './call.ts';
import { badRequest, notFound } from './errors.ts';
import type { PageRequest } from './page.ts';
import { valuesOf } from './query.ts';

export interface EntityPage<Item> {
  readonly items: readonly Item[];
  /** First entity id of the next page, or null. */
  readonly next: string | null;
  /** Beside the page, in its metadata: who is missing in it. */
  readonly extra: { readonly quarantined?: readonly string[] };
}

/** Answers in the order of the ids, null for what is gone; `quarantined`: entities whose state cannot even be built. */
export async function askEach<Item>(
  call: Call,
  ids: readonly string[],
  kind: string,
): Promise<{
  readonly answers: readonly (Item | null)[];
  readonly extra: EntityPage<Item>['extra'];
}> {
  const quarantined: string[] = [];
  const { listConcurrency } = call.ports.limits;
  const answers = await mapLimited(ids, listConcurrency, async (id) => {
    try {
      return await askOrNull<Item>(call, entityKey(call, id), { kind });
    } catch (error) {
      if (codeOf(error) !== 'RT_QUARANTINED') throw error;
      quarantined.push(id);
      return null;
    }
  });
  return { answers, extra: quarantined.length === 0 ? {} : { quarantined: quarantined.sort() } };
}

/** Asks each entity the same question; what is gone is left out. */
async function askEntities<Item>(
  call: Call,
  ids: readonly string[],
  kind: string,
): Promise<Pick<EntityPage<Item>, 'items' | 'extra'>> {
  const { answers, extra } = await askEach<Item>(call, ids, kind);
  return { items: answers.filter((answer): answer is NonNullable<Item> => answer !== null), extra };
}

/** Returns the page of entities that the listing gives, each answered by its owner. */
export async function entityPage<Item>(
  call: Call,
  request: PageRequest,
  kind: string,
): Promise<EntityPage<Item>> {
  const { limit, marker } = request;
  const rows = await call.ports.states.listEntities(tenantOfCall(call), marker, limit + 1);
  const ids = rows.slice(0, limit).map((row) => row.entity);
  return { ...(await askEntities<Item>(call, ids, kind)), next: rows[limit]?.entity ?? null };
}

/** Returns the page of these entities only, in id order. */
export async function chosenPage<Item>(
  call: Call,
  chosen: readonly string[],
  request: PageRequest,
  kind: string,
): Promise<EntityPage<Item>> {
  const { limit, marker } = request;
  const sorted = [...new Set(chosen)].sort().filter((id) => marker === null || id >= marker);
  const found = await askEntities<Item>(call, sorted.slice(0, limit), kind);
  return { ...found, next: sorted[limit] ?? null };
}

/** Most entities that one request may name. */
const chosenMax = 100;

/**
 * Returns the ids that the filters of a view choose, or null where there are none. Throws 400 for more than one kind of
 * filter, 404 for an unknown `entityId` and where no `uri` or `agentId` is known.
 */
export async function chosenEntities(call: Call): Promise<readonly string[] | null> {
  const byId = valuesOf(call.query, 'entityId');
  const byUri = valuesOf(call.query, 'uri');
  const byAgent = valuesOf(call.query, 'agentId');
  const kinds = [byId, byUri, byAgent].filter((values) => values.length > 0);
  if (kinds.length === 0) return null;
  if (kinds.length > 1) throw badRequest("Only one of 'entityId', 'uri' and 'agentId' is allowed");
  if ((kinds[0]?.length ?? 0) > chosenMax) throw badRequest(`At most ${chosenMax} can be named`);
  if (byId.length > 0) return demandAll(call, byId);
  const wanted = new Set(byUri.length > 0 ? byUri : byAgent);
  const key = byUri.length > 0 ? 'uri' : 'agent_id';
  const found = await scan(call, (entity) => wanted.has(entity[key] ?? ''));
  if (found.length === 0) throw notFound('Entity', [...wanted].join(',').slice(0, 200));
  return found;
}

async function demandAll(call: Call, ids: readonly string[]): Promise<readonly string[]> {
  const { items, extra } = await askEntities<EntityView>(call, [...new Set(ids)], 'entity.get');
  const knownIds = new Set([...items.map((entity) => entity.id), ...(extra.quarantined ?? [])]);
  const unknown = ids.find((id) => !knownIds.has(id));
  if (unknown !== undefined) throw notFound('Entity', unknown.slice(0, 80));
  return ids;
}

async function scan(
  call: Call,
  isWanted: (entity: EntityView) => boolean,
): Promise<readonly string[]> {
  const found: string[] = [];
  let marker: string | null = null;
  for (let seen = 0; seen < call.ports.limits.scanEntitiesMax; seen += 500) {
    const page: EntityPage<EntityView> = await entityPage(
      call,
      { limit: 500, marker },
      'entity.get',
    );
    found.push(...page.items.filter(isWanted).map((entity) => entity.id));
    marker = page.next;
    if (marker === null || found.length > 1_000) return found;
  }
  return found;
}
