// One live actor: its state, mailbox, commits and failures. creating → active → deactivating → gone.
// One message at a time: step, then effects; what a step says to others waits for its commits (commit-ledger.ts).
// A refused commit ends the activation; a failed one reloads it, since the state in memory is ahead of the truth.
// Must not know monitoring, nor who else is in memory (catalog.ts).
import type { ActorDescription, Home, Phase } from './activation-home.ts';
import type { AnyBehaviour, LoadedActor, Step, StepContext } from './behaviour.ts';
import { Commits, type CommitsOwner } from './commits.ts';
import type { DecisionRow, Effect } from './effect.ts';
import type { TocsinError } from './errors.ts';
import { type ActorKey, type ShardId, shardOf } from './ids.ts';
import { activationLimits, turnLimits, wheelLimits } from './limits.ts';
import { LiveState, loadedSeq, stepContext } from './live-state.ts';
import { type Delivery, Mailbox, systemDelivery } from './mailbox.ts';
import type { Message, ReplyTo } from './message.ts';
import { type ActivationPorts, mayAct, type Performer, perform } from './perform.ts';
import {
  type Quarantine,
  type QuarantineCause,
  quarantined,
  quarantineOf,
  quarantineRow,
  releaseRow,
} from './quarantine.ts';
import * as refusals from './refusals.ts';
import { Restarts } from './restarts.ts';
import { SoftState } from './soft-state.ts';
import type { TakesTurns } from './turn-queue.ts';

export class Activation implements Performer, TakesTurns, CommitsOwner {
  readonly key: ActorKey;
  readonly shard: ShardId;
  readonly ports: ActivationPorts;
  isQueued = false;
  readonly #kind: string;
  readonly #live: LiveState;
  readonly #home: Home;
  readonly #mailbox = new Mailbox();
  readonly #commits: Commits;
  readonly #restarts: Restarts;
  #phase: Phase = 'creating';
  #isPaused = false;
  /** Counts loads: what was asked for by an earlier one no longer counts. */
  #generation = 0;
  #quarantine: Quarantine | null = null;
  /** The timer message that the actor failed on: it comes again, or its slots would silently end. */
  #retry: Delivery | null = null;
  #soft: SoftState | null = null;

