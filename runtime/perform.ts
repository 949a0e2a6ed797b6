// The single place where an effect becomes real: one case for each. Knows the ports, not the actor's life: what belongs to
// the actor (its commits, the release rule, stopping) is done by the activation through `Performer`.
// The lease is asked here, at the point of effect; what an acknowledged commit releases needs no lease: the ack proves it.
import { never } from './assert.ts';
import type { DocumentsCache } from './documents.ts';
import type { DecisionRow, Effect, TicksOf } from './effect.ts';
import type { ActorKey, Epoch } from './ids.ts';
import type { Message } from './message.ts';
import type {
  Clock,
  Decisions,
  Logger,
  Meter,
  ProbeLink,
  Random,
  SoftStates,
  Ticks,
} from './ports.ts';
import type { Timers } from './timers.ts';

/** The world as activations see it. */
export interface ActivationPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly timers: Timers;
  readonly decisions: Decisions;
  readonly softStates: SoftStates;
  readonly ticks: Ticks;
  /** Answers come back to the actor as `{ kind: 'probe.answer', answer }`. */
  readonly probes: ProbeLink<unknown, unknown>;
  readonly documents: DocumentsCache;
  /** True while this node may act for the actor: the lease is valid and the shard is held. Asked at each effect. */
  mayAct(key: ActorKey): boolean;
  /** Epoch under which the actor's shard is held. */
  epochOf(key: ActorKey): Epoch;
  /** Carries the `send` effect: the router's tell, system lane. */
  send(to: ActorKey, message: Message): void;
  /** Carries the `documents` effect: this node's copy and a push to every member. */
  publishDocuments(tenant: string, rev: number, documents: unknown): void;
}

/** What an effect needs of its actor. */
export interface Performer {
  readonly key: ActorKey;
  readonly ports: ActivationPorts;
  commit(rows: readonly DecisionRow[]): void;
  /** Runs `leave` once the commits of this and earlier steps are acknowledged; at once, under the lease, if all are. */
  release(type: Effect['type'], leave: () => void): void;
  /** Puts a message of the runtime into the system lane. */
  tellSelf(message: Message): void;
  startTimer(id: string, dueMonoMs: number, message: Message): void;
  saved(urgent: boolean): void;
  stop(): void;
}

/** Makes one effect real. Throws only what a port throws. */
export function perform(effect: Effect, actor: Performer): void {
  const { key, ports } = actor;
  switch (effect.type) {
    case 'commit':
      actor.commit(effect.rows);
      return;
    case 'append':
      if (mayAct(actor, effect.type)) ports.ticks.append(key, effect.ticks);
      return;
    case 'probe':
      probe(effect.request, actor);
      return;
    case 'send':
      actor.release(effect.type, () => ports.send(effect.to, effect.message));
      return;
    case 'startTimer':
      actor.startTimer(effect.id, effect.dueMonoMs, effect.message);
      return;
    case 'cancelTimer':
      ports.timers.cancel(key, effect.id);
      return;
    case 'documents':
      actor.release(effect.type, () =>
        ports.publishDocuments(effect.tenant, effect.rev, effect.documents),
      );
      return;
    case 'readTicks':
      readTicks(effect.of, actor);
      return;
    case 'save':
      actor.saved(effect.urgent);
      return;
    case 'count':
      ports.meter.count(effect.name, effect.by, effect.label);
      return;
    case 'stop':
      actor.stop();
      return;
    default:
      never(effect, 'effect');
  }
}

/** True where the lease allows it; else the effect is left out and counted. */
export function mayAct(actor: Performer, type: Effect['type']): boolean {
  if (actor.ports.mayAct(actor.key)) return true;
  actor.ports.meter.count('effects_fenced', 1, type);
  return false;
}

function probe(request: unknown, actor: Performer): void {
  if (!mayAct(actor, 'probe')) {
    actor.tellSelf({ kind: 'probe.fenced', id: requestId(request) } as Message);
    return;
  }
  actor.ports.probes.submit(request, (answer) =>
    actor.tellSelf({ kind: 'probe.answer', answer } as Message),
  );
}

function requestId(request: unknown): unknown {
  return (request as { readonly id?: unknown } | null)?.id ?? null;
}

/** Ticks that cannot be read come back as none, and are counted: an actor that starts must not wait for ever. */
function readTicks(of: readonly TicksOf[], actor: Performer): void {
  const { key, ports } = actor;
  ports.ticks.last(key, of).then(
    (ticks) => actor.tellSelf({ kind: 'ticks.read', ticks, of } as Message),
    (error: unknown) => {
      ports.meter.count('ticks_unread', of.length);
      ports.logger.warn('ticks.unread', { key, error: String(error) });
      actor.tellSelf({ kind: 'ticks.read', ticks: [], of } as Message);
    },
  );
}
