// What is wrong with criteria, and where: the error of compiling, with the fields of the API's `alarmParseError`.
// Must not know the grammar.
import type { ErrorEntry } from '../../runtime/errors.ts';

export const criteriaErrors = {
  AC_BAD_CRITERIA: {
    meaning: 'The criteria of an alarm do not follow the alarm language.',
    retryable: false,
    httpStatus: 400,
  },
} as const satisfies Record<string, ErrorEntry>;

/** `parse`: the text does not follow the grammar; `check`: it does, and breaks a rule of alarm-language.md §2.1. */
export type CriteriaStage = 'parse' | 'check';

const tokenLengthMax = 32;

/** Criteria that cannot be compiled. Never retryable: the text has to change. */
export class CriteriaError extends Error {
  override readonly name = 'CriteriaError';
  readonly code = 'AC_BAD_CRITERIA';
  /** The whole criteria text. */
  readonly input: string;
  /** 0-based, in UTF-16 units; the length of the input where it ends too early. */
  readonly position: number;
  /** 1-based. LF, CR and CRLF end a line. */
  readonly line: number;
  /** 0-based, in UTF-16 units. */
  readonly column: number;
  /** The offending text at `position`, at most 32 characters; empty at the end of the input. */
  readonly token: string;
  readonly stage: CriteriaStage;

  constructor(message: string, stage: CriteriaStage, input: string, position: number) {
    super(message);
    const starts = lineStarts(input.slice(0, position));
    this.input = input;
    this.position = position;
    this.line = starts.length;
    this.column = position - (starts[starts.length - 1] ?? 0);
    this.token = tokenAt(input, position);
    this.stage = stage;
  }
}

/** Returns the positions at which the lines of a text start; the first is 0. Linear in the text. */
export function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x0a || (code === 0x0d && text.charCodeAt(at + 1) !== 0x0a)) starts.push(at + 1);
  }
  return starts;
}

/** Returns the 1-based line of a position, given `lineStarts` of its text. */
export function lineAt(starts: readonly number[], position: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) <= position) low = middle;
    else high = middle;
  }
  return low + 1;
}

/** Returns the word at a position (letters, digits, `_`), else the one character there, else an empty text. */
export function tokenAt(text: string, position: number): string {
  const near = text.slice(position, position + tokenLengthMax);
  const word = /^[A-Za-z0-9_]+/.exec(near);
  if (word !== null) return word[0];
  const character = near.codePointAt(0);
  return character === undefined ? '' : String.fromCodePoint(character);
}