  constructor(key: ActorKey, behaviour: AnyBehaviour, home: Home) {
    this.key = key;
    this.shard = shardOf(key);
    this.ports = home.ports;
    this.#kind = behaviour.kind;
    this.#live = new LiveState(behaviour, home.isFreezing);
    this.#home = home;
    this.#restarts = new Restarts(key, home.ports);
    this.#commits = new Commits(this, home.ports.decisions);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** True where nothing is under way: no message, no commit, no load. */
  get isQuiet(): boolean {
    if (this.#phase === 'creating') return this.#mailbox.length === 0 && this.#isPaused;
    return this.#mailbox.length === 0 && this.#commits.pending === 0;
  }

  /** True where its state may be read and kept. */
  get isSteady(): boolean {
    return this.#phase === 'active' && this.#quarantine === null;
  }

  describe(): ActorDescription {
    return {
      key: this.key,
      kind: this.#kind,
      shard: this.shard,
      phase: this.#phase,
      isPaused: this.#isPaused,
      quarantine: this.#quarantine,
      lastFailure: this.#restarts.lastFailure,
      messagesWaiting: this.#mailbox.length,
      commitsPending: this.#commits.pending,
      lastSeq: this.#commits.lastSeq,
    };
  }

  /** Starts with what the store holds; ignored unless it is being created. */
  begin(loaded: LoadedActor): void {
    if (this.#phase !== 'creating') return;
    this.#commits.lastSeq = Math.max(this.#commits.lastSeq, loadedSeq(loaded));
    this.#quarantine ??= quarantineOf(loaded);
    this.#isPaused = false;
    if (this.#quarantine !== null) this.#beginQuarantined(loaded, this.#quarantine);
    else this.#init(loaded);
  }

  #init(loaded: LoadedActor): void {
    let first: Step<unknown>;
    try {
      first = this.#live.init(this.key, loaded, this.#context());
    } catch (error) {
      this.#failed(error, 'init', () => this.begin(loaded));
      return;
    }
    this.#phase = 'active';
    // A message is waiting: whether the actor is worth its memory is for the step on that message to say.
    const isWanted = this.#mailbox.length > 0;
    const effects = isWanted ? first.effects.filter(({ type }) => type !== 'stop') : first.effects;
    this.#enter({ ...first, effects }, null);
    this.#wake();
  }

  /** Paused, but able to answer queries where its state can be built; its effects are left out. */
  #beginQuarantined(loaded: LoadedActor, record: Quarantine): void {
    this.#phase = 'active';
    if (record.cause !== 'stalled') {
      try {
        this.#live.keep(this.#live.init(this.key, loaded, this.#context()).state);
      } catch (error) {
        this.#restarts.lastFailure = `init: ${refusals.textOf(error)}`;
      }
    }
    this.#wake();
  }

  /** Takes a message. False: its lane is full, the asker was told, it is counted. */
  deliver(delivery: Delivery): boolean {
    if (this.#phase === 'gone') return true;
    if (!this.#mailbox.offer(delivery)) {
      this.ports.meter.count('mailbox_rejected', 1, delivery.envelope.lane);
      delivery.replyTo?.reject(refusals.mailboxFull(this.key));
      return false;
    }
    this.#wake();
    return true;
  }

  turn(endMonoMs: number): boolean {
    this.#home.turnStarts(this.key);
    for (let handled = 0; handled < turnLimits.messages; handled++) {
      const delivery = this.#next();
      if (delivery === undefined) return false;
      this.#handle(delivery);
      if (this.ports.clock.monoMs() >= endMonoMs) break;
    }
    return this.#isReady();
  }

  #next(): Delivery | undefined {
    if (!this.#isReady()) return undefined;
    const retry = this.#retry;
    if (retry === null) return this.#mailbox.take();
    this.#retry = null;
    return retry;
  }

  #isReady(): boolean {
    if (this.#phase !== 'active' || this.#isPaused) return false;
    if (this.#commits.pending >= activationLimits.commitsPending) return false;
    if (this.#commits.heldCount >= activationLimits.held) return false;
    return this.#retry !== null || this.#mailbox.length > 0;
  }

  #wake(): void {
    if (!this.isQueued && this.#isReady()) this.#home.turns.add(this);
  }

  #handle(delivery: Delivery): void {
    const { envelope, replyTo } = delivery;
    const deadlineMonoMs = envelope.deadlineMonoMs;
    if (deadlineMonoMs !== null && deadlineMonoMs <= this.ports.clock.monoMs()) {
      this.ports.meter.count('messages_expired', 1);
      replyTo?.reject(refusals.deadlinePassed(this.key));
      return;
    }
    if (this.#quarantine !== null) {
      const refusal = refusals.inQuarantine(this.key, this.#quarantine.reason);
      if (replyTo === null) this.ports.meter.count('messages_quarantined', 1);
      else this.#live.answer(envelope.message, replyTo, refusal, this.#context());
      return;
    }
    let step: Step<unknown>;
    try {
      step = this.#live.step(envelope.message, this.#context());
    } catch (error) {
      replyTo?.reject(refusals.stepFailed(this.key, error));
      if (delivery.isTimer) this.#retry = delivery;
      this.#failed(error, envelope.message.kind, () => this.#wake());
      return;
    }
    this.#enter(step, replyTo);
  }

  #context(): StepContext<unknown> {
    return stepContext(this.ports, this.key, this.#commits.pending === 0, this.#quarantine);
  }

  /** The step holds: its commits first, so that whatever it says waits for them, in whatever order it lists them. */
  #enter(step: Step<unknown>, replyTo: ReplyTo | null): void {
    this.#live.keep(step.state);
    for (const effect of step.effects) if (effect.type === 'commit') this.#perform(effect);
    for (const effect of step.effects) {
      if (effect.type !== 'commit' && effect.type !== 'stop') this.#perform(effect);
    }
    if (replyTo !== null) this.#reply(step, replyTo);
    if (step.effects.some((effect) => effect.type === 'stop')) this.stop();
  }

  #reply({ reply, replyWhen }: Step<unknown>, replyTo: ReplyTo): void {
    if (replyWhen === 'now') replyTo.resolve(reply);
    else {
      this.#commits.hold(
        () => replyTo.resolve(reply),
        (error) => replyTo.reject(error),
      );
    }
  }

  #perform(effect: Effect): void {
    this.#guard(effect.type, () => perform(effect, this));
  }

  /** A port that fails must not take the actor's turn with it. */
  #guard(type: Effect['type'], run: () => void): void {
    try {
      run();
    } catch (error) {
      this.ports.meter.count('effects_failed', 1, type);
      const fields = { key: this.key, effect: type, error: refusals.textOf(error) };
      this.ports.logger.error('effect.failed', fields);
    }
  }

  commit(rows: readonly DecisionRow[]): void {
    this.#commits.commit(rows);
  }

  commitAcknowledged(): void {
    this.#restarts.succeeded();
    this.#wake();
  }

  commitFailed(error: unknown): void {
    this.ports.meter.count('activations_reloaded', 1);
    const fields = { key: this.key, error: refusals.textOf(error) };
    this.ports.logger.warn('actor.reloading', fields);
    this.#unload(refusals.commitFailed(this.key, error));
    this.commitsSettled();
  }

  commitsSettled(): void {
    if (this.#phase === 'creating' && this.#commits.isSettled) this.#reloadLater();
  }

  /** Back to `creating`: everything unreleased is refused, timers end; the mailbox keeps what waits. */
  #unload(error: TocsinError): void {
    this.#generation++;
    this.#phase = 'creating';
    this.#isPaused = true;
    this.#live.forget();
    this.#retry = null;
    this.ports.timers.cancelAll(this.key);
    this.#restarts.cancel('resume');
    this.#restarts.cancel('reload');
    this.#commits.reset(error);
  }

