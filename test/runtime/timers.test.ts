// The timer wheel: order and precision against a naive model, replacing, cancelling, pauses, and its cost.
import fc from 'fast-check';
import t from 'tap';
import { systemClock } from '../../runtime/clock.ts';
import { wheelLimits } from '../../runtime/limits.ts';
import { createMeter } from '../../runtime/meter.ts';
import { timerWheel } from '../../runtime/timers.ts';
import { TestClock } from '../clock.ts';

type Operation =
  | { readonly type: 'start'; readonly owner: number; readonly id: number; readonly inMs: number }
  | { readonly type: 'cancel'; readonly owner: number; readonly id: number }
  | { readonly type: 'cancelAll'; readonly owner: number }
  | { readonly type: 'advance'; readonly ms: number };

const span = fc.oneof(
  fc.integer({ min: -50, max: 40 }),
  fc.integer({ min: 0, max: 6000 }),
  fc.integer({ min: 0, max: 4_000_000 }),
  fc.integer({ min: 0, max: 3_000_000_000 }),
  fc.double({ min: 0, max: 300, noNaN: true }),
);
const owner = fc.integer({ min: 0, max: 3 });
const id = fc.integer({ min: 0, max: 4 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant('start' as const), owner, id, inMs: span }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('cancel' as const), owner, id }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('cancelAll' as const), owner }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('advance' as const), ms: fc.nat(7000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('advance' as const), ms: fc.nat(10 ** 9) }),
  },
);

/** The same in a few lines: a list searched for the earliest. */
class Naive {
  #timers: { name: string; due: number; seq: number }[] = [];
  #seq = 0;

  start(name: string, due: number): void {
    this.cancel(name);
    this.#timers.push({ name, due, seq: this.#seq++ });
  }

  cancel(name: string): boolean {
    const before = this.#timers.length;
    this.#timers = this.#timers.filter((timer) => timer.name !== name);
    return this.#timers.length < before;
  }

  cancelAll(prefix: string): number {
    const before = this.#timers.length;
    this.#timers = this.#timers.filter((timer) => !timer.name.startsWith(prefix));
    return before - this.#timers.length;
  }

  until(now: number): string[] {
    const due = this.#timers.filter((timer) => timer.due <= now);
    this.#timers = this.#timers.filter((timer) => timer.due > now);
    return due.sort((a, b) => a.due - b.due || a.seq - b.seq).map((timer) => timer.name);
  }

  get size(): number {
    return this.#timers.length;
  }
}

t.test(
  'the wheel fires what a sorted list fires, in the same order, at the due millisecond',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
        const clock = new TestClock();
        const wheel = timerWheel({ clock });
        const naive = new Naive();
        const fired: string[] = [];
        const start = (name: string, ownerName: string, idName: string, due: number): void => {
          naive.start(name, due);
          const atOrAfter = Math.max(due, clock.monoMs());
          wheel.start(ownerName, idName, due, () => {
            fired.push(name);
            if (clock.monoMs() !== atOrAfter) fired.push(`late by ${clock.monoMs() - atOrAfter}`);
          });
        };
        for (const op of operations) {
          if (op.type === 'start') {
            const due = clock.monoMs() + op.inMs;
            start(`${op.owner}/${op.id}`, `${op.owner}`, `${op.id}`, due);
          } else if (op.type === 'cancel') {
            const isEqual =
              wheel.cancel(`${op.owner}`, `${op.id}`) === naive.cancel(`${op.owner}/${op.id}`);
            if (!isEqual) return false;
          } else if (op.type === 'cancelAll') {
            if (wheel.cancelAll(`${op.owner}`) !== naive.cancelAll(`${op.owner}/`)) return false;
          } else await clock.advance(op.ms);
          // Advancing by 0 runs what is overdue already.
          await clock.advance(0);
          const expected = naive.until(clock.monoMs());
          if (JSON.stringify(fired.splice(0)) !== JSON.stringify(expected)) return false;
          if (wheel.size !== naive.size) return false;
        }
        wheel.stop();
        return wheel.size === 0 && clock.pending === 0;
      }),
      { numRuns: 150 },
    );
    t.pass('150 histories agree');
  },
);

t.test('a timer of the same owner and id is replaced; others stay', async (t) => {
  const clock = new TestClock();
  const wheel = timerWheel({ clock });
  const fired: string[] = [];
  const now = clock.monoMs();
  wheel.start('a', 'slot', now + 100, () => fired.push('old'));
  wheel.start('a', 'slot', now + 200, () => fired.push('new'));
  wheel.start('a', 'deadline', now + 150, () => fired.push('deadline'));
  wheel.start('b', 'slot', now + 120, () => fired.push('b'));
  t.equal(wheel.dueMonoMs('a', 'slot'), now + 200);
  t.equal(wheel.dueMonoMs('a', 'nothing'), null);
  t.equal(wheel.size, 3);
  await clock.advance(300);
  t.strictSame(fired, ['b', 'deadline', 'new']);
  t.equal(wheel.size, 0);
  t.throws(() => wheel.start('a', 'x', Number.NaN, () => undefined), /a timer has a due instant/);
});

t.test('timers due at the same instant fire in the order of their start', async (t) => {
  const clock = new TestClock();
  const wheel = timerWheel({ clock });
  const fired: number[] = [];
  for (const inMs of [5, 9000]) {
    const due = clock.monoMs() + inMs;
    for (let n = 0; n < 20; n++) wheel.start(`o${n}`, `${inMs}`, due, () => fired.push(n));
    await clock.advance(inMs);
    t.strictSame(
      fired.splice(0),
      Array.from({ length: 20 }, (_, n) => n),
    );
  }
});

