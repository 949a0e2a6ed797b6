// Brings a message to its actor, wherever it lives, and the answer back: ask and tell by key alone.
// Local messages go to the catalog without a codec; remote ones as frames through Transport. An ask is tried again until
// its deadline while nobody owns the shard or the owner is loading, always with the same correlation id, and the receiver
// executes an id once. Must not know who owns what (Directory) nor how frames travel (Transport).
import type { Catalog } from './catalog.ts';
import { decodeFrame, encodeEnvelope, encodeReply, type Reply } from './codec.ts';
import { outcomeRing } from './dedup.ts';
import { TocsinError } from './errors.ts';
import { type ActorKey, shardOf } from './ids.ts';
import { askLimits } from './limits.ts';
import type { AskOptions, Envelope, Lane, Message, ReplyTo } from './message.ts';
import type { Clock, Directory, Logger, Meter, Random, Transport } from './ports.ts';
import { deadlinePassed, notOwner, notReady, queueFull, textOf } from './refusals.ts';
import type { Timers } from './timers.ts';

export interface Router {
  /**
   * Resolves with the actor's reply. Rejects with a `TocsinError`: the actor's own, or `RT_DEADLINE` (5 s by default, at most
   * 120 s), `RT_NOT_OWNER`, `RT_NOT_READY`, `RT_MAILBOX_FULL`, `RT_QUARANTINED`, `RT_STEP_FAILED`, `RT_COMMIT_FAILED`,
   * `RT_QUEUE_FULL`. After `RT_DEADLINE` the message may still be executed: ask again with the same `corr`.
   */
  ask<T>(key: ActorKey, message: Message, options?: AskOptions): Promise<T>;
  /** Sends without an answer, at most once: a full mailbox or an unknown owner drops it and counts `tells_dropped`. */
  tell(key: ActorKey, message: Message, lane?: Lane): void;
  /** Asks under way of this node. */
  readonly pending: number;
  /** Rejects what is under way with `RT_NOT_READY`; later asks too. */
  stop(): void;
}

export interface RouterOptions {
  /** Name of this node: part of correlation ids. */
  readonly node: string;
  readonly catalog: Catalog;
  readonly directory: Directory;
  /** null: a node alone. */
  readonly transport: Transport | null;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Encodes and decodes local messages and replies too, so that what could not travel fails in development. */
  readonly simulateRemote?: boolean;
}

interface Ask {
  readonly envelope: Envelope;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: TocsinError) => void;
  triesDone: number;
}

/** Owner name of the router's timers on the wheel; no actor key begins with a space. */
const timerOwner = ' router';

/** Returns a router; it listens to the transport from now on. */
export function createRouter(options: RouterOptions): Router {
  return new ActorRouter(options);
}

class ActorRouter implements Router {
  readonly #options: RouterOptions;
  readonly #asks = new Map<string, Ask>();
  readonly #outcomes: ReturnType<typeof outcomeRing>;
  readonly #corrPrefix: string;
  #nextCorr = 0;
  #isStopped = false;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#outcomes = outcomeRing(options.clock);
    this.#corrPrefix = `${options.node}.${Buffer.from(options.random.bytes(6)).toString('hex')}`;
    options.transport?.onFrame((from, frame) => this.#receive(from, frame));
  }

  get pending(): number {
    return this.#asks.size;
  }

