// Brings a message to its actor, wherever it lives, and the answer back: ask and tell by key alone; or to a node itself.
// Local messages go to the catalog without a codec; remote ones as frames through Transport. An ask is tried again until
// its deadline while nobody owns the shard or the owner is loading, always with the same correlation id, and the receiver
// executes an id once. Must not know who owns what (Directory) nor how frames travel (Transport).
import type { Catalog } from './catalog.ts';
import type { Directory, Transport } from './cluster-ports.ts';
import { decodeFrame, encodeEnvelope, type Reply } from './codec.ts';
import { outcomeRing } from './dedup.ts';
import type { TocsinError } from './errors.ts';
import { type ActorKey, type Epoch, shardOf } from './ids.ts';
import { askLimits } from './limits.ts';
import type { AskOptions, Envelope, Lane, Message, ReplyTo } from './message.ts';
import type { Clock, Logger, Meter, Random } from './ports.ts';
import { deadlinePassed, moved, notOwner, notReady, queueFull, textOf } from './refusals.ts';
import { asTocsinError, replyFrame, splitCorr, travelled, wireCorr } from './reply-frame.ts';
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
  /** Asks a node itself, this one too, by the kind that it serves. Rejects as `ask`; `RT_NOT_READY` where nothing serves it. */
  askNode<T>(node: string, message: Message, options?: AskOptions): Promise<T>;
  /** Sends to a node itself, at most once. */
  tellNode(node: string, message: Message): void;
  /** Asks several nodes; `silent`: those that gave no answer in time. Never rejects, never leaves one out in silence. */
  askNodes<T>(
    nodes: readonly string[],
    message: Message,
    options?: AskOptions,
  ): Promise<{ readonly answers: ReadonlyMap<string, T>; readonly silent: readonly string[] }>;
  /** Answers `askNode` and `tellNode` of this kind; a question asked again with its id is executed once. */
  serve(kind: string, handler: NodeService): void;
  /** Nobody listens as the incarnation of that node that was written to: what waits for it is tried again now. */
  nodeGone(node: string): void;
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

/** Returns the answer, or rejects with it; `from` is the asking node. */
export type NodeService = (message: Message, from: string) => unknown;

interface Ask {
  readonly envelope: Envelope;
  /** The node that is asked itself; null: an actor. */
  readonly node: string | null;
  /** Where it was sent last. */
  sentTo: string | null;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: TocsinError) => void;
  triesDone: number;
}

/** Owner name of the router's timers on the wheel; no actor key begins with a space. */
const timerOwner = ' router';
/** Where a message to a node itself goes. */
const nodeKey = ' node' as ActorKey;

/** Returns a router; it listens to the transport from now on. */
export function createRouter(options: RouterOptions): Router {
  return new ActorRouter(options);
}

