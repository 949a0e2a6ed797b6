// Tocsin's own: live state of an entity from its owner's memory, why an alarm has its state, the account of poll slots,
// live streams, and the release of a quarantined entity.
import type { AlarmExplanation, LiveState, SlotsInFlight } from '../../actors/entity/messages.ts';
import { type ReadTick, slotReport } from '../../actors/entity/slots.ts';
import { releaseMessage } from '../../runtime/catalog.ts';
import { decodeValue } from '../../runtime/codec.ts';
import { type ActorKey, shardOf } from '../../runtime/ids.ts';
import { type Answer, gone, ok } from '../answer.ts';
import { ask, type Call, entityKey, param, principalOf, tenantOfCall } from '../call.ts';
import { ApiError, invalidKey, notFound } from '../errors.ts';
import { array, flag, object, text, texts, whole, wholeOrNull } from '../json-schema.ts';
import { wholeList } from '../page.ts';
import { wholeOf } from '../query.ts';
import type { Route } from '../route.ts';
import { change, read } from './define.ts';

const live = object({
  entity: object({}),
  node: text,
  epoch: whole,
  age: wholeOrNull,
  committed: flag,
  checks: array(object({})),
  alarms: array(object({})),
  conditions: array(object({ name: text, since_ms: whole, text })),
});

const explanation = object({
  alarm: object({}),
  state: text,
  status: text,
  settings: object({}),
  zones: array(object({})),
  why: texts,
  suppressed_by: texts,
  conditions: array(object({})),
});

const sums = { ran: whole, failed: whole, skipped: whole, lost: whole, pending: whole } as const;
const report = object({
  metadata: object({ count: whole, from: whole, to: whole }),
  values: array(
    object({
      monitoring_zone_id: text,
      slot: whole,
      outcome: { type: 'string', enum: ['ran', 'failed', 'skipped', 'lost', 'pending'] },
      why: { type: ['string', 'null'] },
      from: whole,
      to: whole,
      slots: whole,
    }),
  ),
  sums: object(sums),
  zones: array(object({ monitoring_zone_id: text, ...sums })),
});

const tag = 'live';
const events = {
  type: 'string',
  description: 'Server-sent events: hello, changelog, bye',
} as const;

export const liveRoutes: readonly Route[] = [
  read({
    path: '/entities/:entity/state',
    id: 'getLiveState',
    tag,
    own: true,
    summary: 'Live state of an entity, from the memory of its owner',
    role: 'read',
    returns: live,
    handle: async (call) => ok(await ask<LiveState>(call, owner(call), { kind: 'entity.live' })),
  }),
  read({
    path: '/entities/:entity/alarms/:alarm/explain',
    id: 'explainAlarm',
    tag,
    own: true,
    summary: 'Why an alarm has its state, and what is missing for another',
    role: 'read',
    returns: explanation,
    handle: async (call) =>
      ok(
        await ask<AlarmExplanation>(call, owner(call), {
          kind: 'alarm.explain',
          id: param(call, 'alarm'),
        }),
      ),
  }),
  read({
    path: '/entities/:entity/checks/:check/slots',
    id: 'listSlots',
    tag,
    own: true,
    summary: 'How every poll slot of a check ended, by zone; at most six hours',
    role: 'readChecks',
    query: { from: whole, to: whole },
    returns: report,
    handle: slots,
  }),
  read({
    path: '/stream',
    id: 'streamTenant',
    tag,
    own: true,
    summary: 'Live stream of all state changes; resumable by Last-Event-ID',
    role: 'read',
    type: 'text/event-stream',
    returns: events,
    handle: async (call) => stream(call, null),
  }),
  read({
    path: '/entities/:entity/stream',
    id: 'streamEntity',
    tag,
    own: true,
    summary: 'Live stream of the state changes of an entity; resumable by Last-Event-ID',
    role: 'read',
    type: 'text/event-stream',
    returns: events,
    handle: async (call) => {
      await ask(call, owner(call), { kind: 'entity.get' });
      return stream(call, owner(call));
    },
  }),
  {
    ...change('POST', {
      path: '/entities/:entity/release',
      id: 'releaseEntity',
      tag,
      own: true,
      summary: 'End the quarantine of an entity',
      role: 'operator',
      status: 204,
      audit: 'api',
      bodyUse: 'ignored',
      handle: release,
    }),
    tenant: 'named',
  },
];

function owner(call: Call): ActorKey {
  return entityKey(call, param(call, 'entity'));
}

const hourMs = 3_600_000;
const rangeMsMax = 6 * hourMs;
const ticksPerRead = 10_000;
const readsMax = 10;

async function slots(call: Call): Promise<Answer> {
  const nowMs = call.ports.clock.nowMs();
  const toMs = wholeOf(call.query, 'to') ?? nowMs;
  const fromMs = wholeOf(call.query, 'from') ?? Math.max(0, toMs - hourMs);
  if (fromMs >= toMs) throw invalidKey('from', "'from' must be less than 'to'");
  if (toMs - fromMs > rangeMsMax) throw invalidKey('from', 'The range is longer than six hours');
  const key = owner(call);
  const check = param(call, 'check');
  const schedule = await ask<SlotsInFlight>(call, key, { kind: 'check.slots', id: check });
  // A run of skipped or lost slots is stored at its first one, which may lie before the range.
  const ticks = await ticksOf(call, { key, check, fromMs: fromMs - hourMs, toMs });
  const { items, sums: total, zones } = slotReport(ticks, schedule, { fromMs, toMs, nowMs });
  return wholeList(items, { from: fromMs, to: toMs }, { sums: total, zones });
}

interface TickRange {
  readonly key: ActorKey;
  readonly check: string;
  readonly fromMs: number;
  readonly toMs: number;
}

async function ticksOf(call: Call, range: TickRange): Promise<readonly ReadTick[]> {
  const { key, check, toMs } = range;
  const found = new Map<string, ReadTick>();
  let fromMs = Math.max(0, range.fromMs);
  for (let reads = 0; reads < readsMax; reads++) {
    const query = { shard: shardOf(key), key, check, fromMs, toMs, limit: ticksPerRead };
    const rows = await call.ports.samples.readTicks(query);
    for (const { zone, slotAtMs, value } of rows) {
      found.set(`${zone} ${slotAtMs}`, { zone, slotAtMs, value: decodeValue(value) });
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < ticksPerRead || last.slotAtMs <= fromMs) break;
    fromMs = last.slotAtMs;
  }
  return [...found.values()];
}

function stream(call: Call, key: ActorKey | null): Answer {
  const { streams, authenticator } = call.services;
  const tenant = tenantOfCall(call);
  const token = call.headers['x-auth-token'];
  const { tokenId } = principalOf(call);
  const lastEventId = call.headers['last-event-id'];
  streams.demandRoom(tenant);
  return {
    kind: 'stream',
    type: 'text/event-stream; charset=UTF-8',
    headers: { 'X-Accel-Buffering': 'no' },
    open: (raw) =>
      streams.open(raw, {
        tenant,
        key,
        lastEventId: typeof lastEventId === 'string' && lastEventId !== '' ? lastEventId : null,
        isAllowed: async () => {
          const principal = typeof token === 'string' ? await authenticator.find(token) : null;
          return principal?.tokenId === tokenId;
        },
      }),
  };
}

async function release(call: Call): Promise<Answer> {
  const key = owner(call);
  if (await call.ports.router.ask<boolean>(key, releaseMessage)) return gone();
  const known = await call.ports.documents(tenantOfCall(call));
  if (known === null) throw notFound('Account', tenantOfCall(call));
  throw new ApiError('badRequest', 'The entity is not quarantined');
}
