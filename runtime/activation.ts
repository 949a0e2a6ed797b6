// One live actor: its state, mailbox, commits and failures. creating → active → deactivating → gone.
// One message at a time: step, then effects; what a step says to others waits for its commits (commit-ledger.ts).
// A refused commit ends the activation; a failed one reloads it, since the state in memory is ahead of the truth.
// Must not know monitoring, nor who else is in memory (catalog.ts).
import type { ActorDescription, HandedOver, Home, Phase } from './activation-home.ts';
import type { AnyBehaviour, LoadedActor, Step, StepContext } from './behaviour.ts';
import { Commits, type CommitsOwner } from './commits.ts';
import type { DecisionRow, Effect } from './effect.ts';
import type { TocsinError } from './errors.ts';
import { type ActorKey, type ShardId, shardOf } from './ids.ts';
import { Inbox } from './inbox.ts';
import { activationLimits, turnLimits, wheelLimits } from './limits.ts';
import { LiveState, loadedSeq, stepContext } from './live-state.ts';
import { type Delivery, systemDelivery } from './mailbox.ts';
import type { Message, ReplyTo } from './message.ts';
import { type ActivationPorts, mayAct, type Performer } from './perform.ts';
import { type Quarantine, type QuarantineCause, quarantined, quarantineOf } from './quarantine.ts';
import { commitQuarantine, commitRelease, type Quarantined } from './quarantine-commit.ts';
import * as refusals from './refusals.ts';
import { Restarts } from './restarts.ts';
import { SoftState } from './soft-state.ts';
import { guarded, performAll } from './step-effects.ts';
import type { TakesTurns } from './turn-queue.ts';

export class Activation implements Performer, TakesTurns, CommitsOwner, Quarantined {
  readonly key: ActorKey;
  readonly shard: ShardId;
  readonly ports: ActivationPorts;
  isQueued = false;
  readonly #kind: string;
  readonly #live: LiveState;
  readonly #home: Home;
  readonly #inbox = new Inbox();
  readonly #commits: Commits;
  /** null: nothing failed yet, nothing waits. */
  #restartsMade: Restarts | null = null;
  #phase: Phase = 'creating';
  #isPaused = false;
  /** Counts loads: what was asked for by an earlier one no longer counts. */
  #generation = 0;
  #quarantine: Quarantine | null = null;
  #soft: SoftState | null = null;

  constructor(key: ActorKey, behaviour: AnyBehaviour, home: Home) {
    this.key = key;
    this.shard = shardOf(key);
    this.ports = home.ports;
    this.#kind = behaviour.kind;
    this.#live = new LiveState(behaviour, home.isFreezing);
    this.#home = home;
    this.#commits = new Commits(this, home.ports.decisions);
  }

  get restarts(): Restarts {
    this.#restartsMade ??= new Restarts(this.key, this.ports);
    return this.#restartsMade;
  }

