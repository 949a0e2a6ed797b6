// The channel `pagerduty`: events to the generic (v1) API with the notification's service key.
// The incident key pairs trigger and resolve. Must not know retries.
import type { Channel } from './channel.ts';
import { type HttpPostOptions, httpPost } from './http-post.ts';
import { pagerdutyEvent } from './render.ts';

const defaultEndpoint = 'https://events.pagerduty.com/generic/2010-04-15/create_event.json';

/** Returns the channel. `details.service_endpoint` of a notification replaces the endpoint. */
export function pagerdutyChannel(options: HttpPostOptions): Channel {
  return async ({ id, body, atMs, signal }) => {
    const url = body.notification.details['service_endpoint'] ?? defaultEndpoint;
    const content = JSON.stringify(pagerdutyEvent(body));
    const headers = { 'idempotency-key': id };
    const result = await httpPost(options, { url, headers, body: content, signal, atMs });
    return result.delivered
      ? { delivered: true, message: 'Success: PagerDuty event sent' }
      : result;
  };
}
