// The transport suite in memory, and links by themselves: credit, loss, parts, stale messages, bytes that are no frame.
import t from 'tap';
import { decodeFrame, encodeFrame } from '../../cluster/frame.ts';
import { frameLimits } from '../../cluster/limits.ts';
import { Incoming, Outgoing } from '../../cluster/link.ts';
import { MemoryNetwork } from '../../cluster/memory/network.ts';
import { systemClock } from '../../runtime/clock.ts';
import { seededRandom } from '../clock.ts';
import { transportSuite } from '../conformance/transport.ts';
import { Rig } from '../conformance/transport-rig.ts';

const clock = systemClock();

t.test('memory', (t) =>
  transportSuite(t, async (t) => {
    const network = new MemoryNetwork({ clock, random: seededRandom(7) });
    return new Rig(t, (node) => network.wire(node));
  }),
);

t.test('links', async (t) => {
  const peer = { node: 'a', incarnation: 'i' };
  const frameOf = (taken: NonNullable<ReturnType<Outgoing['take']>>) =>
    decodeFrame(
      encodeFrame({ from: peer, gotMessages: 0, gotBytes: 0, asksCredit: false, ...taken }),
    );

  t.test('without credit only control leaves; what the peer saw gives it back', async (t) => {
    const out = new Outgoing();
    const incoming = new Incoming();
    for (let n = 0; n < 1_200; n++) out.push(new Uint8Array([n & 255]), 0, false);
    let got = 0;
    for (let taken = out.take(0); taken !== null; taken = out.take(0)) {
      got += incoming.accept(frameOf(taken)).length;
    }
    t.equal(got, frameLimits.creditMessages);
    t.ok(out.isBlocked);
    out.push(new Uint8Array([9]), 0, true);
    const control = out.take(0);
    t.same(
      control?.items.map(({ bytes }) => bytes[0]),
      [9],
    );
    if (control !== null) incoming.accept(frameOf(control));
    t.ok(incoming.owesNews);
    const { gotMessages, gotBytes } = incoming.tell();
    out.acknowledge(gotMessages + 1, gotBytes);
    t.ok(out.isBlocked, 'more than was sent is no credit');
    out.acknowledge(gotMessages, gotBytes);
    t.notOk(out.isBlocked);
    t.equal(out.take(0)?.items.length, frameLimits.messages);
  });

  t.test('a lost frame costs its messages alone; a late or second one is left out', async (t) => {
    const out = new Outgoing();
    const incoming = new Incoming();
    const next = (...bytes: Uint8Array[]) => {
      for (const each of bytes) out.push(each, 0, false);
      const taken = out.take(0);
      if (taken === null) throw new Error('nothing to take');
      return frameOf(taken);
    };
    const [first, second, third] = [
      next(new Uint8Array([1])),
      next(new Uint8Array([2])),
      next(new Uint8Array([3])),
    ];
    t.equal(incoming.accept(first).length, 1);
    t.equal(incoming.accept(third).length, 1);
    t.equal(incoming.accept(second).length, 0, 'late');
    t.equal(incoming.accept(third).length, 0, 'twice');
    t.equal(incoming.tell().gotMessages, 3, 'the lost one counts as seen');
    const big = new Uint8Array(600_000).fill(7);
    out.push(big, 0, false);
    const parts = [out.take(0), out.take(0), out.take(0)].map((taken) => frameOf(taken as never));
    t.same(
      parts.flatMap(({ items }) => items.map(({ kind }) => kind)),
      ['first', 'middle', 'last'],
    );
    t.equal(incoming.accept(parts[0] as never).length, 0);
    t.equal(incoming.accept(parts[2] as never).length, 0, 'without its middle it is nothing');
    t.equal(incoming.accept(next(new Uint8Array([4]))).length, 1);
  });

  t.test('what waited for more than 2 s is dropped, whole messages only', async (t) => {
    const out = new Outgoing();
    out.push(new Uint8Array(600_000), 0, false);
    out.push(new Uint8Array([1]), 1_500, false);
    t.same(
      out.take(2_001)?.items.map(({ bytes }) => bytes.length),
      [1],
    );
    t.equal(out.droppedStale, 1);
    t.equal(out.waitingBytes, 0);
  });

  t.test('bytes that are no frame are refused', async (t) => {
    const good = encodeFrame({
      ...{ from: peer, sentMessages: 1, sentBytes: 1, gotMessages: 0, gotBytes: 0 },
      ...{ asksCredit: false, items: [{ kind: 'whole', bytes: new Uint8Array([1]) }] },
    });
    for (let length = 0; length < good.length; length++) {
      t.throws(() => decodeFrame(good.subarray(0, length)), { code: 'CL_FRAME' });
    }
    t.throws(() => decodeFrame(Buffer.concat([good, Buffer.from([0])])), { code: 'CL_FRAME' });
    const random = seededRandom(3);
    const codes = new Set<string>();
    for (let run = 0; run < 2_000; run++) {
      const bad = Uint8Array.from(good);
      bad[Math.floor(random.next() * bad.length)] = Math.floor(random.next() * 256);
      try {
        decodeFrame(bad);
      } catch (error) {
        codes.add((error as { code?: string }).code ?? String(error));
      }
    }
    t.same([...codes], ['CL_FRAME']);
  });
});
