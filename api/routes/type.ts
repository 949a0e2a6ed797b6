// Check types and notification types: what an installation knows.
import { ok } from '../answer.ts';
import { param } from '../call.ts';
import { notFound } from '../errors.ts';
import { array, flag, listOf, object, pageQuery, text } from '../json-schema.ts';
import { notificationTypes } from '../notification-types.ts';
import { pageOf } from '../page.ts';
import type { Route } from '../route.ts';
import { read } from './define.ts';

const field = object({ name: text, description: text, optional: flag });
const checkType = object({ id: text, type: text, category: text, fields: array(field) });
const notificationType = object({ id: text, fields: { type: ['array', 'null'], items: field } });
const tag = 'types';

export const typeRoutes: readonly Route[] = [
  read({
    path: '/check_types',
    id: 'listCheckTypes',
    tag,
    summary: 'List check types',
    role: 'read',
    query: pageQuery,
    returns: listOf(checkType),
    handle: async (call) => pageOf(call, call.ports.checkTypes, (one) => one.id),
  }),
  read({
    path: '/check_types/:type',
    id: 'getCheckType',
    tag,
    summary: 'Read a check type',
    role: 'read',
    returns: checkType,
    handle: async (call) => ok(byId(call.ports.checkTypes, param(call, 'type'), 'CheckType')),
  }),
  read({
    path: '/notification_types',
    id: 'listNotificationTypes',
    tag,
    summary: 'List notification types',
    role: 'read',
    query: pageQuery,
    returns: listOf(notificationType),
    handle: async (call) => pageOf(call, notificationTypes, (one) => one.id),
  }),
  read({
    path: '/notification_types/:type',
    id: 'getNotificationType',
    tag,
    summary: 'Read a notification type',
    role: 'read',
    returns: notificationType,
    handle: async (call) => ok(byId(notificationTypes, param(call, 'type'), 'NotificationType')),
  }),
];

function byId<Item extends { readonly id: string }>(
  items: readonly Item[],
  id: string,
  what: string,
): Item {
  const found = items.find((item) => item.id === id);
  if (found === undefined) throw notFound(what, id.slice(0, 80));
  return found;
}
