// The entity actor (key `tenant/entity`): owns an entity with its checks, alarms, poll slots and alarm states.
// One step per message, pure: what follows from it is effects. Must not know which node it runs on, or any I/O.
import { never } from '../../runtime/assert.ts';
import type { Behaviour, LoadedActor, Step } from '../../runtime/behaviour.ts';
import type { ActorKey } from '../../runtime/ids.ts';
import type { TenantDocuments } from '../tenant/documents.ts';
import { changed } from './changes.ts';
import { drained } from './evaluation.ts';
import { checkRulesOf, type EntityInstallation } from './installation.ts';
import { activated, loadedState, ticksRead } from './load.ts';
import type { EntityChange, EntityMessage, EntitySignal } from './messages.ts';
import { answered, deadlinePassed, fenced, slotIsDue } from './polling.ts';
import { answerTo, isEntityQuery } from './queries.ts';
import { reportIsDue } from './report.ts';
import { handedOver, handOver, resumed } from './resume.ts';
import { softStateOf, softVersion } from './soft-state.ts';
import { type EntityState, exists } from './state.ts';
import { type EntityContext, type EntitySetting, effectsOf, newTurn, type Turn } from './turn.ts';

export type EntityBehaviour = Behaviour<EntityState, EntityMessage, TenantDocuments>;

/** Returns the behaviour of all entities of an installation. */
export function entityBehaviour(installation: EntityInstallation): EntityBehaviour {
  const setting: EntitySetting = { installation, checkRules: checkRulesOf(installation) };
  return {
    kind: 'entity',
    version: softVersion,
    init: (key, loaded, context) => init({ key, loaded }, context, setting),
    resume: (state, { loaded }, context) => {
      const turn = resumed(state, loaded, context, setting);
      return { state: turn.state, effects: effectsOf(turn) };
    },
    step: (state, message, context) => step(state, message, context, setting),
    handOver,
    snapshot: softStateOf,
    isQuery: isEntityQuery,
  };
}

function init(
  from: { readonly key: ActorKey; readonly loaded: LoadedActor },
  context: EntityContext,
  setting: EntitySetting,
): Step<EntityState> {
  const turn = newTurn(loadedState(from.key, from.loaded, context), context, setting);
  activated(turn);
  return { state: turn.state, effects: effectsOf(turn) };
}

function step(
  state: EntityState,
  message: EntityMessage,
  context: EntityContext,
  setting: EntitySetting,
): Step<EntityState> {
  if (isEntityQuery(message)) {
    const reply = answerTo(message, { state, context, setting });
    const isIdle = !exists(state) && state.recent.length === 0;
    return { state, reply, replyWhen: 'now', effects: isIdle ? [{ type: 'stop' }] : [] };
  }
  const turn = newTurn(state, context, setting);
  drained(turn);
  if (isChange(message)) {
    const reply = changed(turn, message);
    return { state: turn.state, reply, effects: effectsOf(turn) };
  }
  signalled(turn, message);
  return { state: turn.state, effects: effectsOf(turn) };
}

function isChange(message: EntityChange | EntitySignal): message is EntityChange {
  return 'change' in message;
}

function signalled(turn: Turn, message: EntitySignal): void {
  switch (message.kind) {
    case 'slot.due':
      slotIsDue(turn, message.check);
      break;
    case 'slot.deadline':
      deadlinePassed(turn, message.check, message.zone, message.slotAtMs);
      break;
    case 'probe.answer':
      answered(turn, message.answer);
      break;
    case 'probe.fenced':
      fenced(turn, message.id);
      break;
    case 'ticks.read':
      ticksRead(turn, message);
      break;
    case 'observations.handed':
      handedOver(turn, message);
      break;
    case 'entity.report':
      reportIsDue(turn);
      break;
    default:
      never(message, 'signal');
  }
}