class ActorRouter implements Router {
  readonly #options: RouterOptions;
  readonly #asks = new Map<string, Ask>();
  readonly #services = new Map<string, NodeService>();
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
    return this.#ask({ key, node: null }, message, options);
  }

  askNode<T>(node: string, message: Message, options: AskOptions = {}): Promise<T> {
    return this.#ask({ key: nodeKey, node }, message, options);
  }

  async askNodes<T>(nodes: readonly string[], message: Message, options: AskOptions = {}) {
    const answers = new Map<string, T>();
    const silent: string[] = [];
    await Promise.all(
      nodes.map(async (node) => {
        try {
          answers.set(node, await this.askNode<T>(node, message, options));
        } catch (error) {
          silent.push(node);
          this.#options.logger.debug('node.silent', { node, error: textOf(error) });
        }
      }),
    );
    return { answers, silent };
  }

  tellNode(node: string, message: Message): void {
    const lane = 'system';
    const envelope: Envelope = { to: nodeKey, message, lane, corr: '', deadlineMonoMs: null };
    this.#tellAt({ node, local: node === this.#options.node }, envelope);
  }

  serve(kind: string, handler: NodeService): void {
    this.#services.set(kind, handler);
  }

  nodeGone(node: string): void {
    for (const [id, ask] of [...this.#asks]) {
      if (ask.sentTo === node) this.#again(id, notOwner(ask.envelope.to));
    }
  }

  #ask<T>(
    to: { readonly key: ActorKey; readonly node: string | null },
    message: Message,
    options: AskOptions,
  ): Promise<T> {
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
        to: to.key,
        message,
        lane: options.lane ?? 'user',
        corr: options.corr ?? id,
        deadlineMonoMs,
      };
      const ask: Ask = {
        ...{ envelope, node: to.node, sentTo: null, triesDone: 0 },
        ...{ resolve: resolve as Ask['resolve'], reject },
      };
      this.#asks.set(id, ask);
      this.#options.timers.start(timerOwner, id, deadlineMonoMs, () => this.#expire(id));
      this.#try(id, ask, options.corr !== undefined);
    });
  }

  tell(key: ActorKey, message: Message, lane: Lane = 'user'): void {
    const envelope: Envelope = { to: key, message, lane, corr: '', deadlineMonoMs: null };
    this.#tellAt(this.#options.directory.lookup(shardOf(key)), envelope);
  }

  #tellAt(place: { node: string; local: boolean } | null, envelope: Envelope): void {
    const { clock, logger, meter } = this.#options;
    if (place === null || this.#isStopped) {
      meter.count('tells_dropped', 1, 'no_owner');
      return;
    }
    try {
      if (place.local) this.#hand(this.#localCopy(envelope), null, this.#options.node);
      else this.#send(place.node, encodeEnvelope(envelope, clock.monoMs()));
    } catch (error) {
      meter.count('tells_dropped', 1, 'not_sent');
      const { to: key, message } = envelope;
      logger.error('tell.not_sent', { key, message: message.kind, error: textOf(error) });
    }
  }

  /** To an actor of this node, or to this node itself. */
  #hand(envelope: Envelope, replyTo: ReplyTo | null, from: string): void {
    if (envelope.to === nodeKey) void this.#served(envelope.message, replyTo, from);
    else this.#options.catalog.deliver(envelope, replyTo);
  }

  async #served(message: Message, replyTo: ReplyTo | null, from: string): Promise<void> {
    try {
      const service = this.#services.get(message.kind);
      if (service === undefined) throw notReady(`this node does not serve ${message.kind}`);
      const answer = await service(message, from);
      replyTo?.resolve(answer);
    } catch (error) {
      replyTo?.reject(asTocsinError(error));
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
      const place = this.#placeOf(ask);
      if (place === null) this.#again(id, notOwner(ask.envelope.to));
      else if (place.local) this.#deliver(ask.envelope, this.#replyTo(id), isRepeatable);
      else {
        // On the wire the ask's own id comes back with the reply; the caller's id travels inside it.
        const envelope = { ...ask.envelope, corr: wireCorr(id, ask.envelope.corr) };
        ask.sentTo = place.node;
        this.#sendAgainLater(id, ask);
        this.#send(place.node, encodeEnvelope(envelope, this.#options.clock.monoMs()));
      }
    } catch (cause) {
      this.#settle(id)?.reject(asTocsinError(cause));
    }
  }

  #placeOf({ node, envelope }: Ask): { node: string; local: boolean } | null {
    const own = this.#options.node;
    if (node !== null) return { node, local: node === own };
    return this.#options.directory.lookup(shardOf(envelope.to));
  }

  /** Frames may be lost: without an answer the same question leaves again, and is executed once. */
  #sendAgainLater(id: string, ask: Ask): void {
    const { clock } = this.#options;
    const atMonoMs = clock.monoMs() + askLimits.resendMs * 2 ** Math.min(ask.triesDone, 6);
    ask.triesDone++;
    if (atMonoMs < (ask.envelope.deadlineMonoMs ?? 0)) this.#tryAt(id, atMonoMs);
  }

  #tryAt(id: string, atMonoMs: number): void {
    this.#options.timers.start(timerOwner, `${id} again`, atMonoMs, () => {
      const waiting = this.#asks.get(id);
      if (waiting !== undefined) this.#try(id, waiting, true);
    });
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
    const { clock, random } = this.#options;
    const isNews = this.#learned(ask.envelope.to, error);
    ask.sentTo = null;
    const askedMs = Number(error.details['retryAfterMs'] ?? 0) || 0;
    const doubledMs = Math.min(askLimits.retryMinMs * 2 ** ask.triesDone, askLimits.retryMaxMs);
    // Who owns it is known now: asked there at once, unless one is sent back and forth.
    const baseMs = isNews && ask.triesDone < 4 ? 0 : Math.max(doubledMs, askedMs);
    const atMonoMs = clock.monoMs() + baseMs * (0.5 + random.next() / 2);
    ask.triesDone++;
    if (atMonoMs >= (ask.envelope.deadlineMonoMs ?? 0)) {
      this.#settle(id)?.reject(error);
      return;
    }
    this.#tryAt(id, atMonoMs);
  }

  /** A refusal that names the owner teaches the directory. True where it did. */
  #learned(key: ActorKey, { details }: TocsinError): boolean {
    const { node, epoch } = details;
    const { directory } = this.#options;
    if (typeof node !== 'string' || typeof epoch !== 'number' || key === nodeKey) return false;
    directory.observe?.(shardOf(key), node, epoch as Epoch);
    return directory.lookup(shardOf(key))?.node === node;
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
    if (isRepeatable) this.#deliverOnce(local, reply, this.#options.node);
    else this.#hand(local, reply, this.#options.node);
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
    const isNode = envelope.to === nodeKey;
    const place = isNode ? null : this.#options.directory.lookup(shardOf(envelope.to));
    const isLocal = isNode || place?.local === true;
    if (envelope.corr === '') {
      if (isLocal) this.#hand(envelope, null, from);
      else this.#forward(from, envelope, place);
      return;
    }
    const { replyCorr, corr } = splitCorr(envelope.corr);
    const send = (reply: Reply): void => this.#sendReply(from, reply);
    const replyTo: ReplyTo = {
      resolve: (value) => send({ corr: replyCorr, ok: true, value }),
      reject: (error) => send({ corr: replyCorr, ok: false, error }),
    };
    if (this.#isStopped) replyTo.reject(notReady('the node is stopping'));
    else if (isLocal) this.#deliverOnce({ ...envelope, corr }, replyTo, from);
    else if (place === null || place.epoch === 0) replyTo.reject(notOwner(envelope.to));
    else replyTo.reject(moved(envelope.to, place));
  }

  /** A tell for an actor that has left: on to where it is known to be, never straight back. */
  #forward(from: string, envelope: Envelope, place: ReturnType<Directory['lookup']>): void {
    if (place === null || place.epoch === 0 || place.node === from) {
      this.#options.meter.count('tells_dropped', 1, 'not_owner');
    } else this.#tellAt(place, envelope);
  }

  /** Executes an id once; whoever asks with it again gets the same outcome. */
  #deliverOnce(envelope: Envelope, replyTo: ReplyTo, from: string): void {
    const execute = this.#outcomes.enter(`${envelope.to}\n${envelope.corr}`, replyTo);
    if (execute !== null) this.#hand(envelope, execute, from);
  }
}
