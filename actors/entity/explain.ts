// Why an alarm has its state, and why it has not changed: per zone the steps of its evaluation, and sentences for people.
// Derived when asked. Must not know how the state is kept.
import type { ZoneEvidence } from '../alarm/transition.ts';
import { type Quorum, zonesNeeded } from '../alarm/zones.ts';
import { type Criteria, CriteriaError, consecutiveCountOf } from '../criteria/criteria.ts';
import type { AlarmStateName } from '../resources.ts';
import { conditionsOfAlarm } from './conditions.ts';
import { criteriaOf, evidenceOf, quorumOf } from './evaluation.ts';
import type { AlarmExplanation } from './messages.ts';
import {
  type AlarmState,
  type CheckState,
  checkOf,
  type LiveEntityState,
  zoneOf,
} from './state.ts';
import type { EntityContext } from './turn.ts';
import { alarmView } from './views.ts';

/** Returns the explanation of an alarm; null where its check is gone. */
export function explained(
  state: LiveEntityState,
  alarm: AlarmState,
  context: EntityContext,
): AlarmExplanation | null {
  const check = checkOf(state, alarm.doc.check_id);
  if (check === null) return null;
  const compiled = criteriaOf(alarm.doc.criteria);
  // Criteria that don't compile decide nothing; what they would need is shown as for none.
  const criteria = compiled instanceof CriteriaError ? noCriteria() : compiled;
  const quorum = quorumOf(check, criteria, context.monoMs);
  const count = consecutiveCountOf(criteria, check.doc.type);
  const evidence = evidenceOf(check, alarm, quorum);
  const view = alarmView(state, alarm, context);
  const conditions = conditionsOfAlarm(state, alarm, context);
  const facts = { alarm, check, quorum, count, evidence, context };
  return {
    alarm: view,
    state: alarm.state,
    status: alarm.status,
    since_ms: alarm.n === 0 ? null : alarm.sinceMs,
    settings: {
      consistency_level: quorum.level,
      consecutive_count: count,
      zones_total: quorum.total,
      zones_needed: zonesNeeded(quorum),
      age_limit_ms: quorum.ageLimitMs,
    },
    zones: evidence.map((zone) => explainedZone(zone, { check, alarm, compiled, quorum })),
    why: [
      ...whySentences(facts),
      ...view.active_suppressions.map((id) => `Notifications are suppressed by ${id}.`),
      ...conditions.map((condition) => `${condition.text}.`),
    ],
    suppressed_by: view.active_suppressions,
    conditions,
  };
}

function noCriteria(): Criteria {
  const none = criteriaOf(null);
  if (none instanceof CriteriaError) throw none;
  return none;
}

interface Explaining {
  readonly check: CheckState;
  readonly alarm: AlarmState;
  readonly compiled: Criteria | CriteriaError;
  readonly quorum: Quorum;
}

function explainedZone(evidence: ZoneEvidence, of: Explaining): AlarmExplanation['zones'][number] {
  const zone = zoneOf(of.check, evidence.zone);
  const seen = zone?.seen ?? null;
  // Steps are shown for the observation that made the result.
  const isSame = seen !== null && seen.slotAtMs === evidence.slot;
  const steps =
    isSame && !(of.compiled instanceof CriteriaError)
      ? of.compiled.explain(seen, zone?.before ?? null)
      : [];
  const isOut = isLeftOut(of.quorum, evidence.zone);
  return {
    monitoring_zone_id: evidence.zone,
    computed: evidence.computed,
    confirmed: evidence.confirmed,
    run: evidence.run,
    age: evidence.age === null ? null : Math.round(evidence.age),
    counts: !evidence.stale && !isOut,
    steps,
    status: evidence.status,
  };
}

interface Facts {
  readonly alarm: AlarmState;
  readonly check: CheckState;
  readonly quorum: Quorum;
  readonly count: number;
  readonly evidence: readonly ZoneEvidence[];
  readonly context: EntityContext;
}

function whySentences(facts: Facts): readonly string[] {
  return [
    ...switchedOff(facts),
    stateSentence(facts),
    ...agreementSentences(facts),
    ...facts.evidence.flatMap((zone) => zoneSentences(facts, zone)),
  ];
}

function switchedOff({ alarm, check }: Facts): readonly string[] {
  const sentences: string[] = [];
  if (alarm.doc.disabled)
    sentences.push('The alarm is disabled: it is not evaluated and sends nothing.');
  if (check.doc.disabled) sentences.push(`Check ${check.doc.id} is disabled: nothing is observed.`);
  return sentences;
}

function stateSentence({ alarm, context }: Facts): string {
  if (alarm.n === 0) return 'The alarm is UNKNOWN: no state was decided yet.';
  const lastedS = Math.max(0, Math.round((context.nowMs - alarm.sinceMs) / 1000));
  const by = alarm.analyzedBy === null ? '' : ` on an observation from ${alarm.analyzedBy}`;
  const status = alarm.status === '' ? '' : `: ${alarm.status}`;
  return `The alarm went from ${alarm.previous} to ${alarm.state} ${lastedS} s ago${by}${status}.`;
}

const decidable: readonly AlarmStateName[] = ['CRITICAL', 'WARNING', 'OK'];

/** How far each state that some zone holds is from deciding. */
function agreementSentences({ alarm, quorum, evidence }: Facts): readonly string[] {
  const needed = zonesNeeded(quorum);
  const counting = evidence.filter((zone) => !zone.stale && !isLeftOut(quorum, zone.zone));
  return decidable.flatMap((state) => {
    const holders = counting.filter((zone) => zone.confirmed === state);
    if (holders.length === 0) return [];
    const zones = holders.map((zone) => zone.zone).join(', ');
    const have = `${holders.length} of ${quorum.total} zones hold ${state} (${zones})`;
    if (quorum.level === 'ONE')
      return [`${have}; with ONE the newest confirmed observation decides.`];
    return [`${have}; ${quorum.level} needs ${needed}${consequence(holders.length)}.`];

    function consequence(count: number): string {
      if (state === alarm.state) return '';
      // Enough agree since a zone left the count; only what comes in is evaluated.
      return count < needed ? `, so it is not ${state}` : ': the next observation decides';
    }
  });
}

/** True for a zone that is known to be down, under ALL. */
function isLeftOut({ level, down }: Quorum, zone: string): boolean {
  return level === 'ALL' && down.has(zone);
}

function zoneSentences({ quorum, count }: Facts, zone: ZoneEvidence): readonly string[] {
  if (zone.age === null) {
    return [
      `Zone ${zone.zone} has no observation yet${zone.status === '' ? '' : ` (${zone.status})`}.`,
    ];
  }
  const sentences: string[] = [];
  if (isLeftOut(quorum, zone.zone)) {
    sentences.push(`Zone ${zone.zone} is known to be down: with ALL the others decide.`);
  }
  if (zone.stale) {
    const limitS = quorum.ageLimitMs / 1000;
    sentences.push(
      `Zone ${zone.zone} does not count: its newest observation is ${Math.round(zone.age / 1000)} s old, the limit is ${limitS} s.`,
    );
  }
  if (zone.computed !== zone.confirmed) {
    const held =
      zone.confirmed === 'UNKNOWN' ? 'it holds no state yet' : `it still holds ${zone.confirmed}`;
    sentences.push(
      `Zone ${zone.zone} came to ${zone.computed} ${zone.run} time${zone.run === 1 ? '' : 's'} in a row; ${count} are needed, ${held}.`,
    );
  }
  return sentences;
}
