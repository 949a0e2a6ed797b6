// Regular expressions of criteria: re2js behind caps, so that no pattern and no text holds the event loop for long.
// Must not know the grammar or metrics. Measured on re2js 2.10.0, Node 20 (bench/criteria.ts repeats it):
// - Compiling costs up to 2 µs per instruction, 65 µs per `\p` class and 30 ns per folded character, all of which
//   nested repeats multiply (512 characters can ask for 270 ms and more). regex-size.ts estimates it first; what is
//   over the caps is refused.
// - A pattern that starts with `^` makes the library try its one-pass form, cubic in the pattern: 130 ms for 500
//   characters of `a?b?c?…`. A group around the whole pattern keeps it off; the meaning stays.
// - Searching costs up to 180 ns per instruction and character in the DFA (far less when it has seen such texts
//   before: typical searches take 50–500 ns), and up to 45 ns in the NFA. So small searches use the DFA, whose cache
//   is held small, larger ones the NFA. Worst found over 100,000 random hostile patterns, the better of two runs:
//   3 ms to compile, 3 ms to search. The first searches of a process run in V8's interpreter: up to 9 ms there.
// - A text longer than the work allowed is CUT: only its beginning is searched, so that a match further on is not
//   found (and `nregex` holds). Every text of up to 102 characters is searched whole whatever the patterns are, with
//   up to 240 instructions one of 256 characters; with one of 30, a long one for an alarm, 1,638 characters are.
import { RE2JS, RE2JSException } from 're2js';
import {
  patternLengthMax,
  regexDfaBytesMax,
  regexDfaWorkMax,
  regexEstimateMax,
  regexFoldSpanMax,
  regexProgramMax,
  regexRangesMax,
  regexStepOverhead,
  regexWorkMax,
  rememberedLengthMax,
  subjectLengthMax,
} from './limits.ts';
import { estimateRegex } from './regex-size.ts';

/** The compiled patterns of one alarm. */
export interface RegexSet {
  /** Instructions of all programs together. */
  readonly programSize: number;
  /** UTF-16 units of a text that are searched; the rest is ignored. */
  readonly searchedLength: number;
  /** Per pattern, in the order given: whether it is found anywhere in a text. Case-sensitive. */
  readonly searches: readonly ((text: string) => boolean)[];
}

/** Why patterns are refused, and which. */
export interface RegexRefusal {
  readonly index: number;
  readonly message: string;
}

/** Returns the compiled patterns of an alarm, or the first reason to refuse them. Bounded work, see the header. */
export function compileRegexes(patterns: readonly string[]): RegexSet | RegexRefusal {
  const refusal = refuseBySize(patterns);
  if (refusal !== null) return refusal;
  const compiled: RE2JS[] = [];
  let programSize = 0;
  for (const [index, pattern] of patterns.entries()) {
    const regex = compile(pattern);
    if (typeof regex === 'string') return { index, message: regex };
    programSize += regex.programSize();
    if (programSize > regexProgramMax) return { index, message: tooLarge };
    compiled.push(regex);
  }
  const weight = programSize + regexStepOverhead * patterns.length;
  const searchedLength = Math.min(subjectLengthMax, Math.floor(regexWorkMax / Math.max(1, weight)));
  const dfaWorkMax = regexDfaWorkMax / Math.max(1, patterns.length);
  const searches = compiled.map((regex) => searcher(regex, searchedLength, dfaWorkMax));
  return { programSize, searchedLength, searches };
}

const tooLarge =
  'the regular expressions of an alarm together are too large (repeats such as x{1000} count in full)';

function refuseBySize(patterns: readonly string[]): RegexRefusal | null {
  let instructions = 0;
  let ranges = 0;
  let foldSpan = 0;
  for (const [index, pattern] of patterns.entries()) {
    if (pattern.length > patternLengthMax) {
      return { index, message: `a regular expression has at most ${patternLengthMax} characters` };
    }
    const size = estimateRegex(pattern);
    if (!size.isBalanced) return { index, message: 'bad regular expression: unexpected )' };
    instructions += size.instructions;
    ranges += size.ranges;
    foldSpan += size.foldSpan;
    if (instructions > regexEstimateMax || ranges > regexRangesMax)
      return { index, message: tooLarge };
    if (foldSpan > regexFoldSpanMax) {
      return { index, message: 'a character class under (?i) is too wide' };
    }
  }
  return null;
}

/** Returns the compiled pattern, or what is wrong with it. */
function compile(pattern: string): RE2JS | string {
  const closing = estimateRegex(pattern).endsInQuote ? '\\E)' : ')';
  try {
    const regex = RE2JS.compile(`(${pattern}${closing}`);
    const { dfa } = regex.re2();
    dfa.stateBudget = regexDfaBytesMax;
    dfa.memBudget = regexDfaBytesMax;
    return regex;
  } catch (error) {
    if (error instanceof RE2JSException) return `bad regular expression: ${error.message}`;
    throw error;
  }
}

function searcher(
  regex: RE2JS,
  searchedLength: number,
  dfaWorkMax: number,
): (text: string) => boolean {
  const dfaLengthMax = Math.floor(dfaWorkMax / regex.programSize());
  return remembering((text) => {
    if (text.length <= dfaLengthMax) return regex.test(text);
    return regex.matcher(text.slice(0, searchedLength)).find();
  });
}

/** Text metrics seldom change (`code`, banners): the answers for the last two short texts are kept. */
function remembering(search: (text: string) => boolean): (text: string) => boolean {
  let last: string | null = null;
  let beforeLast: string | null = null;
  let lastFound = false;
  let beforeLastFound = false;
  return (text) => {
    if (text === last) return lastFound;
    if (text === beforeLast) return beforeLastFound;
    const isFound = search(text);
    if (text.length > rememberedLengthMax) return isFound;
    beforeLast = last;
    beforeLastFound = lastFound;
    last = text;
    lastFound = isFound;
    return isFound;
  };
}
