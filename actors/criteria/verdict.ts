// What an evaluation answers: the state of one observation, its status text, and why. Types and the cutting of texts.
import type { AlarmLevel } from './ast.ts';
import { statusLengthMax } from './limits.ts';

export type VerdictReason =
  | { readonly kind: 'unavailable' }
  /** `line`: of the return that was taken. */
  | { readonly kind: 'branch'; readonly line: number }
  | { readonly kind: 'default-return'; readonly line: number }
  | { readonly kind: 'no-match' }
  | { readonly kind: 'no-criteria' }
  /** `line`: of the comparison that needs the metric. */
  | { readonly kind: 'missing-metric'; readonly metric: string; readonly line: number }
  | { readonly kind: 'type-mismatch'; readonly metric: string; readonly line: number };

/** The result of evaluating one observation. May be shared: never change it. */
export interface Verdict {
  readonly state: AlarmLevel;
  /** At most 128 code points. */
  readonly status: string;
  readonly reason: VerdictReason;
}

/** Returns the first `lengthMax` code points of a text: a surrogate pair is never split. */
export function cutText(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  let end = 0;
  for (let count = 0; count < lengthMax && end < text.length; count += 1) {
    end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}

/** Returns a status text cut to its 128 code points. */
export const cutStatus = (text: string): string => cutText(text, statusLengthMax);
