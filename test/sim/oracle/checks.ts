// Checks over time, as the judge sees them: the document in force, and whether it was being changed.
import {
  changedIn,
  documentKind,
  type Facts,
  placeOf,
  type Request,
  type Span,
  versionAt,
} from './facts.ts';

export interface CheckDoc {
  readonly period: number;
  readonly timeout: number;
  readonly disabled: boolean;
  readonly monitoring_zones_poll: readonly string[];
}

/** The check's document in force at `t`; null: there is none. */
export function checkAt(facts: Facts, key: string, check: string, t: number): CheckDoc | null {
  const found = versionAt(facts.documents.get(placeOf(key, documentKind.check, check)), t);
  return found === null ? null : (found.body as { doc: CheckDoc }).doc;
}

/** People ask again for 90 s; what they gave up may still be on its way to the store. */
const givenUpMs = 150_000;
const asked = new WeakMap<Facts, ReadonlyMap<string, readonly Span[]>>();

interface CheckPlace {
  readonly key: string;
  readonly check: string;
}

/** True where the check was changed in [from, to], or a change of it was under way. */
export function checkChanged(facts: Facts, place: CheckPlace, from: number, to: number): boolean {
  const versions = facts.documents.get(placeOf(place.key, documentKind.check, place.check));
  return changedIn(versions, from, to) || isChanging(facts, place, from, to);
}

/**
 * True where a change of the check was under way in [from, to]: replies and pages wait for its commit (I18), polling
 * follows it from the moment that the owner took it.
 */
export function isChanging(
  facts: Facts,
  { key, check }: CheckPlace,
  from: number,
  to: number,
): boolean {
  const underWay = asked.get(facts) ?? askedOf(facts);
  asked.set(facts, underWay);
  return [check, 'entity'].some((target) =>
    facts.overlaps(underWay.get(`${key} ${target}`) ?? [], from, to),
  );
}

function askedOf(facts: Facts): ReadonlyMap<string, readonly Span[]> {
  const spans = new Map<string, Span[]>();
  for (const { op, sentT, replies } of facts.requests.values()) {
    const isWhole = op.message === 'entity.delete';
    if (!isWhole && !op.message.startsWith('check.')) continue;
    const place = `${op.key} ${isWhole ? 'entity' : op.target}`;
    const span = { from: sentT, to: overT({ op, sentT, replies }) };
    spans.set(place, [...(spans.get(place) ?? []), span]);
  }
  return spans;
}

function overT({ sentT, replies }: Request): number {
  const isKnown = replies.some((reply) => reply.outcome !== 'failed');
  return isKnown ? Math.max(...replies.map((reply) => reply.t)) : sentT + givenUpMs;
}