  /** True where nothing is under way: no message, no commit, no load. */
  get isQuiet(): boolean {
    if (this.#inbox.length > 0) return false;
    return this.#phase === 'creating' ? this.#isPaused : this.#commits.pending === 0;
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
      lastFailure: this.#restartsMade?.lastFailure ?? null,
      messagesWaiting: this.#inbox.waiting,
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
    const isWanted = this.#inbox.length > 0;
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
        this.restarts.lastFailure = `init: ${refusals.textOf(error)}`;
      }
    }
    this.#wake();
  }

  /** What the next owner's actor needs of this one; null: there is none now, or not all of it is committed. */
  handOver(): HandedOver | null {
    if (!this.isSteady || this.#commits.pending > 0) return null;
    return { seq: this.#commits.lastSeq, ...this.#live.handOver(this.#context()) };
  }

  /** From now on it polls and decides nothing, until `open`. */
  close(): void {
    if (this.#phase !== 'gone') this.#inbox.close();
  }

  /** It may decide. `loaded`: what the store holds now, where that is more than it began with; else null. */
  open(loaded: LoadedActor | null): void {
    const waited = this.#phase === 'gone' ? null : this.#inbox.open();
    if (waited === null) return;
    if (loaded !== null) this.#rebuild(loaded);
    for (const delivery of waited.deliveries) this.deliver(delivery);
    if (waited.saves !== 'no') this.saved(waited.saves === 'soon');
    this.#wake();
  }

  /** What another owner committed meanwhile is folded in; polling goes on where the behaviour can, else it starts over. */
  #rebuild(loaded: LoadedActor): void {
    const step = this.isSteady ? this.#live.resume(this.key, loaded, this.#context()) : null;
    this.#commits.lastSeq = Math.max(this.#commits.lastSeq, loadedSeq(loaded));
    if (step === null) {
      this.#unload(refusals.notReady('the actor starts over'));
      this.begin(loaded);
    } else this.#enter(step, null);
  }

  /** Takes a message. False: its lane is full, the asker was told, it is counted. */
  deliver(delivery: Delivery): boolean {
    return this.#take(delivery, this.#phase === 'gone' || this.#inbox.offerFromOthers(delivery));
  }

  /** Of itself: the gate lets it pass. */
  #deliverOwn(delivery: Delivery): boolean {
    return this.#take(delivery, this.#phase === 'gone' || this.#inbox.offer(delivery));
  }

  #take(delivery: Delivery, isTaken: boolean): boolean {
    if (!isTaken) {
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
      const delivery = this.#isReady() ? this.#inbox.next() : undefined;
      if (delivery === undefined) return false;
      this.#handle(delivery);
      if (this.ports.clock.monoMs() >= endMonoMs) break;
    }
    return this.#isReady();
  }

  #isReady(): boolean {
    if (this.#phase !== 'active' || this.#isPaused) return false;
    const { pending, heldCount } = this.#commits;
    const { commitsPending, held } = activationLimits;
    return pending < commitsPending && heldCount < held && this.#inbox.isFull;
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
      if (delivery.isTimer) this.#inbox.again(delivery);
      this.#failed(error, envelope.message.kind, () => this.#wake());
      return;
    }
    this.#enter(step, replyTo);
  }

  #context(): StepContext<unknown> {
    const { ports, key } = this;
    const context = stepContext(ports, key, this.#commits.pending === 0, this.#quarantine);
    return this.#inbox.isClosed ? { ...context, documents: null } : context;
  }

  /** The step holds: its commits first. */
  #enter(step: Step<unknown>, replyTo: ReplyTo | null): void {
    this.#live.keep(step.state);
    const isLast = performAll(step.effects, this);
    if (replyTo !== null) this.#reply(step, replyTo);
    if (isLast) this.stop();
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

  commit(rows: readonly DecisionRow[]): void {
    this.#commits.commit(rows);
  }

  commitAcknowledged(): void {
    this.#restartsMade?.succeeded();
    this.#wake();
  }

  commitFailed(error: unknown): void {
    this.ports.meter.count('activations_reloaded', 1);
    this.ports.logger.warn('actor.reloading', { key: this.key, error: refusals.textOf(error) });
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
    this.#inbox.again(null);
    this.ports.timers.cancelAll(this.key);
    this.#restartsMade?.cancel('resume');
    this.#restartsMade?.cancel('reload');
    this.#commits.reset(error);
  }

  #reloadLater(): void {
    this.restarts.reloadLater(() => void this.#reload());
  }

  async #reload(): Promise<void> {
    const generation = this.#generation;
    let loaded: LoadedActor;
    try {
      loaded = await this.#home.reload(this.key);
    } catch (error) {
      if (generation === this.#generation && !this.isLost(error)) this.#reloadLater();
      return;
    }
    if (generation === this.#generation) this.begin(loaded);
  }

  /** A step or `init` threw: pauses, or quarantines; `resume` runs after the pause. */
  #failed(error: unknown, messageKind: string, resume: () => void): void {
    const verdict = this.restarts.failed(error, messageKind, this.#kind);
    if (verdict.type === 'quarantine') {
      this.quarantine(this.restarts.lastFailure ?? messageKind, 'failures');
      // Where `init` failed it stays without a state.
      this.#phase = 'active';
      this.#wake();
      return;
    }
    this.#isPaused = true;
    this.restarts.waitFor('resume', verdict.delayMs, () => {
      this.#isPaused = false;
      resume();
    });
  }

  /** Pauses the actor until an operator releases it, and commits that. One that is loading ends its load first. */
  quarantine(reason: string, cause: QuarantineCause): void {
    if (this.#quarantine !== null || this.#phase === 'gone') return;
    const record = quarantined(reason, cause, this.ports.clock.nowMs(), 1);
    this.#quarantine = record;
    this.#inbox.again(null);
    if (this.#phase === 'active') this.#isPaused = false;
    this.ports.timers.cancelAll(this.key);
    this.#restartsMade?.cancel('resume');
    this.ports.meter.count('quarantines', 1);
    this.ports.logger.error('actor.quarantined', { key: this.key, reason });
    commitQuarantine(this, this.#commits, record);
    this.#home.quarantined(this.key, record);
    this.#wake();
  }

  isStill(record: Quarantine): boolean {
    return this.#quarantine === record;
  }

  /** True where the error says that the shard is someone else's: the activation is gone then. */
  isLost(error: unknown): boolean {
    if (refusals.codeOf(error) !== 'RT_NOT_OWNER') return false;
    this.drop(refusals.notOwner(this.key, error));
    return true;
  }

  /** Commits the end of the quarantine and starts anew from the store. Rejects as `Decisions.commit` does. */
  async liftQuarantine(): Promise<void> {
    const record = this.#quarantine;
    if (record === null || !(await commitRelease(this, this.#commits, record))) return;
    this.#quarantine = null;
    this.#restartsMade?.forgive();
    this.#unload(refusals.notReady('the actor is being released'));
    await this.#reload();
  }

  release(type: Effect['type'], leave: () => void): void {
    if (this.#commits.pending === 0 && !mayAct(this, type)) return;
    this.#commits.hold(() => guarded(type, this, leave), null);
  }

  tellSelf(message: Message): void {
    this.#deliverOwn(systemDelivery(this.key, message));
  }

  startTimer(id: string, dueMonoMs: number, message: Message): void {
    this.ports.timers.startFor(this, id, dueMonoMs, message);
  }

  timerFired(id: string, message: Message): void {
    const delivery = { ...systemDelivery(this.key, message), isTimer: true };
    if (this.#deliverOwn(delivery)) return;
    this.startTimer(id, this.ports.clock.monoMs() + wheelLimits.retryMs, message);
  }

  saved(urgent: boolean): void {
    if (this.#inbox.saves(urgent)) return;
    this.#soft ??= new SoftState(this, this.#live, this.#commits);
    this.#soft.changed(urgent);
  }

  stop(): void {
    if (this.#phase !== 'active') return;
    this.#phase = 'deactivating';
    this.#commits.hold(() => {
      (this.#soft ?? new SoftState(this, this.#live, this.#commits)).leave();
      this.#leave(this.#inbox.drain());
    }, null);
  }

  /** Ends at once: nothing held leaves, every asker gets `error`. */
  drop(error: TocsinError): void {
    if (this.#phase === 'gone') return;
    const waiting = this.#inbox.empty();
    this.#unload(error);
    this.#leave([]);
    for (const { replyTo } of waiting) replyTo?.reject(error);
  }

  #leave(leftovers: readonly Delivery[]): void {
    this.#phase = 'gone';
    this.#generation++;
    this.ports.timers.cancelAll(this.key);
    this.#restartsMade?.cancelAll();
    this.#home.gone(this.key, leftovers);
  }
}
