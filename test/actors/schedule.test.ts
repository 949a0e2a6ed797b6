// The poll schedule: phase, names of slots and due times, whatever the clocks do.
import fc from 'fast-check';
import t from 'tap';
import {
  dueSlot,
  firstSlot,
  meltMs,
  nextSlot,
  type PollSchedule,
  pollSchedule,
  slotAfter,
  slotAtOrBefore,
} from '../../actors/check/poll-schedule.ts';
import type { SlotsInFlight } from '../../actors/entity/messages.ts';
import { reportSlotsMax, slotReport } from '../../actors/entity/slots.ts';
import { actorKey } from '../../runtime/ids.ts';

const hourMs = 3_600_000;
const startMs = 1_700_000_000_000;

/** Runs a schedule on two clocks; `steps[i]` is what the wall clock jumps by, `late[i]` how late the i-th timer fires. */
function run(schedule: PollSchedule, steps: readonly number[], late: readonly number[]) {
  let wallOffsetMs = startMs;
  let monoMs = 1000;
  const wall = () => wallOffsetMs + monoMs;
  let planned = firstSlot(schedule, 0, { nowMs: wall(), monoMs });
  let last = 0;
  const starts: { slot: number; monoMs: number; missed: number; leadMs: number }[] = [];
  for (const [turn, step] of steps.entries()) {
    wallOffsetMs += step;
    monoMs = Math.max(monoMs, planned.dueMonoMs) + (late[turn] ?? 0);
    const due = dueSlot(schedule, planned, last, wall());
    const missed =
      due.missed === null ? 0 : (due.missed.toMs - due.missed.fromMs) / schedule.periodMs + 1;
    starts.push({ slot: due.slotAtMs, monoMs, missed, leadMs: due.slotAtMs - wall() });
    last = due.slotAtMs;
    const ran = { slotAtMs: due.slotAtMs, dueMonoMs: planned.dueMonoMs };
    planned = nextSlot(schedule, ran, { nowMs: wall(), monoMs });
  }
  return starts;
}

const zeros = (count: number) => Array.from({ length: count }, () => 0);

t.test('the phase is a pure function of entity and check', async (t) => {
  const one = pollSchedule(actorKey('t/enA'), 'chA', 60_000);
  t.same(one, pollSchedule(actorKey('t/enA'), 'chA', 60_000));
  t.ok(one.phaseMs >= 0 && one.phaseMs < 60_000);
  const phases = Array.from(
    { length: 1000 },
    (_, at) => pollSchedule(actorKey(`t/en${at}`), 'chA', 10_000).phaseMs,
  );
  for (let second = 0; second < 10; second += 1) {
    const inside = phases.filter((phase) => Math.floor(phase / 1000) === second).length;
    t.ok(inside > 60 && inside < 140, `phases are spread: ${inside} of 1000 in second ${second}`);
  }
});

t.test('slots are epoch-aligned', async (t) => {
  const schedule = { periodMs: 10_000, phaseMs: 3_000 };
  t.equal(slotAtOrBefore(schedule, 13_000), 13_000);
  t.equal(slotAtOrBefore(schedule, 12_999), 3_000);
  t.equal(slotAfter(schedule, 13_000), 23_000);
  t.same(firstSlot(schedule, 0, { nowMs: 14_000, monoMs: 5 }), {
    slotAtMs: 23_000,
    dueMonoMs: 9_005,
  });
});

t.test('quiet clocks give every slot once, a period apart', async (t) => {
  const schedule = { periodMs: 10_000, phaseMs: 3_000 };
  const starts = run(schedule, zeros(50), zeros(50));
  for (const [at, start] of starts.entries()) {
    t.equal(start.leadMs, 0);
    t.equal(start.missed, 0);
    if (at > 0) t.equal(start.monoMs - (starts[at - 1]?.monoMs ?? 0), 10_000);
  }
});

t.test('timers that fire late do not drift', async (t) => {
  const schedule = { periodMs: 10_000, phaseMs: 3_000 };
  const starts = run(
    schedule,
    zeros(50),
    Array.from({ length: 50 }, (_, at) => (at * 7) % 40),
  );
  for (const start of starts) t.ok(start.leadMs <= 0 && start.leadMs > -40);
});

t.test('an hour back: no slot twice, no blind hour, and the lead melts', async (t) => {
  const schedule = { periodMs: 60_000, phaseMs: 3_000 };
  const steps = zeros(4000);
  steps[5] = -hourMs;
  const starts = run(schedule, steps, zeros(4000));
  for (let at = 1; at < starts.length; at += 1) {
    const interval = (starts[at]?.monoMs ?? 0) - (starts[at - 1]?.monoMs ?? 0);
    t.ok(interval >= 60_000 && interval <= 61_000, `interval ${interval}`);
  }
  t.equal(starts[10]?.missed, 0);
  t.ok((starts[6]?.leadMs ?? 0) > hourMs - 70_000, 'the lead is there');
  t.equal(starts.at(-1)?.leadMs, 0, 'and gone');
});

t.test('an hour forward: one slot runs, those between are missed once', async (t) => {
  const schedule = { periodMs: 60_000, phaseMs: 3_000 };
  const steps = zeros(20);
  steps[5] = hourMs;
  const starts = run(schedule, steps, zeros(20));
  t.equal(starts[5]?.missed, 60);
  t.equal(starts[6]?.missed, 0);
  for (let at = 1; at < starts.length; at += 1) {
    t.equal((starts[at]?.monoMs ?? 0) - (starts[at - 1]?.monoMs ?? 0), 60_000);
  }
});

