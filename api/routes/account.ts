// Account, limits, usage and the signing secret of a tenant.
import type { AccountDoc, LimitsDoc } from '../../actors/resources.ts';
import type { Usage } from '../../actors/tenant/messages.ts';
import { type Answer, named, ok } from '../answer.ts';
import { ask, type Call, linkTo, tenantKey, tenantOfCall } from '../call.ts';
import { changeOf } from '../change.ts';
import { hash, object, text, texts, whole } from '../json-schema.ts';
import { type RateClass, rateWindow } from '../rate-limits.ts';
import type { Route } from '../route.ts';
import { read, update } from './define.ts';

const account = object({
  id: text,
  metadata: hash,
  webhook_token: text,
  technical_contacts: texts,
});
const rate = object({ limit: whole, used: whole, window: text });

export const accountRoutes: readonly Route[] = [
  read({
    path: '/account',
    id: 'getAccount',
    tag: 'account',
    summary: 'The account: metadata, webhook token',
    role: 'read',
    returns: account,
    handle: async (call) => {
      const doc = await ask<AccountDoc>(call, tenantKey(call), { kind: 'account.get' });
      const { id, metadata, webhook_token, technical_contacts } = doc;
      return ok({ id, metadata, webhook_token, technical_contacts });
    },
  }),
  update({
    path: '/account',
    id: 'updateAccount',
    tag: 'account',
    summary: 'Change the account',
    takes: account,
    handle: async (call) => {
      const done = await ask<{ readonly id: string }>(call, tenantKey(call), {
        kind: 'account.update',
        attributes: call.body,
        change: changeOf(call),
      });
      return named(204, done.id, linkTo(call, '/account'));
    },
  }),
  read({
    path: '/account/signing_secret',
    id: 'getSigningSecret',
    tag: 'account',
    summary: 'The secret that signs webhooks (standard-webhooks v1)',
    role: 'admin',
    own: true,
    returns: object({ signing_secret: text }),
    handle: async (call) => {
      const doc = await ask<AccountDoc>(call, tenantKey(call), { kind: 'account.get' });
      return ok({ signing_secret: doc.signing_secret });
    },
  }),
  read({
    path: '/limits',
    id: 'getLimits',
    tag: 'account',
    summary:
      'Resource and rate limits, and what is used of the rates; each node counts its own requests',
    role: 'read',
    returns: object({
      resource: object({ checks: whole, alarms: whole, entities: whole }),
      rate: object({ global: rate, test_check: rate, test_alarm: rate }),
    }),
    handle: limits,
  }),
  read({
    path: '/usage',
    id: 'getUsage',
    tag: 'account',
    summary: 'How many checks, alarms, entities and agents there are',
    role: 'read',
    returns: object({ checks: whole, alarms: whole, entities: whole, agents: whole }),
    handle: async (call) => ok(await ask<Usage>(call, tenantKey(call), { kind: 'usage.get' })),
  }),
];

async function limits(call: Call): Promise<Answer> {
  const doc = await ask<LimitsDoc>(call, tenantKey(call), { kind: 'limits.get' });
  const tenant = tenantOfCall(call);
  const rates = Object.entries(doc.rate).map(([type, limit]) => [
    type,
    { limit, used: call.rates.used(tenant, type as RateClass), window: rateWindow },
  ]);
  return ok({
    resource: { checks: doc.checks, alarms: doc.alarms, entities: doc.entities },
    rate: Object.fromEntries(rates),
  });
}
