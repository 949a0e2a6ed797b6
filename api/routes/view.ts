// Views: many objects in one answer, gathered from the owners of the entities.
import type { AlarmView, EntityOverview, LatestAlarmState } from '../../actors/entity/messages.ts';
import type { Answer } from '../answer.ts';
import { ask, type Call, param, tenantKey } from '../call.ts';
import { askEach, chosenEntities, chosenPage, entityPage } from '../entity-list.ts';
import {
  array,
  type JsonSchema,
  listOf,
  object,
  pageQuery,
  state,
  text,
  textOrNull,
  whole,
  wholeOrNull,
} from '../json-schema.ts';
import { envelope, pageOf, pageRequest } from '../page.ts';
import type { Route } from '../route.ts';
import { alarmSchema } from './alarm.ts';
import { checkSchema } from './check.ts';
import { read } from './define.ts';
import { entitySchema } from './entity.ts';

const latest = object({
  timestamp: wholeOrNull,
  entity_id: text,
  alarm_id: text,
  alarm_label: textOrNull,
  check_id: text,
  status: text,
  state,
  previous_state: state,
  analyzed_by_monitoring_zone_id: textOrNull,
  alarm_changelog_id: textOrNull,
});

const repeatable: JsonSchema = {
  type: 'array',
  items: text,
  description: 'Repeatable, at most 100',
};
const filters = { ...pageQuery, entityId: repeatable, uri: repeatable, agentId: repeatable };
const tag = 'views';

export const viewRoutes: readonly Route[] = [
  read({
    path: '/views/overview',
    id: 'viewOverview',
    tag,
    summary: 'Entities with their checks, alarms and latest alarm states',
    role: 'read',
    query: filters,
    returns: listOf(
      object({
        entity: entitySchema,
        checks: array(checkSchema),
        alarms: array(alarmSchema),
        latest_alarm_states: array(latest),
      }),
    ),
    handle: (call) => overviews(call, (one) => one),
  }),
  read({
    path: '/views/latest_alarm_states',
    id: 'viewLatestAlarmStates',
    tag,
    summary: 'Latest alarm states by entity',
    role: 'read',
    query: filters,
    returns: listOf(
      object({
        entity_id: text,
        entity_uri: textOrNull,
        entity_label: text,
        latest_alarm_states: array(latest),
      }),
    ),
    handle: (call) => overviews(call, latestOf),
  }),
  read({
    path: '/views/alarmCountsPerNp',
    id: 'viewAlarmCountsPerPlan',
    tag,
    summary: 'How many alarms each notification plan has',
    role: 'read',
    query: pageQuery,
    returns: listOf(object({ notification_plan_id: text, alarm_count: whole })),
    handle: async (call) => {
      const counts = await ask<readonly { readonly notification_plan_id: string }[]>(
        call,
        tenantKey(call),
        { kind: 'plan.alarmCounts' },
      );
      return pageOf(call, counts, (one) => one.notification_plan_id);
    },
  }),
  read({
    path: '/views/alarmsByNp/:plan',
    id: 'viewAlarmsByPlan',
    tag,
    summary: 'Alarms of a notification plan',
    role: 'read',
    query: pageQuery,
    returns: listOf(alarmSchema),
    handle: alarmsOfPlan,
  }),
];

function latestOf(overview: EntityOverview): {
  readonly entity_id: string;
  readonly latest_alarm_states: readonly LatestAlarmState[];
} & Readonly<Record<string, unknown>> {
  const { entity, latest_alarm_states } = overview;
  const { id, uri, label } = entity;
  return { entity_id: id, entity_uri: uri, entity_label: label, latest_alarm_states };
}

async function overviews(
  call: Call,
  itemOf: (overview: EntityOverview) => unknown,
): Promise<Answer> {
  const request = pageRequest(call);
  const chosen = await chosenEntities(call);
  const page =
    chosen === null
      ? await entityPage<EntityOverview>(call, request, 'entity.overview')
      : await chosenPage<EntityOverview>(call, chosen, request, 'entity.overview');
  return envelope(call, page.items.map(itemOf), request, page.next, page.extra);
}

interface AlarmPlace {
  readonly entity: string;
  readonly alarm: string;
}

async function alarmsOfPlan(call: Call): Promise<Answer> {
  const { limit, marker } = pageRequest(call);
  const places = await ask<readonly AlarmPlace[]>(call, tenantKey(call), {
    kind: 'plan.alarms',
    id: param(call, 'plan'),
  });
  const sorted = places
    .filter((place) => marker === null || place.alarm >= marker)
    .sort((a, b) => (a.alarm < b.alarm ? -1 : 1));
  const { alarms, extra } = await alarmsAt(call, sorted.slice(0, limit));
  return envelope(call, alarms, { limit, marker }, sorted[limit]?.alarm ?? null, extra);
}

/** Each entity is asked once for all of its alarms: asked for each alarm, many readers would fill its mailbox. */
async function alarmsAt(call: Call, places: readonly AlarmPlace[]) {
  const entities = [...new Set(places.map(({ entity }) => entity))];
  const { answers: lists, extra } = await askEach<readonly AlarmView[]>(
    call,
    entities,
    'alarm.list',
  );
  const byPlace = new Map(
    lists.flatMap((list, at) =>
      (list ?? []).map((alarm) => [`${entities[at]}:${alarm.id}`, alarm] as const),
    ),
  );
  const alarms = places.flatMap(({ entity, alarm }) => byPlace.get(`${entity}:${alarm}`) ?? []);
  return { alarms, extra };
}