t.test('a timer may start and cancel timers while it fires', async (t) => {
  const clock = new TestClock();
  const wheel = timerWheel({ clock });
  const fired: number[] = [];
  const now = clock.monoMs();
  const again = (): void => {
    fired.push(clock.monoMs() - now);
    if (fired.length < 5) wheel.start('a', 'slot', clock.monoMs() + 7, again);
    wheel.cancel('a', 'other');
  };
  wheel.start('a', 'slot', now + 7, again);
  wheel.start('a', 'other', now + 8, () => fired.push(-1));
  await clock.advance(100);
  t.strictSame(fired, [7, 14, 21, 28, 35]);
});

t.test(
  'a frozen process is a pause: late timers are counted, and all fire in order of due time',
  async (t) => {
    const clock = new TestClock();
    const meter = createMeter();
    const pauses: number[] = [];
    const wheel = timerWheel({ clock, meter, onPause: (lateMs) => pauses.push(lateMs) });
    const fired: number[] = [];
    const now = clock.monoMs();
    for (const inMs of [5000, 20, 700, 250]) {
      wheel.start('a', String(inMs), now + inMs, () => fired.push(inMs));
    }
    clock.freeze(900);
    await clock.advance(0);
    t.strictSame(fired, [20, 250, 700]);
    t.strictSame(pauses, [880]);
    t.equal(meter.counted('slots_late'), 2, 'the one of 200 ms is not late');
    await clock.advance(5000);
    t.strictSame(pauses, [880]);
  },
);

t.test(
  'more due timers than one turn takes fire over several turns, and are no pause',
  async (t) => {
    const clock = new TestClock();
    const pauses: number[] = [];
    const wheel = timerWheel({ clock, onPause: (lateMs) => pauses.push(lateMs) });
    let fired = 0;
    const count = wheelLimits.firesPerTurn * 2 + 1;
    for (let n = 0; n < count; n++) wheel.start(`o${n}`, 'slot', clock.monoMs() + 5, () => fired++);
    clock.freeze(6);
    await clock.advance(0);
    t.equal(fired, count);
    t.strictSame(pauses, []);
  },
);

t.test('a timer that is overdue when it starts fires at once, and is no pause', async (t) => {
  const clock = new TestClock();
  const meter = createMeter();
  const pauses: number[] = [];
  const wheel = timerWheel({ clock, meter, onPause: (lateMs) => pauses.push(lateMs) });
  let fired = 0;
  wheel.start('a', 'slot', clock.monoMs() - 7000, () => fired++);
  await clock.advance(0);
  t.same([fired, pauses, meter.counted('slots_late')], [1, [], 0]);
});

t.test('starts and cancels within one tick leave nothing behind', async (t) => {
  const clock = new TestClock();
  const wheel = timerWheel({ clock });
  let fired = 0;
  for (let n = 0; n < 10_000; n++) wheel.start('a', 'slot', clock.monoMs() - 1, () => fired++);
  t.equal(wheel.size, 1);
  await clock.advance(0);
  t.equal(fired, 1);
  wheel.start('a', 'slot', clock.monoMs() + 5, () => fired++);
  wheel.stop();
  await clock.advance(10_000);
  t.same([fired, wheel.size, clock.pending], [1, 0, 0]);
});

t.test(
  'on the system clock nothing is early, and an idle loop is close to the millisecond',
  async (t) => {
    const clock = systemClock();
    const wheel = timerWheel({ clock });
    const lateMs: number[] = [];
    const now = clock.monoMs();
    await new Promise<void>((resolve) => {
      for (let n = 0; n < 200; n++) {
        const due = now + 20 + n * 1.7;
        wheel.start('a', String(n), due, () => {
          lateMs.push(clock.monoMs() - due);
          if (lateMs.length === 200) resolve();
        });
      }
    });
    lateMs.sort((a, b) => a - b);
    t.ok((lateMs[0] ?? -1) >= 0, 'never early');
    t.ok((lateMs[100] ?? 99) < 10, `median ${lateMs[100]} ms`);
  },
);

t.test(
  'a wheel that gathers turns at its multiples: what is due between shares one turn',
  async (t) => {
    const clock = new TestClock();
    const wheel = timerWheel({ clock, gatherMs: 20 });
    const startMs = Math.ceil(clock.monoMs() / 20) * 20;
    await clock.advance(startMs - clock.monoMs());
    const fired: [string, number][] = [];
    const told = { key: 'a', timerFired: (id: string, message: unknown) => note(id, message) };
    const note = (id: string, message: unknown) => {
      fired.push([`${id} ${message}`, clock.monoMs() - startMs]);
    };
    wheel.startFor(told, 'slot', startMs + 3, 'first');
    wheel.start('b', 'slot', startMs + 17, () => note('slot', 'second'));
    wheel.startFor(told, 'late', startMs + 20.5, 'third');
    t.equal(wheel.dueMonoMs('a', 'slot'), startMs + 3, 'each keeps its own due instant');
    for (let ms = 0; ms < 45; ms++) await clock.advance(1);
    t.same(fired, [
      ['slot first', 20],
      ['slot second', 20],
      ['late third', 40],
    ]);
    t.equal(wheel.size, 0);
  },
);
