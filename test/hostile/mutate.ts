// Mutations of known good inputs: bytes, texts and values. One seeded source decides, so that a fault comes again.
// Must not know what decodes them.

/** A source of numbers below `limit`. */
export type Pick = (limit: number) => number;

/** Returns a fast seeded source (mulberry32). */
export function seeded(seed: number): Pick {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) % Math.max(1, limit)) | 0;
  };
}

export function oneOf<T>(pick: Pick, items: readonly T[]): T {
  return items[pick(items.length)] as T;
}

/** Inputs never grow beyond this. */
const sizeMax = 65_536;
const edges = [0, 1, 0x7f, 0x80, 0xff, 0xc0, 0x3f, 0x40, 0xfe];

/** Returns a mutant of `bytes`: one to four changes. `corpus` lends pieces. */
export function mutateBytes(pick: Pick, bytes: Uint8Array, corpus: readonly Uint8Array[]): Buffer {
  let mutant: Buffer = Buffer.from(bytes);
  for (let left = 1 + pick(4); left > 0; left--) mutant = changedBytes(pick, mutant, corpus);
  return mutant.subarray(0, sizeMax);
}

function changedBytes(pick: Pick, bytes: Buffer, corpus: readonly Uint8Array[]): Buffer {
  const at = pick(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + pick(16));
  const around = (...middle: readonly Uint8Array[]): Buffer =>
    Buffer.concat([bytes.subarray(0, at), ...middle, bytes.subarray(end)]);
  switch (pick(9)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << pick(8));
      return bytes;
    case 1:
      bytes[at] = oneOf(pick, edges);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return around();
    case 4:
      return around(bytes.subarray(at, end), bytes.subarray(at, end));
    case 5:
      return around(Buffer.from(Array.from({ length: pick(8) }, () => pick(256))));
    case 6:
      return around(Buffer.alloc(pick(2) === 0 ? pick(64) : pick(20_000), oneOf(pick, edges)));
    case 7: {
      const other = oneOf(pick, corpus);
      const from = pick(other.length);
      return around(other.subarray(from, from + pick(64)));
    }
    default:
      // A length or count field: two or four bytes of one extreme.
      bytes.fill(oneOf(pick, edges), at, Math.min(bytes.length, at + oneOf(pick, [2, 4, 8])));
      return bytes;
  }
}

const oddTexts: readonly string[] = [
  '',
  ' ',
  '\0',
  '\r\n',
  '\ufeff',
  '\u2028',
  '\u202e',
  '\ud800',
  '\udfff',
  '\u{1f4a9}',
  '\u0130',
  'ß',
  '\u00ad',
  '１',
  '①',
  '%',
  '%00',
  '%zz',
  '__proto__',
  'constructor',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  'Infinity',
  '-1',
  '0',
  '-0',
  '1e309',
  '9007199254740993',
  '99999999999999999999',
  '0x10',
  "'",
  '"',
  '`',
  '\\',
  '<script>',
  '{{7*7}}',
  '../..',
  '/etc/passwd',
  '[',
  ']',
  '{',
  '}',
  '(',
  ')',
  '*',
  '&a',
  '!!js/function',
  ':',
  ',',
  ';',
  '#',
  '=',
  '/*',
  '*/',
];

/** Returns a mutant of a text; `words` are those of its language. */
export function mutateText(
  pick: Pick,
  text: string,
  corpus: readonly string[],
  words: readonly string[],
): string {
  let mutant = text;
  for (let left = 1 + pick(4); left > 0; left--) mutant = changedText(pick, mutant, corpus, words);
  return mutant.slice(0, sizeMax);
}

function changedText(
  pick: Pick,
  text: string,
  corpus: readonly string[],
  words: readonly string[],
): string {
  const at = pick(text.length + 1);
  const end = Math.min(text.length, at + 1 + pick(12));
  const around = (middle: string): string => text.slice(0, at) + middle + text.slice(end);
  const into = (middle: string): string => text.slice(0, at) + middle + text.slice(at);
  switch (pick(8)) {
    case 0:
      return around('');
    case 1:
      return text.slice(0, at);
    case 2:
      return around(text.slice(at, end).repeat(2));
    case 3:
      return around(String.fromCharCode(pick(4) === 0 ? pick(65_536) : pick(128)));
    case 4:
      return into(oneOf(pick, oddTexts));
    case 5:
      return into(oneOf(pick, words.length === 0 ? oddTexts : words));
    case 6: {
      const other = oneOf(pick, corpus);
      const from = pick(other.length);
      return around(other.slice(from, from + pick(64)));
    }
    default:
      return pick(16) === 0
        ? into(oneOf(pick, [...words, ...oddTexts]).repeat(1 + pick(3000)))
        : into(oneOf(pick, words.length === 0 ? oddTexts : words).repeat(1 + pick(20)));
  }
}

const deep = (depth: number): unknown => {
  let value: unknown = [];
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
};

/** Values that no field expects. */
export const oddValues: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => false,
  () => 0,
  () => -0,
  () => -1,
  () => 1.5,
  () => 1e308,
  () => 2 ** 53,
  () => Number.MAX_SAFE_INTEGER,
  () => '',
  () => 'a'.repeat(5000),
  () => [],
  () => [[]],
  () => [null],
  () => ({}),
  () => ({ toString: 1 }),
  () => ({ toString: null, valueOf: null }),
  () => JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as unknown,
  () => deep(20),
  () => deep(100),
  () => Array.from({ length: 1500 }, (_, n) => n),
  () => Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`k${n}`, n])),
];

/** Returns a mutant of a JSON-like value: some node of it replaced, removed, doubled, renamed. Shares what it keeps. */
export function mutateValue(pick: Pick, value: unknown): unknown {
  const isLeaf = typeof value !== 'object' || value === null;
  if (isLeaf || pick(5) === 0) return oddValue(pick, value);
  if (Array.isArray(value)) return mutateItems(pick, value);
  if (value instanceof Uint8Array) return mutateBytes(pick, value, [value]);
  return mutateFields(pick, value as Record<string, unknown>);
}

function oddValue(pick: Pick, value: unknown): unknown {
  if (typeof value === 'string' && pick(2) === 0) return mutateText(pick, value, [value], []);
  if (typeof value === 'number' && pick(2) === 0) {
    return oneOf(pick, [value + 1, -value, value * 1e6, value / 3]);
  }
  return pick(3) === 0 ? oneOf(pick, oddTexts) : (oneOf(pick, oddValues) as () => unknown)();
}

function mutateItems(pick: Pick, items: readonly unknown[]): unknown[] {
  const at = pick(items.length);
  const mutant = [...items];
  const what = pick(4);
  if (what === 0) mutant.splice(at, 1);
  else if (what === 1) mutant.splice(at, 0, items[at] ?? null);
  else if (items.length > 0) mutant[at] = mutateValue(pick, items[at]);
  return mutant;
}

/** A key `__proto__` becomes a field as JSON makes one, not the prototype. */
function put(fields: Record<string, unknown>, name: string, value: unknown): void {
  const field = { value, enumerable: true, writable: true, configurable: true };
  Object.defineProperty(fields, name, field);
}

function mutateFields(pick: Pick, fields: Record<string, unknown>): Record<string, unknown> {
  const names = Object.keys(fields);
  const name = oneOf(pick, names) ?? 'a';
  const mutant = { ...fields };
  const what = pick(6);
  if (what === 0) delete mutant[name];
  else if (what === 1) put(mutant, oneOf(pick, oddTexts), fields[name]);
  else mutant[name] = mutateValue(pick, fields[name]);
  return mutant;
}
