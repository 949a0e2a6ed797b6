// The codec: what encodes decodes to an equal value, everything else is RT_DECODE, whatever bytes come in.
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import t from 'tap';
import {
  decodeFrame,
  decodeValue,
  encodeEnvelope,
  encodeReply,
  encodeValue,
} from '../../runtime/codec.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { actorKey } from '../../runtime/ids.ts';
import { codecLimits } from '../../runtime/limits.ts';
import type { Envelope, Message } from '../../runtime/message.ts';

const isRefusal = { name: 'TocsinError', code: 'RT_DECODE' };
const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.maxSafeInteger(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array(),
    fc.array(tie('value')),
    fc.dictionary(
      fc.string().filter((name) => name !== '__proto__'),
      tie('value'),
      {
        noNullPrototype: true,
      },
    ),
  ),
})).value;

t.test('whatever is plain data comes back equal, in bytes of its own', (t) => {
  fc.assert(
    fc.property(plain, (value) => {
      const bytes = encodeValue(value);
      t.strictSame(bytes.byteLength, bytes.buffer.byteLength);
      const back = decodeValue(bytes);
      if (!equal(value, back)) throw new Error(JSON.stringify([value, back]));
    }),
    { numRuns: 300 },
  );
  const stamp = { at: 1_790_000_000_123, us: 1_790_000_000_123_456, none: undefined };
  t.strictSame(decodeValue(encodeValue(stamp)), stamp, 'instants are exact to the microsecond');
  const bytes = decodeValue(Buffer.from(encodeValue(new Uint8Array([1, 2])))) as Uint8Array;
  t.equal(Buffer.isBuffer(bytes), false, 'byte strings are no Buffers, whose slices are no copies');
  t.end();
});

t.test('two values encoded after each other share no memory', (t) => {
  const one = encodeValue({ n: 1 });
  const before = Buffer.from(one).toString('hex');
  encodeValue({ n: 2, text: 'x'.repeat(100) });
  t.equal(Buffer.from(one).toString('hex'), before);
  const frame = encodeValue({ body: new Uint8Array([7, 7]) });
  const back = decodeValue(frame) as { body: Uint8Array };
  frame.fill(0);
  t.strictSame([...back.body], [7, 7], 'nor do a decoded value and its frame');
  t.end();
});

t.test('what could not come back equal is refused when it is encoded', (t) => {
  class Point {
    x = 1;
  }
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const refused: [string, unknown][] = [
    ['Map', new Map()],
    ['Set', { set: new Set([1]) }],
    ['Date', [new Date(0)]],
    ['class instance', new Point()],
    ['function', { f: () => 1 }],
    ['bigint', 1n],
    ['symbol', Symbol('x')],
    ['undefined', undefined],
    ['undefined in an array', [1, undefined]],
    ['hole in an array', new Array(2)],
    ['circle', circle],
    ['depth', nested(codecLimits.depth + 1)],
    ['length', new Array(codecLimits.length + 1).fill(0)],
    ['bytes', 'x'.repeat(codecLimits.bytes)],
    ['typed array', new Float64Array(1)],
  ];
  for (const [name, value] of refused) t.throws(() => encodeValue(value), isRefusal, name);
  t.same(decodeValue(encodeValue(nested(codecLimits.depth))), nested(codecLimits.depth));
  t.end();
});

