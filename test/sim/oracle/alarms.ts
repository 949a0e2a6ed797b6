// Alarms over time, as the judge sees them, and what the simulation's criteria mean.
import { documentKind, type Facts, placeOf, versionAt } from './facts.ts';

export interface AlarmDoc {
  readonly check_id: string;
  readonly criteria: string | null;
  readonly disabled: boolean;
}

export interface Meaning {
  readonly count: number;
  readonly level: string;
  readonly seesDuration: boolean;
}

/** What the simulation's criteria mean. */
export function meaningOf(criteria: string | null): Meaning {
  const text = criteria ?? '';
  return {
    count: Number(/consecutiveCount=(\d)/.exec(text)?.[1] ?? 1),
    level: /consistencyLevel=(\w+)/.exec(text)?.[1] ?? 'QUORUM',
    seesDuration: text.includes('duration'),
  };
}

/** The alarm's document in force at `t`; null: there is none. */
export function alarmAt(facts: Facts, key: string, alarm: string, t: number): AlarmDoc | null {
  const found = versionAt(facts.documents.get(placeOf(key, documentKind.alarm, alarm)), t);
  return found === null ? null : (found.body as { doc: AlarmDoc }).doc;
}
