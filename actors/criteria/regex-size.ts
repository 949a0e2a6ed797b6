// Estimates, from a pattern's text alone, what it expands to: instructions, ranges of character classes and characters
// that have to be case-folded. It errs on the high side and never compiles anything, so that a pattern that would hold
// the event loop while it is compiled (`(?:\pL{9}){99}`, `(?i)[b-\x{ffff}]`) is refused before. It does not judge
// syntax, except that it counts parentheses: regex.ts wraps patterns and must know that they are balanced.

/** The estimate of one pattern. */
export interface RegexSize {
  readonly instructions: number;
  readonly ranges: number;
  /** Characters in ranges of classes under `(?i)`. */
  readonly foldSpan: number;
  /** False: a `)` stands where no group is open. */
  readonly isBalanced: boolean;
  /** True: the text ends inside `\Q…`. */
  readonly endsInQuote: boolean;
}

/** Ranges of the largest Unicode category or script in the library's tables, negated ones included, rounded up. */
const unicodeClassRanges = 800;
const perlClassRanges = 6;
/** The library folds characters up to here. */
const foldMax = 0x1e943;

interface Frame {
  instructions: number;
  ranges: number;
}

interface Walk {
  readonly pattern: string;
  at: number;
  /** Open groups, the outermost first; the last one collects. */
  readonly frames: Frame[];
  /** The part that a quantifier would repeat. */
  last: Frame;
  isFolded: boolean;
  foldSpan: number;
  isBalanced: boolean;
  endsInQuote: boolean;
}

/** Returns the estimate of a pattern. One pass; the caller bounds the length. */
export function estimateRegex(pattern: string): RegexSize {
  const walk: Walk = {
    pattern,
    at: 0,
    frames: [{ instructions: 0, ranges: 0 }],
    last: { instructions: 0, ranges: 0 },
    isFolded: /\(\?[a-zA-Z-]*i/.test(pattern),
    foldSpan: 0,
    isBalanced: true,
    endsInQuote: false,
  };
  while (walk.at < pattern.length) step(walk);
  const { isBalanced } = walk;
  while (walk.frames.length > 1) closeGroup(walk);
  settle(walk);
  const total = walk.frames[0] ?? { instructions: 0, ranges: 0 };
  const { foldSpan, endsInQuote } = walk;
  // Two that every program has, and three for the group that regex.ts puts around a pattern, as for any group.
  return { ...total, instructions: total.instructions + 5, foldSpan, isBalanced, endsInQuote };
}

function step(walk: Walk): void {
  const character = takeCharacter(walk);
  const special = specials.get(character);
  if (special === undefined) atom(walk, 1, 1);
  else special(walk);
}

const repeatAny = (walk: Walk): void => {
  walk.last.instructions += 2;
};

const specials = new Map<string, (walk: Walk) => void>([
  ['(', openGroup],
  [')', closeGroup],
  ['|', alternative],
  ['*', repeatAny],
  ['+', repeatAny],
  ['?', repeatAny],
  ['{', repeatLast],
  ['[', characterClass],
  ['\\', escaped],
]);

function alternative(walk: Walk): void {
  atom(walk, 2, 0);
  settle(walk);
}

function takeCharacter(walk: Walk): string {
  const code = walk.pattern.codePointAt(walk.at);
  if (code === undefined) return '';
  const character = String.fromCodePoint(code);
  walk.at += character.length;
  return character;
}

/** Takes what a sticky expression finds here. */
function takeMatch(walk: Walk, expression: RegExp): RegExpExecArray | null {
  expression.lastIndex = walk.at;
  const found = expression.exec(walk.pattern);
  if (found !== null) walk.at += found[0].length;
  return found;
}

/** Adds what was last seen to its group. */
function settle(walk: Walk): void {
  const frame = walk.frames[walk.frames.length - 1];
  if (frame === undefined) return;
  frame.instructions += walk.last.instructions;
  frame.ranges += walk.last.ranges;
  walk.last = { instructions: 0, ranges: 0 };
}

function atom(walk: Walk, instructions: number, ranges: number): void {
  settle(walk);
  walk.last = { instructions, ranges };
}

function openGroup(walk: Walk): void {
  // Flags alone, as in `x(?i){9}`, are no part: a quantifier after them repeats what stands before.
  if (takeMatch(walk, /\?[a-zA-Z-]*\)/y) !== null) return;
  settle(walk);
  takeMatch(walk, /\?(?:P?<[^>]*>|[a-zA-Z-]*:)/y);
  walk.frames.push({ instructions: 0, ranges: 0 });
}