t.test('a pause of a minute: one slot runs, five are missed', async (t) => {
  const schedule = { periodMs: 10_000, phaseMs: 3_000 };
  const late = zeros(10);
  late[3] = 54_000;
  const starts = run(schedule, zeros(10), late);
  t.equal(starts[3]?.missed, 5);
  t.equal((starts[4]?.monoMs ?? 0) - (starts[3]?.monoMs ?? 0), 6_000, 'then back in phase');
  t.equal(starts[4]?.missed, 0);
});

t.test('a new owner keeps the phase and goes above slots of a clock that was ahead', async (t) => {
  const schedule = { periodMs: 10_000, phaseMs: 3_000 };
  const now = { nowMs: startMs, monoMs: 0 };
  const ahead = startMs + hourMs + 3_000;
  const planned = firstSlot(schedule, ahead, now);
  t.equal(planned.slotAtMs, ahead + 10_000);
  t.ok(planned.dueMonoMs <= 10_000, 'and polls within a period all the same');
});

t.test(
  'property: slots strictly increase and intervals stay in bounds for any steps and delays',
  async () => {
    const jump = fc.oneof(
      { weight: 6, arbitrary: fc.constant(0) },
      { weight: 2, arbitrary: fc.integer({ min: -50, max: 50 }) },
      { weight: 1, arbitrary: fc.integer({ min: -24 * hourMs, max: 24 * hourMs }) },
    );
    const property = fc.property(
      fc.integer({ min: 1, max: 1800 }),
      fc.nat(),
      fc.array(jump, { minLength: 2, maxLength: 60 }),
      fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 60 }),
      (periodS, phase, steps, late) => {
        const schedule = { periodMs: periodS * 1000, phaseMs: phase % (periodS * 1000) };
        const starts = run(schedule, steps, late);
        const melt = meltMs(schedule.periodMs);
        for (let at = 1; at < starts.length; at += 1) {
          const before = starts[at - 1] as (typeof starts)[number];
          const start = starts[at] as (typeof starts)[number];
          const gap = (start.slot - before.slot) / schedule.periodMs;
          const interval = start.monoMs - before.monoMs;
          const bounds =
            interval > schedule.periodMs - melt - 201 && interval < schedule.periodMs + melt + 201;
          if (!(gap >= 1 && Number.isInteger(gap) && start.missed === gap - 1 && bounds))
            return false;
          // A slot never lags the wall clock by a period.
          if (start.leadMs <= -schedule.periodMs) return false;
        }
        return true;
      },
    );
    fc.assert(property, { numRuns: 400 });
  },
);

t.test(
  'the slot report: each slot in one item, ranges joined, what nothing tells of is lost',
  async (t) => {
    const at = (slot: number) => startMs + slot * 10_000;
    const ran = [1, at(0), 12, 1, 'fine', null, 'code', 's', '200', 'unknown'];
    const schedule: SlotsInFlight = {
      period_ms: 10_000,
      phase_ms: startMs % 10_000,
      zones: ['A'],
      disabled: false,
      since_ms: at(0),
      in_flight: [{ monitoring_zone_id: 'A', slot: at(12) }],
    };
    const ticks = [
      { zone: 'A', slotAtMs: at(-3), value: [3, 'disabled', at(1)] },
      { zone: 'A', slotAtMs: at(1), value: ran },
      { zone: 'A', slotAtMs: at(2), value: [2, 'no-answer', 'silence'] },
      { zone: 'A', slotAtMs: at(3), value: [4, at(6)] },
      { zone: 'A', slotAtMs: at(5), value: ran },
      { zone: 'A', slotAtMs: at(8), value: [9, 'of a newer version'] },
    ];
    const range = { fromMs: at(0), toMs: at(100), nowMs: at(14) };
    const report = slotReport(ticks, schedule, range);
    t.same(
      report.items.map((item) => [
        item.outcome,
        (item.from - startMs) / 10_000,
        item.slots,
        item.why,
      ]),
      [
        ['skipped', 0, 1, 'disabled'],
        ['ran', 1, 1, null],
        ['failed', 2, 1, 'no-answer'],
        ['lost', 3, 2, null],
        ['ran', 5, 1, null],
        ['lost', 6, 6, null],
        ['pending', 12, 1, null],
        ['pending', 13, 1, null],
        ['pending', 14, 1, null],
      ],
    );
    t.same(report.sums, { ran: 2, failed: 1, skipped: 1, lost: 8, pending: 3 });
    t.match(report.zones, [{ monitoring_zone_id: 'A', ran: 2, lost: 8 }]);
    t.match(report.items[1], { status: 'fine', available: true, duration: 12, timestamp: at(0) });
    const off = slotReport([], { ...schedule, disabled: true, in_flight: [] }, range);
    t.match(off.items, [{ outcome: 'skipped', why: 'disabled', slots: 15 }]);
    const huge = slotReport([], schedule, { fromMs: at(0), toMs: at(1e9), nowMs: at(1e9) });
    t.equal(
      huge.items.reduce((sum, item) => sum + item.slots, 0),
      reportSlotsMax,
      'bounded',
    );
  },
);

t.test('a wall clock read in whole ms does not shake the intervals', async (t) => {
  const schedule = { periodMs: 10_000, phaseMs: 3_000 };
  let due = firstSlot(schedule, 0, { nowMs: startMs, monoMs: 0.4 });
  for (let at = 0; at < 100; at += 1) {
    // The step runs 0 to 3 ms after it was due, and the wall clock drops the fraction.
    const monoMs = due.dueMonoMs + ((at * 7) % 30) / 10;
    const nowMs = Math.floor(startMs + monoMs - 0.4 + 0.3);
    const next = nextSlot(schedule, due, { nowMs, monoMs });
    t.ok(Math.abs(next.dueMonoMs - due.dueMonoMs - 10_000) < 0.001);
    t.equal(next.slotAtMs - due.slotAtMs, 10_000);
    due = next;
  }
});
