// Which suppressions hold an alert back now or later, and which ids an object shows (v1.0, suppressions).
// Owns the matching and the time windows; must not know how suppressions are changed or stored.
import type { SuppressionDoc, SuppressionMarks } from '../resources.ts';
import type { TenantDocuments } from './documents.ts';

/** What an alert is about: the alarm that changed, its check and entity, and the plan the alarm names. */
export interface SuppressionTarget {
  readonly entity: string;
  readonly check: string;
  readonly alarm: string;
  readonly plan: string;
}

/** Suppression ids in id order. */
export interface MatchingSuppressions {
  readonly active: readonly string[];
  readonly scheduled: readonly string[];
}

export type SuppressionPhase = 'scheduled' | 'active' | 'ended';

/** Returns where `nowMs` lies in the window; its start is inside, its end is not. */
export function suppressionPhase(suppression: SuppressionDoc, nowMs: number): SuppressionPhase {
  const { start_time: startAtMs, end_time: endAtMs } = suppression;
  if (endAtMs !== null && (endAtMs <= nowMs || endAtMs <= startAtMs)) return 'ended';
  return startAtMs <= nowMs ? 'active' : 'scheduled';
}

/**
 * Returns the suppressions that hold back an alert of this alarm. Each matches iff its entities, checks or alarms name
 * the target (or all three are empty) and its plans contain the alarm's plan (or are empty).
 * A node without a copy of the documents (null) knows none.
 */
export function suppressionsOf(
  documents: TenantDocuments | null,
  target: SuppressionTarget,
  nowMs: number,
): MatchingSuppressions {
  return matching(documents, nowMs, (one) => holdsBack(one, target));
}

/** Returns the ids that an alarm shows: those that hold its alerts back, now and later. */
export function marksForAlarm(
  documents: TenantDocuments | null,
  target: SuppressionTarget,
  nowMs: number,
): SuppressionMarks {
  return marks(suppressionsOf(documents, target, nowMs));
}

/** Returns the ids that a check shows: those that name the check or its entity. */
export function marksForCheck(
  documents: TenantDocuments | null,
  target: Pick<SuppressionTarget, 'entity' | 'check'>,
  nowMs: number,
): SuppressionMarks {
  return marks(matching(documents, nowMs, (one) => namesCheck(one, target)));
}

/** Returns the ids that an entity shows: those that name the entity. */
export function marksForEntity(
  documents: TenantDocuments | null,
  entity: string,
  nowMs: number,
): SuppressionMarks {
  return marks(matching(documents, nowMs, (one) => one.entities.includes(entity)));
}

/** Returns the ids that a plan shows: those that name the plan. */
export function marksForPlan(
  documents: TenantDocuments | null,
  plan: string,
  nowMs: number,
): SuppressionMarks {
  return marks(matching(documents, nowMs, (one) => one.notification_plans.includes(plan)));
}

function holdsBack(one: SuppressionDoc, target: SuppressionTarget): boolean {
  const plans = one.notification_plans;
  if (plans.length > 0 && !plans.includes(target.plan)) return false;
  if (one.entities.length + one.checks.length + one.alarms.length === 0) return true;
  return namesCheck(one, target) || one.alarms.includes(`${target.entity}:${target.alarm}`);
}

function namesCheck(
  one: SuppressionDoc,
  target: Pick<SuppressionTarget, 'entity' | 'check'>,
): boolean {
  return (
    one.entities.includes(target.entity) || one.checks.includes(`${target.entity}:${target.check}`)
  );
}

function matching(
  documents: TenantDocuments | null,
  nowMs: number,
  matches: (one: SuppressionDoc) => boolean,
): MatchingSuppressions {
  if (documents === null || documents.suppressions.size === 0) return none;
  const active: string[] = [];
  const scheduled: string[] = [];
  for (const one of documents.suppressions.values()) {
    const phase = suppressionPhase(one, nowMs);
    if (phase === 'ended' || !matches(one)) continue;
    (phase === 'active' ? active : scheduled).push(one.id);
  }
  return { active: active.sort(), scheduled: scheduled.sort() };
}

const none: MatchingSuppressions = { active: [], scheduled: [] };

function marks(found: MatchingSuppressions): SuppressionMarks {
  return { active_suppressions: found.active, scheduled_suppressions: found.scheduled };
}
