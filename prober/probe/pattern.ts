// Regular expressions of tenants on bytes of targets: both hostile. re2js only (no backtracking), compiled once,
// bounded in length; a match whose cost could hold the main loop runs in a worker thread (security.md §3.4).
import { RE2JS, RE2JSException } from 're2js';
import { ProbeError } from '../errors.ts';
import { inlineMatchSteps, patternCacheMax, patternCharsMax } from '../limits.ts';

/** A compiled expression. */
export interface Pattern {
  readonly source: string;
  readonly program: RE2JS;
  /** States of the program: what one character can cost. */
  readonly states: number;
}

/** The first match: its text and its named groups. */
export interface MatchSubject {
  readonly text: string;
  readonly groups: readonly (readonly [name: string, value: string])[];
}

const cache = new Map<string, Pattern>();
const groupsMax = 20;

/** Returns the compiled pattern; throws `invalid-request` naming `field` where it is too long or wrong. */
export function compilePattern(source: string, field: string): Pattern {
  const known = cache.get(source);
  if (known !== undefined) return known;
  if (source.length > patternCharsMax) {
    const message = `${field}: longer than ${patternCharsMax} characters`;
    throw new ProbeError('invalid-request', { message });
  }
  let program: RE2JS;
  try {
    program = RE2JS.compile(source);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    const message = `${field}: not a regular expression`;
    throw new ProbeError('invalid-request', { message, cause: error });
  }
  const made = { source, program, states: program.programSize() };
  if (cache.size >= patternCacheMax) {
    const oldest = cache.keys().next();
    if (!oldest.done) cache.delete(oldest.value);
  }
  cache.set(source, made);
  return made;
}

/** Returns whether the match is cheap enough for the main loop. */
export function isCheap(pattern: Pattern, subject: string): boolean {
  return pattern.states * subject.length <= inlineMatchSteps;
}

/** Returns the first match, or null. Costs up to 35 ns per state and character. */
export function findMatch(pattern: Pattern, subject: string): MatchSubject | null {
  const matcher = pattern.program.matcher(subject);
  if (!matcher.find()) return null;
  const names = Object.keys(pattern.program.namedGroups()).slice(0, groupsMax);
  const groups = names.map((name) => [name, matcher.group(name) ?? ''] as const);
  return { text: matcher.group() ?? '', groups };
}
