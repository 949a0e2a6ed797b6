// The state of one live actor and the calls of its behaviour: init, step, snapshot. In development all that goes in is
// frozen, so that a behaviour that changes its input fails at once. Must not know mailboxes, effects or failures.
import { assert } from './assert.ts';
import type { AnyBehaviour, LoadedActor, Step, StepContext } from './behaviour.ts';
import type { TocsinError } from './errors.ts';
import { deepFreeze } from './freeze.ts';
import { type ActorKey, tenantOf } from './ids.ts';
import type { Message, ReplyTo } from './message.ts';
import type { ActivationPorts } from './perform.ts';
import { type Quarantine, quarantineOf } from './quarantine.ts';

export class LiveState {
  readonly #behaviour: AnyBehaviour;
  readonly #isFreezing: boolean;
  #state: unknown;
  #exists = false;

  constructor(behaviour: AnyBehaviour, isFreezing: boolean) {
    this.#behaviour = behaviour;
    this.#isFreezing = isFreezing;
  }

  /** Returns the first step; `keep` makes its state the actor's. Throws what the behaviour throws. */
  init(key: ActorKey, loaded: LoadedActor, context: StepContext<unknown>): Step<unknown> {
    const step = this.#behaviour.init(key, loaded, context);
    assert(Array.isArray(step?.effects), 'a step has effects');
    return step;
  }

  /** Returns the step that folds in what was read after all of it was known; null: the actor starts over. */
  resume(key: ActorKey, loaded: LoadedActor, context: StepContext<unknown>): Step<unknown> | null {
    if (this.#behaviour.resume === undefined || quarantineOf(loaded) !== null) return null;
    try {
      return this.#behaviour.resume(this.#state, { key, loaded }, context);
    } catch {
      // What is wrong shows in `init`.
      return null;
    }
  }

  /** Returns the step on this message; the state stays until `keep`. Throws what the behaviour throws. */
  step(message: Message, context: StepContext<unknown>): Step<unknown> {
    if (this.#isFreezing) deepFreeze(message);
    const step = this.#behaviour.step(this.#state, message, context);
    assert(Array.isArray(step?.effects), 'a step has effects');
    return step;
  }

  keep(state: unknown): void {
    this.#state = this.#isFreezing ? deepFreeze(state) : state;
    this.#exists = true;
  }

  forget(): void {
    this.#state = undefined;
    this.#exists = false;
  }

  /** Returns soft state as data, null where there is none to keep. */
  snapshot(): unknown {
    return this.#behaviour.snapshot(this.#state);
  }

  /** Returns soft state, and what else the next owner's actor must be told. */
  handOver(context: StepContext<unknown>): { body: unknown; rest: Message | null } {
    const rest = this.#behaviour.handOver?.(this.#state, context) ?? null;
    return { body: this.snapshot(), rest };
  }

  /** Answers a query without changing anything; what is none, or finds no state, gets `refusal`. */
  answer(
    message: Message,
    replyTo: ReplyTo,
    refusal: TocsinError,
    context: StepContext<unknown>,
  ): void {
    try {
      const isAnswerable = this.#exists && this.#behaviour.isQuery(message);
      if (isAnswerable) replyTo.resolve(this.step(message, context).reply);
      else replyTo.reject(refusal);
    } catch {
      // The actor is quarantined already: that it fails on this message too is no news.
      replyTo.reject(refusal);
    }
  }
}

/** Returns what a step of this actor may look at, as of now. */
export function stepContext(
  ports: ActivationPorts,
  key: ActorKey,
  committed: boolean,
  quarantine: Quarantine | null,
): StepContext<unknown> {
  const { clock, random, documents } = ports;
  return {
    nowMs: clock.nowMs(),
    monoMs: clock.monoMs(),
    random: () => random.next(),
    documents: documents.get(tenantOf(key))?.documents ?? null,
    epoch: ports.epochOf(key),
    committed,
    ...(quarantine === null ? {} : { quarantine }),
  };
}

/** Returns the last seq that is in what was loaded; 0: none is known. */
export function loadedSeq(loaded: LoadedActor): number {
  return Math.max(loaded.headSeq ?? 0, loaded.soft?.seq ?? 0, loaded.tail.at(-1)?.seq ?? 0);
}
