// The channel `victorops`: alerts to the generic REST endpoint with the notification's API key and routing key.
// Must not know retries.
import type { Channel } from './channel.ts';
import { type HttpPostOptions, httpPost } from './http-post.ts';
import { victoropsAlert } from './render.ts';

export interface VictoropsOptions extends HttpPostOptions {
  /** Default: the service's. For an own gateway. */
  readonly endpoint?: string;
}

const defaultEndpoint = 'https://alert.victorops.com/integrations/generic/20131114/alert';

/** Returns the channel. */
export function victoropsChannel(options: VictoropsOptions): Channel {
  return async ({ id, body, atMs, signal }) => {
    const { api_key: apiKey = '', routing_key: routingKey } = body.notification.details;
    const path = [apiKey, ...(routingKey === undefined ? [] : [routingKey])].map(
      encodeURIComponent,
    );
    const url = [options.endpoint ?? defaultEndpoint, ...path].join('/');
    const content = JSON.stringify(victoropsAlert(body));
    const headers = { 'idempotency-key': id };
    const result = await httpPost(options, { url, headers, body: content, signal, atMs });
    return result.delivered
      ? { delivered: true, message: 'Success: VictorOps alert sent' }
      : result;
  };
}