function closeGroup(walk: Walk): void {
  settle(walk);
  const frame = walk.frames.length > 1 ? walk.frames.pop() : undefined;
  if (frame === undefined) walk.isBalanced = false;
  else walk.last = { ...frame, instructions: frame.instructions + 3 };
}

function repeatLast(walk: Walk): void {
  const found = takeMatch(walk, /(\d{1,8})(,?)(\d{0,8})\}/y);
  if (found === null) {
    atom(walk, 1, 1);
    return;
  }
  const low = Number(found[1]);
  const high = found[3] === '' || found[3] === undefined ? low : Number(found[3]);
  const times = Math.max(1, low, high);
  walk.last.instructions = walk.last.instructions * times + Math.max(0, times - low) + 2;
  walk.last.ranges *= times;
}

function escaped(walk: Walk): void {
  if (takeMatch(walk, /Q/y) !== null) quoted(walk);
  else if (takeMatch(walk, /[pP](?:\{[^}]*\}|[^{])/y) !== null) atom(walk, 1, unicodeClassRanges);
  else if (takeMatch(walk, /[dDsSwW]/y) !== null) atom(walk, 1, perlClassRanges);
  else {
    if (takeMatch(walk, /x\{[^}]*\}/y) === null) takeCharacter(walk);
    // `\b` asks about word characters: four ranges.
    atom(walk, 1, 4);
  }
}

function quoted(walk: Walk): void {
  const end = walk.pattern.indexOf('\\E', walk.at);
  walk.endsInQuote = end < 0;
  const stop = end < 0 ? walk.pattern.length : end;
  while (walk.at < stop) {
    takeCharacter(walk);
    atom(walk, 1, 1);
  }
  if (end >= 0) walk.at = end + 2;
}

function characterClass(walk: Walk): void {
  takeMatch(walk, /\^/y);
  let ranges = 1;
  let isFirst = true;
  while (walk.at < walk.pattern.length) {
    if (!isFirst && walk.pattern.charAt(walk.at) === ']') break;
    isFirst = false;
    ranges += classItem(walk);
  }
  walk.at += 1;
  atom(walk, 1, ranges);
}

/** Takes one item of a class and returns how many ranges it adds. */
function classItem(walk: Walk): number {
  if (takeMatch(walk, /\[:[^:]*:\]/y) !== null) return perlClassRanges;
  if (takeMatch(walk, /\\[dDsSwW]/y) !== null) return perlClassRanges;
  if (takeMatch(walk, /\\[pP](?:\{[^}]*\}|[^{])/y) !== null) return unicodeClassRanges;
  const low = classCharacter(walk);
  let high = low;
  if (takeMatch(walk, /-(?!\])/y) !== null) high = classCharacter(walk);
  if (!walk.isFolded) return 1;
  const span = Math.max(0, Math.min(high, foldMax) - low) + 1;
  walk.foldSpan += span;
  return Math.min(span + 2, unicodeClassRanges);
}

function classCharacter(walk: Walk): number {
  const hexadecimal = takeMatch(walk, /\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))/y);
  if (hexadecimal !== null) {
    return Number.parseInt(hexadecimal[1] ?? hexadecimal[2] ?? '0', 16);
  }
  const octal = takeMatch(walk, /\\([0-7]{1,3})/y);
  if (octal !== null) return Number.parseInt(octal[1] ?? '0', 8);
  takeMatch(walk, /\\/y);
  return takeCharacter(walk).codePointAt(0) ?? 0;
}
