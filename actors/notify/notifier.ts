// The registry of notification channels behind the runtime's Notifier port: one line for each type.
// Delivers an intent once and never throws; retries, order and history are the dispatcher's.
import type { ActorKey } from '../../runtime/ids.ts';
import type { Delivery, DeliveryResult, Intent, Logger, Notifier } from '../../runtime/ports.ts';
import type { NotificationDoc, NotificationType } from '../resources.ts';
import { parseUrl } from '../url.ts';
import type { Attempt, Channel } from './channel.ts';
import type { Egress } from './egress.ts';
import { emailChannel, type SmtpSettings, technicalContactsChannel } from './email.ts';
import { failureText } from './http-post.ts';
import { pagerdutyChannel } from './pagerduty.ts';
import { type TestRequest, testBody } from './placeholder.ts';
import type { NotifiedBody } from './render.ts';
import { victoropsChannel } from './victorops.ts';
import { webhookChannel } from './webhook.ts';

export interface NotifierOptions {
  readonly egress: Egress;
  /** null: no mail server is configured. */
  readonly smtp: SmtpSettings | null;
  readonly logger?: Logger;
  /** One attempt at one receiver. Default 15,000 ms. */
  readonly timeoutMs?: number;
  /** Certificates trusted for https receivers besides the system's, PEM. */
  readonly ca?: string;
  /**
   * The notification as this node's copy of the tenant's documents holds it; null: it has none. An attempt uses it where
   * it is newer than the one in the intent, so that a corrected address helps what is still undelivered.
   */
  readonly newest?: (tenant: string, notification: string) => NotificationDoc | null;
  /** Base URL of an own gateway that speaks VictorOps' REST interface. */
  readonly victoropsEndpoint?: string;
}

interface TestOutcome {
  readonly status: 'success' | 'error';
  readonly message: string;
}

/** The port, and the API's test-notification. */
export interface NotifierWithTests extends Notifier {
  /** Delivers a placeholder notification once; never throws. */
  deliverTest(request: TestRequest, signal: AbortSignal): Promise<TestOutcome>;
}

const timeoutMsDefault = 15_000;

/** Returns the notifier over the channels that this build has; types without a gateway fail finally, with a clear text. */
export function createNotifier(options: NotifierOptions): NotifierWithTests {
  const channels = channelsOf(options);
  return {
    receiverOf: (intent) => receiverOf(intent, options),
    deliver: (key, intent, delivery) => deliver({ channels, options }, { key, intent, delivery }),
    deliverTest: async (request, signal) => {
      const { id, atMs } = request;
      const attempt = { id, body: testBody(request), atMs, signal };
      const result = await attempted(channels, attempt);
      return { status: result.delivered ? 'success' : 'error', message: result.message };
    },
  };
}

type Channels = Readonly<Record<NotificationType, Channel>>;

function channelsOf(options: NotifierOptions): Channels {
  const { egress, smtp, ca, victoropsEndpoint: endpoint } = options;
  const timeoutMs = options.timeoutMs ?? timeoutMsDefault;
  const http = { egress, timeoutMs, ...(ca === undefined ? {} : { ca }) };
  const mail = { egress, smtp, timeoutMs };
  return {
    webhook: webhookChannel(http),
    email: emailChannel(mail),
    technicalContactsEmail: technicalContactsChannel(mail),
    pagerduty: pagerdutyChannel(http),
    victorops: victoropsChannel(endpoint === undefined ? http : { ...http, endpoint }),
    sms: noGateway('SMS'),
    managed: noGateway('managed support'),
    atomHopper: noGateway('Atom Hopper'),
  };
}

function noGateway(what: string): Channel {
  const message = `This installation has no ${what} gateway: use a webhook, email, pagerduty or victorops notification`;
  return async () => ({ delivered: false, message, final: true });
}

interface Delivering {
  readonly key: ActorKey;
  readonly intent: Intent;
  readonly delivery: Delivery;
}

async function deliver(
  { channels, options }: { readonly channels: Channels; readonly options: NotifierOptions },
  { key, intent, delivery }: Delivering,
): Promise<DeliveryResult> {
  const body = currentBody(intent, options.newest);
  if (body === null) return { delivered: false, message: 'Malformed notification', final: true };
  const { atMs, signal } = delivery;
  const result = await attempted(channels, { id: intent.id, body, atMs, signal });
  if (!result.delivered) {
    const { attempt } = delivery;
    const fields = {
      key,
      id: intent.id,
      channel: intent.channel,
      attempt,
      message: result.message,
    };
    options.logger?.info('notification_attempt_failed', fields);
  }
  return result;
}

/** A channel that throws has a fault of its own; the notification must not be lost for it. */
async function attempted(channels: Channels, attempt: Attempt): Promise<DeliveryResult> {
  const channel = channels[attempt.body.notification.type];
  if (channel === undefined) {
    return { delivered: false, message: 'Unknown notification type', final: true };
  }
  try {
    return await channel(attempt);
  } catch (error) {
    return { delivered: false, message: failureText(error) };
  }
}

/** The channel of one tenant, with the host where details name one: receivers do not wait for each other. */
function receiverOf(intent: Intent, options: NotifierOptions): string {
  const body = currentBody(intent, options.newest);
  if (body === null) return `unknown:${intent.channel}`;
  const { type, id, details } = body.notification;
  const url = details['url'] ?? details['service_endpoint'] ?? '';
  const parsed = parseUrl(url);
  const host = parsed === null ? '' : `@${parsed.host}`;
  return `${type}:${body.tenant}/${id}${host}`;
}

/** Returns what an attempt tells: the intent's body, its notification in the newest version known; null: not one of ours. */
export function currentBody(
  intent: Intent,
  newest: NotifierOptions['newest'],
): NotifiedBody | null {
  const body = intent.body as Partial<NotifiedBody> | null | undefined;
  if (typeof body?.notification?.type !== 'string' || typeof body.tenant !== 'string') return null;
  const stored = body as NotifiedBody;
  const known = newest?.(stored.tenant, stored.notification.id) ?? null;
  const isNewer = known !== null && known.updated_at > stored.notification.updated_at;
  return isNewer ? { ...stored, notification: known } : stored;
}
