// Changes of an entity itself, and the way that every change takes: a repeated request gets its first outcome, what does
// not exist is refused, else the change is made and committed. Checks and alarms: check-changes.ts, alarm-changes.ts.
import { assert, never } from '../../runtime/assert.ts';
import { accepted, invalid, missing, type Outcome, parentMissing, refused } from '../refusal.ts';
import type { EntityDoc } from '../resources.ts';
import { repeated } from '../tenant/idempotency.ts';
import {
  type Attributes,
  boolean,
  hash,
  ip,
  matching,
  type Schema,
  string,
  validateAttributes,
} from '../validate.ts';
import { alarmCreated, alarmDeleted, alarmUpdated } from './alarm-changes.ts';
import { checkCreated, checkDeleted, checkUpdated } from './check-changes.ts';
import { committed, deleted, madeByOf, written } from './commit.ts';
import type { EntityChange } from './messages.ts';
import { disarmed } from './polling.ts';
import { reported, reportTimer } from './report.ts';
import { entityIdOf, exists, type Stored } from './state.ts';
import type { Turn } from './turn.ts';

const schema: Schema = {
  label: { rule: string(1, 255), required: true },
  ip_addresses: { rule: hash({ k: [1, 64], v: ip, max: 64 }) },
  metadata: { rule: hash({ k: [1, 255], v: [1, 255], max: 256 }) },
  agent_id: { rule: matching(/^[-.\w]{1,255}$/, 'Invalid agent id') },
  managed: { rule: boolean, default: false },
  uri: { rule: string(0, 1024) },
};

/** Makes a change, or refuses it; the reply's outcome. */
export function changed(turn: Turn, message: EntityChange): Outcome<unknown> {
  const before = repeated(turn.state.recent, message.change);
  if (before !== null) return before;
  if (!exists(turn.state) && message.kind !== 'entity.create') {
    // Nothing is worth keeping in memory, but for the outcomes of an entity that was just deleted.
    if (turn.state.recent.length === 0) turn.effects.push({ type: 'stop' });
    const id = entityIdOf(turn.state);
    return message.kind.startsWith('entity.') ? missing('Entity', id) : parentMissing('Entity', id);
  }
  return made(turn, message);
}

function made(turn: Turn, message: EntityChange): Outcome<unknown> {
  switch (message.kind) {
    case 'entity.create':
      return entityCreated(turn, message);
    case 'entity.update':
      return entityUpdated(turn, message);
    case 'entity.delete':
      return entityDeleted(turn, message);
    case 'check.create':
      return checkCreated(turn, message);
    case 'check.update':
      return checkUpdated(turn, message);
    case 'check.delete':
      return checkDeleted(turn, message);
    case 'alarm.create':
      return alarmCreated(turn, message);
    case 'alarm.update':
      return alarmUpdated(turn, message);
    case 'alarm.delete':
      return alarmDeleted(turn, message);
    default:
      return never(message, 'change');
  }
}

type Of<Kind extends EntityChange['kind']> = Extract<EntityChange, { readonly kind: Kind }>;

function entityCreated(turn: Turn, message: Of<'entity.create'>): Outcome<unknown> {
  const { state, context } = turn;
  const { id, change } = message;
  assert(id === entityIdOf(state), 'an entity is created under its own key');
  const madeBy = madeByOf(change);
  if (exists(state)) {
    return state.entity.madeBy === madeBy
      ? accepted({ id })
      : refused('conflict', 'Object exists', `Object "Entity" with key "${id}" exists`);
  }
  const valid = validateAttributes(schema, message.attributes, 'create');
  if (!valid.ok) {
    if (state.recent.length === 0) turn.effects.push({ type: 'stop' });
    return valid;
  }
  const { nowMs } = context;
  const doc = { id, ...entityAttributes(valid.value), created_at: nowMs, updated_at: nowMs };
  const entity: Stored<EntityDoc> = { doc, madeBy, rev: 1 };
  turn.state = { ...state, entity };
  const value = { id };
  const listing = { label: doc.label };
  committed(turn, {
    kind: message.kind,
    id,
    change,
    value,
    written: [written('entity', entity)],
    listing,
  });
  reported(turn);
  reportTimer(turn);
  return accepted(value);
}

function entityAttributes(valid: Attributes): Omit<EntityDoc, 'id' | 'created_at' | 'updated_at'> {
  return {
    label: valid['label'] as string,
    ip_addresses: valid['ip_addresses'] as EntityDoc['ip_addresses'],
    metadata: valid['metadata'] as EntityDoc['metadata'],
    agent_id: valid['agent_id'] as string | null,
    managed: valid['managed'] as boolean,
    uri: valid['uri'] as string | null,
  };
}

function entityUpdated(turn: Turn, message: Of<'entity.update'>): Outcome<unknown> {
  const { state, context } = turn;
  assert(exists(state), 'what does not exist was refused before');
  const before = state.entity;
  const valid = validateAttributes(schema, message.attributes, 'update', { ...before.doc });
  if (!valid.ok) return valid;
  const { id, created_at } = before.doc;
  const doc = { id, ...entityAttributes(valid.value), created_at, updated_at: context.nowMs };
  const orphan = state.checks.find(
    ({ doc: { target_alias: alias } }) =>
      alias !== null && !Object.hasOwn(doc.ip_addresses ?? {}, alias),
  );
  if (orphan !== undefined) {
    const rule = `Key ${orphan.doc.target_alias}: is the target_alias of check ${orphan.doc.id}`;
    return invalid('ip_addresses', rule);
  }
  const entity = { ...before, doc, rev: before.rev + 1 };
  turn.state = { ...state, entity };
  const { kind, change } = message;
  const listing = { label: doc.label };
  committed(turn, {
    kind,
    id,
    change,
    value: { id },
    written: [written('entity', entity)],
    listing,
  });
  return accepted({ id });
}

/** Deletes the entity with its checks and alarms. It stays in memory a while, for requests that are repeated. */
function entityDeleted(turn: Turn, message: Of<'entity.delete'>): Outcome<unknown> {
  const { state } = turn;
  assert(exists(state), 'what does not exist was refused before');
  for (const check of state.checks) disarmed(turn, check);
  turn.effects.push({ type: 'cancelTimer', id: 'waiting' });
  const gone = [
    deleted('entity', state.entity),
    ...state.checks.map((check) => deleted('check', check)),
    ...state.alarms.map((alarm) => deleted('alarm', alarm)),
  ];
  const value = {
    checks: state.checks.map((check) => check.doc.id),
    alarms: state.alarms.map((alarm) => alarm.doc.id),
  };
  turn.state = { ...state, entity: null, checks: [], alarms: [], waiting: [] };
  const { kind, change } = message;
  committed(turn, {
    kind,
    id: entityIdOf(state),
    change,
    value,
    written: gone,
    listing: { label: null },
  });
  reported(turn);
  reportTimer(turn);
  return accepted(value);
}
