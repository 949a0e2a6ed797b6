// Walks msgpack bytes without building anything: the guard in front of the decoder. Refuses, before any memory is
// taken, what the project never writes: extensions (but `undefined`), 64-bit integers, keys that are no text, lengths and
// depths above the limits, truncated or trailing bytes. Must not know what the values mean.
import { codecLimits } from './limits.ts';

const form = { scalar: 0, text: 1, binary: 2, array: 3, map: 4, absent: 5, refused: 6 } as const;

/** For each first byte: what it begins, and how many bytes of payload (scalar) or of length follow. */
const forms = new Uint8Array(256).fill(form.refused);
const widths = new Uint8Array(256);

function define(first: number, last: number, what: number, width: number): void {
  forms.fill(what, first, last + 1);
  widths.fill(width, first, last + 1);
}

define(0x00, 0x7f, form.scalar, 0);
define(0x80, 0x8f, form.map, 0);
define(0x90, 0x9f, form.array, 0);
define(0xa0, 0xbf, form.text, 0);
define(0xc0, 0xc0, form.scalar, 0);
define(0xc2, 0xc3, form.scalar, 0);
define(0xe0, 0xff, form.scalar, 0);
define(0xd4, 0xd4, form.absent, 2);
for (const [first, what, width] of [
  [0xc4, form.binary, 1],
  [0xc5, form.binary, 2],
  [0xc6, form.binary, 4],
  [0xca, form.scalar, 4],
  [0xcb, form.scalar, 8],
  [0xcc, form.scalar, 1],
  [0xcd, form.scalar, 2],
  [0xce, form.scalar, 4],
  [0xd0, form.scalar, 1],
  [0xd1, form.scalar, 2],
  [0xd2, form.scalar, 4],
  [0xd9, form.text, 1],
  [0xda, form.text, 2],
  [0xdb, form.text, 4],
  [0xdc, form.array, 2],
  [0xdd, form.array, 4],
  [0xde, form.map, 2],
  [0xdf, form.map, 4],
] as const) {
  define(first, first, what, width);
}

/** Where the scan is. A scan is synchronous, so one cursor serves all. */
let source: Uint8Array = new Uint8Array();
let position = 0;

/** Returns null where `bytes` from `start` on is exactly one acceptable value, else what is wrong with it. */
export function scanMsgpack(bytes: Uint8Array, start: number): string | null {
  source = bytes;
  position = start;
  const fault = scanItem(0) ?? (position < bytes.length ? 'bytes after the end' : null);
  source = new Uint8Array();
  return fault;
}

/** Moves past one item; recursion ends at the depth limit. */
function scanItem(depth: number): string | null {
  if (position >= source.length) return 'truncated';
  const first = source[position] as number;
  const width = widths[first] as number;
  position += 1;
  switch (forms[first]) {
    case form.scalar:
      return skip(width);
    case form.text:
    case form.binary:
      return skip(readLength(first, width));
    case form.array:
      return scanItems(readLength(first, width), depth);
    case form.map:
      return scanFields(readLength(first, width), depth);
    case form.absent:
      return source[position] === 0 && source[position + 1] === 0 ? skip(width) : 'an extension';
    default:
      return `a type that is not written (0x${first.toString(16)})`;
  }
}

function scanItems(count: number, depth: number): string | null {
  const fault = bounds(count, depth);
  if (fault !== null) return fault;
  for (let item = 0; item < count; item++) {
    const itemFault = scanItem(depth + 1);
    if (itemFault !== null) return itemFault;
  }
  return null;
}

function scanFields(count: number, depth: number): string | null {
  const fault = bounds(count, depth);
  if (fault !== null) return fault;
  for (let field = 0; field < count; field++) {
    if (forms[source[position] as number] !== form.text) return 'a key that is no text';
    const fieldFault = scanItem(depth + 1) ?? scanItem(depth + 1);
    if (fieldFault !== null) return fieldFault;
  }
  return null;
}

function bounds(count: number, depth: number): string | null {
  if (count > codecLimits.length) return 'too many items';
  return depth >= codecLimits.depth ? 'too deep' : null;
}

function skip(count: number): string | null {
  position += count;
  return position > source.length ? 'truncated' : null;
}

/** Returns the length that follows `first`; a missing byte reads as 255 and is found as truncation after. */
function readLength(first: number, width: number): number {
  if (width === 0) return first & (forms[first] === form.text ? 0x1f : 0x0f);
  let length = 0;
  for (let left = width; left > 0; left--) {
    length = length * 256 + (source[position] ?? 255);
    position += 1;
  }
  return length;
}