  #reloadLater(): void {
    this.#restarts.reloadLater(() => void this.#reload());
  }

  async #reload(): Promise<void> {
    const generation = this.#generation;
    let loaded: LoadedActor;
    try {
      loaded = await this.#home.reload(this.key);
    } catch (error) {
      if (generation === this.#generation && !this.#isLost(error)) this.#reloadLater();
      return;
    }
    if (generation === this.#generation) this.begin(loaded);
  }

  /** A step or `init` threw: pauses, or quarantines; `resume` runs after the pause. */
  #failed(error: unknown, messageKind: string, resume: () => void): void {
    const verdict = this.#restarts.failed(error, messageKind, this.#kind);
    if (verdict.type === 'quarantine') {
      this.quarantine(this.#restarts.lastFailure ?? messageKind, 'failures');
      // Where `init` failed it stays without a state.
      this.#phase = 'active';
      this.#wake();
      return;
    }
    this.#isPaused = true;
    this.#restarts.waitFor('resume', verdict.delayMs, () => {
      this.#isPaused = false;
      resume();
    });
  }

  /** Pauses the actor until an operator releases it, and commits that. One that is loading ends its load first. */
  quarantine(reason: string, cause: QuarantineCause): void {
    if (this.#quarantine !== null || this.#phase === 'gone') return;
    const record = quarantined(reason, cause, this.ports.clock.nowMs(), 1);
    this.#quarantine = record;
    this.#retry = null;
    if (this.#phase === 'active') this.#isPaused = false;
    this.ports.timers.cancelAll(this.key);
    this.#restarts.cancel('resume');
    this.ports.meter.count('quarantines', 1);
    this.ports.logger.error('actor.quarantined', { key: this.key, reason });
    this.#commitQuarantine(record, 1);
    this.#home.quarantined(this.key, record);
    this.#wake();
  }

  /** The pause holds at once; its commit is tried until it is durable, or the shard is someone else's. */
  #commitQuarantine(record: Quarantine, attempt: number): void {
    this.#commits.decide([quarantineRow(record)]).catch((error: unknown) => {
      if (this.#isLost(error) || this.#quarantine !== record) return;
      this.#restarts.waitFor('quarantine', this.#restarts.backOff(attempt), () =>
        this.#commitQuarantine(record, attempt + 1),
      );
    });
  }

  /** True where the error says that the shard is someone else's: the activation is gone then. */
  #isLost(error: unknown): boolean {
    if (refusals.codeOf(error) !== 'RT_NOT_OWNER') return false;
    this.drop(refusals.notOwner(this.key, error));
    return true;
  }

  /** Commits the end of the quarantine and starts anew from the store. Rejects as `Decisions.commit` does. */
  async liftQuarantine(): Promise<void> {
    const record = this.#quarantine;
    if (record === null) return;
    try {
      await this.#commits.decide([releaseRow(record, this.ports.clock.nowMs())]);
    } catch (error) {
      this.#isLost(error);
      throw error;
    }
    if (this.#quarantine !== record) return;
    this.#quarantine = null;
    this.#restarts.forgive();
    this.#unload(refusals.notReady('the actor is being released'));
    await this.#reload();
  }

  release(type: Effect['type'], leave: () => void): void {
    if (this.#commits.pending === 0 && !mayAct(this, type)) return;
    this.#commits.hold(() => this.#guard(type, leave), null);
  }

  tellSelf(message: Message): void {
    this.deliver(systemDelivery(this.key, message));
  }

  startTimer(id: string, dueMonoMs: number, message: Message): void {
    this.ports.timers.start(this.key, id, dueMonoMs, () => {
      if (this.deliver({ ...systemDelivery(this.key, message), isTimer: true })) return;
      this.startTimer(id, this.ports.clock.monoMs() + wheelLimits.retryMs, message);
    });
  }

  saved(urgent: boolean): void {
    this.#soft ??= new SoftState(this, this.#live, this.#commits);
    this.#soft.changed(urgent);
  }

  stop(): void {
    if (this.#phase !== 'active') return;
    this.#phase = 'deactivating';
    this.#commits.hold(() => {
      (this.#soft ?? new SoftState(this, this.#live, this.#commits)).leave();
      this.#leave(this.#mailbox.drain());
    }, null);
  }

  /** Ends at once: nothing held leaves, every asker gets `error`. */
  drop(error: TocsinError): void {
    if (this.#phase === 'gone') return;
    const waiting = this.#mailbox.drain();
    this.#unload(error);
    this.#leave([]);
    for (const { replyTo } of waiting) replyTo?.reject(error);
  }

  #leave(leftovers: readonly Delivery[]): void {
    this.#phase = 'gone';
    this.#generation++;
    this.ports.timers.cancelAll(this.key);
    this.#restarts.cancelAll();
    this.#home.gone(this.key, leftovers);
  }
}