t.test('bytes that this project never writes are refused before they are decoded', (t) => {
  const packr = new Packr({ useRecords: false, structuredClone: true, moreTypes: true });
  const body = (value: unknown) => Buffer.concat([Buffer.from([1]), packr.pack(value)]);
  const raw = (...bytes: number[]) => Uint8Array.from([1, ...bytes]);
  const refused: [string, Uint8Array][] = [
    ['nothing', new Uint8Array()],
    ['a version alone', raw()],
    ['a foreign version', Uint8Array.from([99, 0xc0])],
    ['a Date', body(new Date(5))],
    ['a Set', body(new Set([1]))],
    ['a bigint', body(2n ** 60n)],
    ['an Error', body(new Error('x'))],
    ['an array of 2^32 - 1', raw(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['a map of 2^32 - 1', raw(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ['a text of 2^32 - 1', raw(0xdb, 0xff, 0xff, 0xff, 0xff)],
    ['a record definition', raw(0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1)],
    ['a key that is a number', raw(0x81, 1, 1)],
    ['bytes behind the end', raw(0xc0, 0xc0)],
    ['the byte that is never used', raw(0xc1)],
    ['1 MiB of [', Uint8Array.from([1, ...new Uint8Array(codecLimits.bytes - 1).fill(0x91)])],
    ['more than 1 MiB', new Uint8Array(codecLimits.bytes + 1).fill(1)],
    ['half a length', raw(0xdc, 1)],
    ['half a double', raw(0xcb, 1, 2)],
  ];
  for (const [name, bytes] of refused) t.throws(() => decodeValue(bytes), isRefusal, name);
  const safe = decodeValue(raw(0x81, 0xa9, ...Buffer.from('__proto__'), 0x81, 0xa1, 0x78, 1));
  t.equal((safe as { x?: number }).x, undefined, '__proto__ sets no prototype');
  t.equal(({} as { x?: number }).x, undefined);
  t.end();
});

t.test(
  'random and mutated bytes give a value or RT_DECODE, and never harm the next decode',
  (t) => {
    const only = (bytes: Uint8Array): void => {
      for (const decode of [decodeValue, (input: Uint8Array) => decodeFrame(input, 0)]) {
        try {
          decode(bytes);
        } catch (error) {
          if (!(error instanceof TocsinError) || error.code !== 'RT_DECODE') throw error;
        }
      }
    };
    const format = fc.integer({ min: 0, max: 4 });
    fc.assert(
      fc.property(format, fc.uint8Array({ maxLength: 200 }), (first, rest) => {
        only(Uint8Array.from([first, ...rest]));
      }),
      { numRuns: 3000 },
    );
    const sample = {
      name: 'wörld',
      list: [1, 2.5, null, true],
      bytes: new Uint8Array(5),
      map: { a: 'b' },
    };
    const frames = [
      encodeValue(sample),
      encodeEnvelope(envelope({ kind: 'x', ...sample } as Message), 0),
      encodeReply({ corr: 'c', ok: true, value: sample }),
      encodeReply({ corr: 'c', ok: false, error: new TocsinError('RT_DEADLINE', 'late') }),
    ];
    const flip = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.nat(3), fc.array(flip, { maxLength: 5 }), fc.nat(), (which, flips, cut) => {
        const bytes = Uint8Array.from(frames[which] as Uint8Array);
        for (const [at, to] of flips) bytes[at % bytes.length] = to;
        only(cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes);
      }),
      { numRuns: 5000 },
    );
    t.same(decodeValue(encodeValue(sample)), sample);
    t.end();
  },
);

t.test('an envelope keeps all but its deadline, which is told as time left', (t) => {
  const message = { kind: 'entity.get', deep: { a: [1] } } as Message;
  const sent = envelope(message, 5_000);
  const frame = decodeFrame(encodeEnvelope(sent, 4_000), 90_000);
  t.same(frame, { type: 'envelope', envelope: { ...sent, deadlineMonoMs: 91_000 } });
  const late = decodeFrame(encodeEnvelope(sent, 6_000), 90_000);
  t.match(late, { envelope: { deadlineMonoMs: 90_000 } }, 'what is past is due now');
  const none = decodeFrame(encodeEnvelope({ ...sent, lane: 'system', deadlineMonoMs: null }, 0), 1);
  t.match(none, { envelope: { deadlineMonoMs: null, lane: 'system' } });
  t.throws(
    () => encodeEnvelope(envelope({ kind: 'x', at: new Date() } as Message), 0),
    isRefusal,
    'a message that could not travel',
  );
  t.end();
});

t.test('a reply keeps its value, that there is none, or its error with code and details', (t) => {
  const pass = (reply: Parameters<typeof encodeReply>[0]) => decodeFrame(encodeReply(reply), 0);
  t.same(pass({ corr: 'a', ok: true, value: { n: 1 } }), {
    type: 'reply',
    reply: { corr: 'a', ok: true, value: { n: 1 } },
  });
  t.match(pass({ corr: 'a', ok: true, value: null }), { reply: { value: null } });
  t.strictSame(
    (pass({ corr: 'a', ok: true, value: undefined }) as { reply: { value: unknown } }).reply.value,
    undefined,
  );
  const error = new TocsinError('AC_LIMIT', 'too many', { retryable: true, details: { max: 5 } });
  t.match(pass({ corr: 'a', ok: false, error }), {
    reply: { ok: false, error: { code: 'AC_LIMIT', retryable: true, details: { max: 5 } } },
  });
  t.end();
});

function envelope(message: Message, deadlineMonoMs: number | null = 9): Envelope {
  return { to: actorKey('acme/web'), message, lane: 'user', corr: 'n1.1', deadlineMonoMs };
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

/** Strict equality of plain data; lone surrogates become U+FFFD in UTF-8, so texts are compared as bytes. */
function equal(one: unknown, other: unknown): boolean {
  if (typeof one === 'string' && typeof other === 'string') {
    return Buffer.from(one).equals(Buffer.from(other));
  }
  if (one instanceof Uint8Array)
    return other instanceof Uint8Array && Buffer.compare(one, other) === 0;
  if (typeof one !== 'object' || one === null) return Object.is(one, other);
  if (typeof other !== 'object' || other === null) return false;
  const [ones, others] = [Object.entries(one), Object.entries(other)];
  return (
    ones.length === others.length &&
    ones.every(([name, value], at) => {
      const [otherName, otherValue] = others[at] ?? [];
      return equal(name, otherName) && equal(value, otherValue);
    })
  );
}
