// Reads the smallest parts of criteria (blanks and comments, words, numbers, strings, metric names) from a text and
// remembers the furthest place where something else was wanted. Knows no statements; nothing here recurses.

/** How far the furthest failure got, and what would have been right there. */
export interface Failure {
  position: number;
  wanted: string[];
}

const wantedMax = 8;
const endOfInput = -1;

/** A position in a text that only moves forward, or back to where an alternative began. */
export class Scanner {
  readonly source: string;
  at = 0;
  /** Characters looked at so far: the parser's work, for tests that it is linear. */
  steps = 0;
  readonly failure: Failure = { position: 0, wanted: [] };

  constructor(source: string) {
    this.source = source;
  }

  /** Records that `wanted` would have been right here. Always returns false. */
  fail(wanted: string): false {
    const { failure } = this;
    if (this.at > failure.position) {
      failure.position = this.at;
      failure.wanted = [];
    }
    const isNew = this.at === failure.position && !failure.wanted.includes(wanted);
    if (isNew && failure.wanted.length < wantedMax) failure.wanted.push(wanted);
    return false;
  }

  /** The character code here, or -1 at the end. */
  peek(): number {
    return this.at < this.source.length ? this.source.charCodeAt(this.at) : endOfInput;
  }

  /** Takes exactly this text. */
  literal(text: string): boolean {
    this.steps += text.length;
    if (!this.source.startsWith(text, this.at)) return this.fail(`'${text}'`);
    this.at += text.length;
    return true;
  }

  /** Takes the first of these texts that stands here. */
  oneOf<T extends string>(texts: readonly T[]): T | null {
    return texts.find((text) => this.literal(text)) ?? null;
  }

  /** Takes all characters that `accepts`; returns them, perhaps none. */
  take(accepts: (code: number) => boolean): string {
    const start = this.at;
    while (this.at < this.source.length && accepts(this.source.charCodeAt(this.at))) this.at += 1;
    this.steps += this.at - start + 1;
    return this.source.slice(start, this.at);
  }

  /** Takes blanks, line ends and comments. False only inside a block comment that never ends. */
  space(): boolean {
    for (;;) {
      this.take(isBlank);
      if (this.peek() === 0x23) this.take(isNotLineEnd);
      else if (this.source.startsWith('/*', this.at)) {
        if (!this.blockComment()) return false;
      } else return true;
    }
  }

  /** Comments nest; they are counted, not recursed. */
  private blockComment(): boolean {
    const start = this.at;
    let depth = 0;
    while (this.at < this.source.length) {
      const pair = this.source.slice(this.at, this.at + 2);
      if (pair === '/*') depth += 1;
      if (pair === '*/') depth -= 1;
      this.at += pair === '/*' || pair === '*/' ? 2 : 1;
      this.steps += 2;
      if (depth === 0) return true;
    }
    this.fail("'*/'");
    this.at = start;
    return false;
  }
}

const isBlank = (code: number) => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
const isNotLineEnd = (code: number) => code !== 0x0a && code !== 0x0d;
const isDigit = (code: number) => code >= 0x30 && code <= 0x39;
const isLetter = (code: number) => (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
const isHex = (code: number) => isDigit(code) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x66);

/** Whether a character may stand in a metric's name: `A-Z a-z 0-9 _ - . /` and blank. */
const isNameCharacter = (code: number): boolean =>
  isLetter(code) ||
  isDigit(code) ||
  code === 0x5f ||
  code === 0x2d ||
  code === 0x2e ||
  code === 0x2f ||
  code === 0x20;

/** Reads the name of a function: letters and `_`, or null. */
export function readFunctionName(scanner: Scanner): string | null {
  const name = scanner.take((code) => isLetter(code) || code === 0x5f);
  if (name !== '') return name;
  scanner.fail('a function');
  return null;
}

/** Reads `metric['name']` or `metric["name"]` and returns the name, or null with the position unchanged. */
export function readMetric(scanner: Scanner): string | null {
  const start = scanner.at;
  const opening = scanner.oneOf(['metric["', "metric['"] as const);
  if (opening === null) return null;
  const name = scanner.take(isNameCharacter);
  const isClosed =
    (name !== '' || scanner.fail('a metric name')) &&
    scanner.literal(opening === 'metric["' ? '"]' : "']");
  if (isClosed) return name;
  scanner.at = start;
  return null;
}

/** Reads a number as JSON writes them, or returns null with the position unchanged. */
export function readNumber(scanner: Scanner): number | null {
  const start = scanner.at;
  if (scanner.peek() === 0x2d) scanner.at += 1;
  if (scanner.peek() === 0x30) scanner.at += 1;
  else if (scanner.take(isDigit) === '') {
    scanner.fail('a number');
    scanner.at = start;
    return null;
  }
  optionalDigits(scanner, /^\./);
  optionalDigits(scanner, /^[eE][+-]?/);
  scanner.steps += scanner.at - start + 1;
  return Number(scanner.source.slice(start, scanner.at));
}

/** Takes a prefix and the digits after it, or nothing. */
function optionalDigits(scanner: Scanner, prefix: RegExp): void {
  const start = scanner.at;
  const found = prefix.exec(scanner.source.slice(start, start + 2));
  if (found === null) return;
  scanner.at += found[0].length;
  if (scanner.take(isDigit) !== '') return;
  scanner.fail('a digit');
  scanner.at = start;
}

/** Reads a whole number without leading zero, or returns null with the position unchanged. */
export function readWhole(scanner: Scanner): number | null {
  if (scanner.peek() !== 0x30) {
    const digits = scanner.take(isDigit);
    if (digits !== '') return Number(digits);
  }
  scanner.fail('a whole number from 1');
  return null;
}

const escapes = new Map([
  ['"', '"'],
  ["'", "'"],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** Reads a string in single or double quotes and returns what it means, or null with the position unchanged. */
export function readString(scanner: Scanner): string | null {
  const start = scanner.at;
  const quote = scanner.peek();
  if (quote !== 0x22 && quote !== 0x27) {
    scanner.fail('a string');
    return null;
  }
  scanner.at += 1;
  const parts: string[] = [];
  for (;;) {
    parts.push(scanner.take((code) => code !== quote && code !== 0x5c));
    if (scanner.peek() === quote) {
      scanner.at += 1;
      return parts.join('');
    }
    const escaped = scanner.peek() === 0x5c ? readEscape(scanner) : null;
    if (escaped === null) {
      if (scanner.peek() === endOfInput) scanner.fail('the end of the string');
      scanner.at = start;
      return null;
    }
    parts.push(escaped);
  }
}

/** Reads a backslash and what belongs to it; null where it is no escape, after recording where. */
function readEscape(scanner: Scanner): string | null {
  scanner.at += 1;
  const letter = scanner.source.charAt(scanner.at);
  const simple = escapes.get(letter);
  if (simple !== undefined) {
    scanner.at += 1;
    return simple;
  }
  if (letter !== 'u') {
    scanner.fail('an escape (write \\\\ for a backslash)');
    return null;
  }
  scanner.at += 1;
  const start = scanner.at;
  while (scanner.at < start + 4) {
    if (!isHex(scanner.peek())) {
      scanner.fail('a hexadecimal digit');
      return null;
    }
    scanner.at += 1;
  }
  return String.fromCharCode(Number.parseInt(scanner.source.slice(start, scanner.at), 16));
}
