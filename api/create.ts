// Creating objects: a place is reserved with the tenant's limits, then the owner is asked with a derived id.
// Owns the order of the two; must not know attributes.
import type { Created } from '../actors/change.ts';
import type { Outcome } from '../actors/refusal.ts';
import type { ActorKey } from '../runtime/ids.ts';
import type { Message } from '../runtime/message.ts';
import { ask, type Call, tenantKey, tenantOfCall } from './call.ts';
import { changeOf, seedOf } from './change.ts';
import { createWithId, type ObjectKind, objectId } from './object-id.ts';

interface Creation {
  readonly kind: ObjectKind;
  /** Owner of the new object by its id. */
  readonly owner: (id: string) => ActorKey;
  /** Set for what counts against the tenant's limits: the entity it belongs to. */
  readonly reserve?: (id: string) => {
    readonly what: 'entity' | 'check' | 'alarm';
    readonly entity: string;
  };
}

/** Creates an object of the request's body; returns its id. Throws the ApiError of a refusal. */
export function createObject(call: Call, creation: Creation): Promise<string> {
  const change = changeOf(call);
  const tenant = tenantOfCall(call);
  const { kind } = creation;
  return createWithId(
    (counter) => objectId(tenant, kind, seedOf(change), counter),
    async (id) => {
      const place = creation.reserve?.(id);
      if (place !== undefined) {
        await ask<null>(call, tenantKey(call), { kind: 'tenant.reserve', ...place, id });
      }
      const message: Message & Record<string, unknown> = {
        kind: `${kind}.create`,
        id,
        attributes: call.body,
        change,
      };
      const outcome = await call.ports.router.ask<Outcome<Created>>(creation.owner(id), message);
      if (!outcome.ok && place !== undefined) {
        await ask<null>(call, tenantKey(call), { kind: 'tenant.release', what: place.what, id });
      }
      return outcome;
    },
  );
}
