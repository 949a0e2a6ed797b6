// Notifications (channels), and sending a test through one, stored or not.
import type { NotificationDoc } from '../../actors/resources.ts';
import { type Answer, gone, named, ok } from '../answer.ts';
import { ask, type Call, linkTo, param, principalOf, tenantKey } from '../call.ts';
import { changeOf } from '../change.ts';
import { createObject } from '../create.ts';
import { hash, instant, listOf, object, pageQueryById, text } from '../json-schema.ts';
import { pageOf } from '../page.ts';
import type { Route } from '../route.ts';
import { create, read, remove, test, update } from './define.ts';

const schema = object({
  id: text,
  label: text,
  type: text,
  details: { type: 'object', additionalProperties: true },
  metadata: hash,
  created_at: instant,
  updated_at: instant,
});

const outcome = object({ status: { type: 'string', enum: ['success', 'error'] }, message: text });
const draft = { ...schema, required: ['type', 'details'] };
const tag = 'notifications';

export const notificationRoutes: readonly Route[] = [
  read({
    path: '/notifications',
    id: 'listNotifications',
    tag,
    summary: 'List notifications',
    role: 'read',
    query: pageQueryById,
    returns: listOf(schema),
    handle: async (call) => {
      const all = await ask<readonly NotificationDoc[]>(call, tenantKey(call), {
        kind: 'notification.list',
      });
      return pageOf(call, all, (one) => one.id, { filterById: true });
    },
  }),
  create({
    path: '/notifications',
    id: 'createNotification',
    tag,
    summary: 'Create a notification',
    takes: { ...schema, required: ['label', 'type', 'details'] },
    handle: async (call) => {
      const id = await createObject(call, { kind: 'notification', owner: () => tenantKey(call) });
      return named(201, id, linkTo(call, `/notifications/${id}`));
    },
  }),
  read({
    path: '/notifications/:notification',
    id: 'getNotification',
    tag,
    summary: 'Read a notification',
    role: 'read',
    returns: schema,
    handle: async (call) =>
      ok(
        await ask<NotificationDoc>(call, tenantKey(call), {
          kind: 'notification.get',
          id: param(call, 'notification'),
        }),
      ),
  }),
  update({
    path: '/notifications/:notification',
    id: 'updateNotification',
    tag,
    summary: 'Change a notification',
    takes: schema,
    handle: async (call) => {
      const id = param(call, 'notification');
      await ask(call, tenantKey(call), {
        kind: 'notification.update',
        id,
        attributes: call.body,
        change: changeOf(call),
      });
      return named(204, id, linkTo(call, `/notifications/${id}`));
    },
  }),
  remove({
    path: '/notifications/:notification',
    id: 'deleteNotification',
    tag,
    summary: 'Delete a notification that no plan uses',
    handle: async (call) => {
      const id = param(call, 'notification');
      const message = { kind: 'notification.delete', id, change: changeOf(call) };
      await ask(call, tenantKey(call), message);
      return gone();
    },
  }),
  test({
    path: '/notifications/:notification/test',
    id: 'testExistingNotification',
    tag,
    summary: 'Send a test through a stored notification',
    bodyUse: 'ignored',
    rate: 'test_notification',
    returns: outcome,
    handle: (call) => send(call, param(call, 'notification')),
  }),
  ...['test-notification', 'test-notifications'].map((path) =>
    test({
      path: `/${path}`,
      id: path === 'test-notification' ? 'testNotification' : 'testNotificationAlias',
      tag,
      summary: 'Send a test through a notification that is not stored',
      takes: draft,
      rate: 'test_notification',
      returns: outcome,
      handle: (call) => send(call, null),
    }),
  ),
];

async function send(call: Call, id: string | null): Promise<Answer> {
  const notification = await ask<NotificationDoc>(call, tenantKey(call), {
    kind: 'notification.prepareTest',
    id,
    attributes: call.body,
  });
  const { status, message } = await call.ports.testNotification(
    notification,
    principalOf(call).documents,
  );
  return ok({ status, message });
}