  ask<T>(key: ActorKey, message: Message, options: AskOptions = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = `${this.#corrPrefix}.${this.#nextCorr++}`;
      if (this.#isStopped) return reject(notReady('the node is stopping'));
      if (this.#asks.size >= askLimits.pending) {
        this.#options.meter.count('asks_refused', 1);
        return reject(queueFull('asks'));
      }
      const timeoutMs = Math.min(options.timeoutMs ?? askLimits.timeoutMs, askLimits.timeoutMsMax);
      const deadlineMonoMs = this.#options.clock.monoMs() + timeoutMs;
      const envelope: Envelope = {
        to: key,
        message,
        lane: options.lane ?? 'user',
        corr: options.corr ?? id,
        deadlineMonoMs,
      };
      const ask: Ask = { envelope, resolve: resolve as Ask['resolve'], reject, triesDone: 0 };
      this.#asks.set(id, ask);
      this.#options.timers.start(timerOwner, id, deadlineMonoMs, () => this.#expire(id));
      this.#try(id, ask, options.corr !== undefined);
    });
  }

  tell(key: ActorKey, message: Message, lane: Lane = 'user'): void {
    const envelope: Envelope = { to: key, message, lane, corr: '', deadlineMonoMs: null };
    const { catalog, clock, directory, logger, meter } = this.#options;
    const place = directory.lookup(shardOf(key));
    if (place === null || this.#isStopped) {
      meter.count('tells_dropped', 1, 'no_owner');
      return;
    }
    try {
      if (place.local) catalog.deliver(this.#localCopy(envelope), null);
      else this.#send(place.node, encodeEnvelope(envelope, clock.monoMs()));
    } catch (error) {
      meter.count('tells_dropped', 1, 'not_sent');
      logger.error('tell.not_sent', { key, message: message.kind, error: textOf(error) });
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const id of [...this.#asks.keys()])
      this.#settle(id)?.reject(notReady('the node is stopping'));
  }

  /** One try of an ask: to the local catalog, to the owner's node, or later. */
  #try(id: string, ask: Ask, isRepeatable: boolean): void {
    try {
      const place = this.#options.directory.lookup(shardOf(ask.envelope.to));
      if (place === null) this.#again(id, notOwner(ask.envelope.to));
      else if (place.local) this.#deliver(ask.envelope, this.#replyTo(id), isRepeatable);
      else {
        // On the wire the ask's own id comes back with the reply; the caller's id travels inside it.
        const envelope = { ...ask.envelope, corr: wireCorr(id, ask.envelope.corr) };
        this.#send(place.node, encodeEnvelope(envelope, this.#options.clock.monoMs()));
      }
    } catch (cause) {
      this.#settle(id)?.reject(asTocsinError(cause));
    }
  }

  #replyTo(id: string): ReplyTo {
    return {
      resolve: (value) => this.#answer(id, { corr: id, ok: true, value }),
      reject: (error) => this.#answer(id, { corr: id, ok: false, error }),
    };
  }

  #answer(id: string, reply: Reply): void {
    if (reply.ok) this.#settle(id)?.resolve(reply.value);
    else if (reply.error.code === 'RT_NOT_OWNER' || reply.error.code === 'RT_NOT_READY') {
      this.#again(id, reply.error);
    } else this.#settle(id)?.reject(reply.error);
  }

  /** Tries again after a pause with jitter, unless the deadline comes first: then `error` is the answer. */
  #again(id: string, error: TocsinError): void {
    const ask = this.#asks.get(id);
    if (ask === undefined) return;
    const { clock, random, timers } = this.#options;
    const baseMs = Math.min(askLimits.retryMinMs * 2 ** ask.triesDone, askLimits.retryMaxMs);
    const atMonoMs = clock.monoMs() + baseMs * (0.5 + random.next() / 2);
    ask.triesDone++;
    if (atMonoMs >= (ask.envelope.deadlineMonoMs ?? 0)) {
      this.#settle(id)?.reject(error);
      return;
    }
    timers.start(timerOwner, `${id} again`, atMonoMs, () => {
      const waiting = this.#asks.get(id);
      if (waiting !== undefined) this.#try(id, waiting, true);
    });
  }

  #expire(id: string): void {
    this.#options.meter.count('asks_expired', 1);
    const ask = this.#settle(id);
    ask?.reject(deadlinePassed(ask.envelope.to));
  }

  #settle(id: string): Ask | undefined {
    const ask = this.#asks.get(id);
    if (ask === undefined) return undefined;
    this.#asks.delete(id);
    this.#options.timers.cancel(timerOwner, id);
    if (ask.triesDone > 0) this.#options.timers.cancel(timerOwner, `${id} again`);
    return ask;
  }

  /** Hands an ask to the local actor. */
  #deliver(envelope: Envelope, replyTo: ReplyTo, isRepeatable: boolean): void {
    const local = this.#localCopy(envelope);
    const reply = this.#options.simulateRemote === true ? travelled(replyTo) : replyTo;
    if (isRepeatable) this.#deliverOnce(local, reply);
    else this.#options.catalog.deliver(local, reply);
  }

  #localCopy(envelope: Envelope): Envelope {
    if (this.#options.simulateRemote !== true) return envelope;
    const nowMonoMs = this.#options.clock.monoMs();
    const frame = decodeFrame(encodeEnvelope(envelope, nowMonoMs), nowMonoMs);
    return frame.type === 'envelope' ? frame.envelope : envelope;
  }

  #send(node: string, frame: Uint8Array): void {
    const { transport } = this.#options;
    if (transport === null) throw notReady('a node alone has no way to another');
    transport.send(node, frame);
  }

  /** A reply that cannot leave is the asker's time-out. */
  #sendReply(node: string, reply: Reply): void {
    try {
      this.#send(node, replyFrame(reply));
    } catch (error) {
      this.#options.meter.count('replies_dropped', 1);
      this.#options.logger.warn('reply.not_sent', { to: node, error: textOf(error) });
    }
  }

  #receive(from: string, bytes: Uint8Array): void {
    try {
      const frame = decodeFrame(bytes, this.#options.clock.monoMs());
      if (frame.type === 'reply') this.#answer(frame.reply.corr, frame.reply);
      else this.#serve(from, frame.envelope);
    } catch (error) {
      this.#options.meter.count('decode_rejected', 1, 'frame');
      this.#options.logger.warn('frame.rejected', { from, error: asTocsinError(error).message });
    }
  }

  /** Serves a peer's message: a tell, or an ask whose reply goes back as a frame. */
  #serve(from: string, envelope: Envelope): void {
    const isLocal = this.#options.directory.lookup(shardOf(envelope.to))?.local === true;
    if (envelope.corr === '') {
      if (isLocal) this.#options.catalog.deliver(envelope, null);
      else this.#options.meter.count('tells_dropped', 1, 'not_owner');
      return;
    }
    const { replyCorr, corr } = splitCorr(envelope.corr);
    const send = (reply: Reply): void => this.#sendReply(from, reply);
    const replyTo: ReplyTo = {
      resolve: (value) => send({ corr: replyCorr, ok: true, value }),
      reject: (error) => send({ corr: replyCorr, ok: false, error }),
    };
    if (!isLocal || this.#isStopped)
      replyTo.reject(this.#isStopped ? notReady('the node is stopping') : notOwner(envelope.to));
    else this.#deliverOnce({ ...envelope, corr }, replyTo);
  }

  /** Executes an id once; whoever asks with it again gets the same outcome. */
  #deliverOnce(envelope: Envelope, replyTo: ReplyTo): void {
    const execute = this.#outcomes.enter(`${envelope.to}\n${envelope.corr}`, replyTo);
    if (execute !== null) this.#options.catalog.deliver(envelope, execute);
  }
}

/** Returns a reply's frame; a value that cannot travel becomes the error that says so. */
function replyFrame(reply: Reply): Uint8Array {
  try {
    return encodeReply(reply);
  } catch (cause) {
    return encodeReply({ corr: reply.corr, ok: false, error: asTocsinError(cause) });
  }
}

/** Returns a target whose values have been through the codec. */
function travelled(replyTo: ReplyTo): ReplyTo {
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

function wireCorr(id: string, corr: string): string {
  return id === corr ? id : `${id} ${corr}`;
}

function splitCorr(wire: string): { readonly replyCorr: string; readonly corr: string } {
  const space = wire.indexOf(' ');
  if (space === -1) return { replyCorr: wire, corr: wire };
  return { replyCorr: wire.slice(0, space), corr: wire.slice(space + 1) };
}

function asTocsinError(cause: unknown): TocsinError {
  if (cause instanceof TocsinError) return cause;
  return notReady('the message could not be sent', cause);
}
