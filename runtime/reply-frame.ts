// How an ask's reply and its correlation travel: the parts of the router that keep nothing. Must not know transports.
import { decodeFrame, encodeReply, type Reply } from './codec.ts';
import { TocsinError } from './errors.ts';
import type { ReplyTo } from './message.ts';
import { notReady } from './refusals.ts';

/** Returns a reply's frame; a value that cannot travel becomes the error that says so. */
export function replyFrame(reply: Reply): Uint8Array {
  try {
    return encodeReply(reply);
  } catch (cause) {
    return encodeReply({ corr: reply.corr, ok: false, error: asTocsinError(cause) });
  }
}

/** Returns a target whose values have been through the codec. */
export function travelled(replyTo: ReplyTo): ReplyTo {
  const pass = (reply: Reply): void => {
    const frame = decodeFrame(replyFrame(reply), 0);
    if (frame.type !== 'reply') return;
    if (frame.reply.ok) replyTo.resolve(frame.reply.value);
    else replyTo.reject(frame.reply.error);
  };
  return {
    resolve: (value) => pass({ corr: '', ok: true, value }),
    reject: (error) => pass({ corr: '', ok: false, error }),
  };
}

/** Returns the correlation that travels: the ask's own id, which comes back with the reply, and the caller's. */
export function wireCorr(id: string, corr: string): string {
  return id === corr ? id : `${id} ${corr}`;
}

/** Returns the two parts of `wireCorr`. */
export function splitCorr(wire: string): { readonly replyCorr: string; readonly corr: string } {
  const space = wire.indexOf(' ');
  if (space === -1) return { replyCorr: wire, corr: wire };
  return { replyCorr: wire.slice(0, space), corr: wire.slice(space + 1) };
}

/** Returns the error as the asker gets it. */
export function asTocsinError(cause: unknown): TocsinError {
  if (cause instanceof TocsinError) return cause;
  return notReady('the message could not be sent', cause);
}
