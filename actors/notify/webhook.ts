// The channel `webhook`: the v1.0 payload and token header, signed after Standard Webhooks (v1, HMAC-SHA256).
// Must not know retries: it reports what the receiver said.
import { createHmac } from 'node:crypto';
import type { Attempt, Channel } from './channel.ts';
import { type HttpPostOptions, httpPost } from './http-post.ts';
import { webhookPayload } from './render.ts';

const secretPrefix = 'whsec_';

/** Returns `v1,<base64>` over `id.timestamp.body`. `secret` is `whsec_` and base64; `timestampS` the attempt's, in seconds. */
export function webhookSignature(
  secret: string,
  id: string,
  timestampS: number,
  body: string,
): string {
  const encoded = secret.startsWith(secretPrefix) ? secret.slice(secretPrefix.length) : secret;
  const key = Buffer.from(encoded, 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestampS}.${body}`).digest('base64')}`;
}

/** Returns the channel. Success: the receiver answered 2xx. */
export function webhookChannel(options: HttpPostOptions): Channel {
  return async (attempt) => {
    const result = await httpPost(options, postOf(attempt));
    if (!result.delivered) return result;
    return { delivered: true, message: 'Success: Webhook successfully executed' };
  };
}

function postOf({ id, body, atMs, signal }: Attempt) {
  const content = JSON.stringify(webhookPayload(body));
  const timestampS = Math.floor(atMs / 1_000);
  return {
    url: body.notification.details['url'] ?? '',
    headers: {
      'x-rackspace-webhook-token': body.webhook_token,
      'webhook-id': id,
      'webhook-timestamp': String(timestampS),
      'webhook-signature': webhookSignature(body.signing_secret, id, timestampS, content),
    },
    body: content,
    signal,
    atMs,
  };
}
