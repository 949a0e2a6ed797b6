// What every NodeTransport does: order per sender, batches, parts of large messages, a dead incarnation noticed, refusals.
import type { Test } from 'tap';
import type { NodeTransport } from '../../cluster/frame-transport.ts';
import { eventually } from '../lab/eventually.ts';

/** One set of nodes that can reach each other. */
export interface TransportRig {
  /** Opens a node's transport and begins; the rig closes it. */
  open(node: string, incarnation: string): Promise<NodeTransport>;
  /** Makes the agreed view say so; null: not a member. */
  member(node: string, incarnation: string | null): void;
  /** Frames that all transports of the rig have sent. */
  framesSent(): number;
}

const text = (message: Uint8Array): string => Buffer.from(message).toString();
const bytes = (content: string): Uint8Array => new TextEncoder().encode(content);

/** Two nodes that have heard each other. */
async function pair(rig: TransportRig, names: readonly [string, string]) {
  const [left, right] = names;
  rig.member(left, 'i1');
  rig.member(right, 'i1');
  const a = await rig.open(left, 'i1');
  const b = await rig.open(right, 'i1');
  const got: string[] = [];
  let isMet = false;
  a.onFrame(() => {
    isMet = true;
  });
  b.onFrame((from, frame) => {
    if (text(frame) === 'hello') b.send(from, bytes('hello'));
    else got.push(`${from} ${text(frame)}`);
  });
  // A subscription is known to other servers a moment later: whoever asks asks again.
  await eventually('the nodes hear each other', 5_000, () => {
    if (!isMet) a.send(right, bytes('hello'));
    return isMet ? true : undefined;
  });
  await new Promise((wake) => setTimeout(wake, 100));
  got.length = 0;
  return { a, b, got };
}

/** Runs the suite on rigs made by `makeRig`, one for each test. */
export async function transportSuite(
  t: Test,
  makeRig: (t: Test) => Promise<TransportRig>,
): Promise<void> {
  await t.test('messages arrive whole, once and in the order they were sent', async (t) => {
    const rig = await makeRig(t);
    const { a, got } = await pair(rig, ['a', 'b']);
    for (let n = 0; n < 3000; n++) {
      a.send('b', bytes(`${n}`));
      if (n % 500 === 499) await new Promise((wake) => setTimeout(wake, 20));
    }
    await eventually('all are there', 5_000, () => (got.length >= 3000 ? true : undefined));
    t.same(
      got,
      Array.from({ length: 3000 }, (_, n) => `a ${n}`),
    );
  });

  await t.test(
    'what is sent together travels together, what is sent alone leaves at once',
    async (t) => {
      const rig = await makeRig(t);
      const { a, got } = await pair(rig, ['a', 'b']);
      const before = rig.framesSent();
      for (let n = 0; n < 1000; n++) a.send('b', bytes(`${n}`));
      await eventually('all are there', 5_000, () => (got.length >= 1000 ? true : undefined));
      t.ok(
        rig.framesSent() - before <= 30,
        `${rig.framesSent() - before} frames for 1000 messages`,
      );
      await new Promise((wake) => setTimeout(wake, 50));
      const fromMs = performance.now();
      a.send('b', bytes('alone'));
      await eventually('it is there', 1_000, () => (got.length > 1000 ? true : undefined), 1);
      t.ok(performance.now() - fromMs < 200, `after ${performance.now() - fromMs} ms`);
    },
  );

  await t.test('a message of a mebibyte arrives whole; a larger one is refused', async (t) => {
    const rig = await makeRig(t);
    const { a, b } = await pair(rig, ['a', 'b']);
    const sizes = [0, 1, 65_535, 65_536, 262_144, 262_145, 1_048_576];
    const messages = sizes.map((size, n) => Buffer.alloc(size, n + 1));
    const got: Buffer[] = [];
    b.onFrame((_, frame) => got.push(Buffer.from(frame)));
    for (const message of messages) a.send('b', message);
    await eventually('all are there', 5_000, () => (got.length >= sizes.length ? true : undefined));
    for (const [at, message] of messages.entries()) {
      t.ok(got[at]?.equals(message), `${message.length} bytes`);
    }
    t.throws(() => a.send('b', Buffer.alloc(1_050_000)), { code: 'CL_MESSAGE_TOO_BIG' });
  });

  await t.test(
    'an incarnation that is gone is noticed, and its messages reach no other',
    async (t) => {
      const rig = await makeRig(t);
      const { a, b, got } = await pair(rig, ['a', 'b']);
      const stale: string[] = [];
      a.onUndeliverable(({ node, incarnation }) => stale.push(`${node}/${incarnation}`));
      b.begin('i2');
      await eventually('the loss is told', 5_000, () => {
        a.send('b', bytes('to the first'));
        return stale.includes('b/i1') ? true : undefined;
      });
      got.length = 0;
      rig.member('b', 'i2');
      await eventually('the second gets what is for it', 5_000, () => {
        a.send('b', bytes('to the second'));
        return got.length > 0 ? true : undefined;
      });
      t.ok(got.every((line) => line === 'a to the second'));
    },
  );

  await t.test('a node that nobody knows is refused; one that spoke can be answered', async (t) => {
    const rig = await makeRig(t);
    const { a, b } = await pair(rig, ['a', 'b']);
    t.throws(() => a.send('c', bytes('x')), { code: 'RT_NOT_READY' });
    rig.member('a', null);
    const answers: string[] = [];
    b.onFrame((from) => b.send(from, bytes('answer')));
    a.onFrame((from, frame) => answers.push(`${from} ${text(frame)}`));
    a.send('b', bytes('question of one that joins'));
    await eventually('it is answered', 2_000, () => (answers.length > 0 ? true : undefined));
    t.equal(answers[0], 'b answer');
  });

  await t.test('both sides at full speed never stop for good', async (t) => {
    const rig = await makeRig(t);
    const { a, b } = await pair(rig, ['a', 'b']);
    const got = { a: 0, b: 0 };
    a.onFrame(() => got.a++);
    b.onFrame(() => got.b++);
    let sent = 0;
    let refused = 0;
    const block = new Uint8Array(2_000);
    for (let round = 0; round < 200; round++) {
      for (let n = 0; n < 200; n++) {
        for (const [from, to] of [
          [a, 'b'],
          [b, 'a'],
        ] as const) {
          try {
            from.send(to, block);
            sent++;
          } catch {
            refused++; // RT_QUEUE_FULL: counted below
          }
        }
      }
      await new Promise((wake) => setImmediate(wake));
    }
    const all = () => (got.a + got.b >= sent ? true : undefined);
    await eventually('everything taken in arrives', 15_000, all);
    t.equal(got.a + got.b, sent, `${sent} taken in, ${refused} refused`);
  });
}
