// A notification's body for tests of the channels.

import { testBody } from '../../actors/notify/placeholder.ts';
import type { NotifiedBody } from '../../actors/notify/render.ts';
import type { NotificationDoc, NotificationType } from '../../actors/resources.ts';

export const signingSecret = 'whsec_plJ3nmyCDGBKInavdOK15jsl';

/** Returns a notification document of a type. */
export function channel(
  type: NotificationType,
  details: Readonly<Record<string, string>> = {},
): NotificationDoc {
  return { id: 'ntOne', label: 'one', type, details, metadata: null, created_at: 1, updated_at: 1 };
}

/** Returns a body that notifies `notification`; `over` replaces parts of it. */
export function bodyFor(
  notification: NotificationDoc,
  over: Partial<NotifiedBody> = {},
): NotifiedBody {
  const account = {
    id: 'acOne',
    metadata: null,
    webhook_token: 'token-of-the-account',
    signing_secret: signingSecret,
    technical_contacts: ['ops@example.org', 'boss@example.org'],
  };
  const request = {
    tenant: 't1',
    account,
    notification,
    id: 'ab12',
    txnId: '.rh-x',
    atMs: 1_700_000_000_000,
  };
  return { ...testBody(request), ...over };
}
