// The judge of real-process runs must see what is wrong: each rule broken once in a history that is otherwise well.
import t from 'tap';
import { judgeAlerts } from './judge/alerts.ts';
import { judgeGaps } from './judge/gaps.ts';
import type { FaultRecord, History, Receipt } from './judge/history.ts';

const every = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, at) => from + at * step);

function history(changes: Partial<History> = {}): History {
  return {
    periodMs: 10_000,
    timeoutMs: 5_000,
    confirmations: 1,
    fromMs: 0,
    toMs: 200_000,
    checks: 2,
    watched: [0],
    arrivals: new Map([
      [0, every(1_000, 200_000, 10_000)],
      [1, every(5_000, 200_000, 10_000)],
    ]),
    outages: [{ check: 0, fromMs: 50_000, toMs: 120_000 }],
    receipts: [receipt('a', 51_500, 'CRITICAL', 'OK'), receipt('b', 121_500, 'OK', 'CRITICAL')],
    faults: [],
    ...changes,
  };
}

function receipt(id: string, atMs: number, state: string, previous: string): Receipt {
  return { id, atMs, state, previous, check: 0, alarm: 'al1', unfenced: false };
}

const kill: FaultRecord = {
  kind: 'kill',
  what: 'n1',
  atMs: 60_000,
  untilMs: 60_000,
  boundMs: 1_200,
};
const rules = (violations: readonly { rule: string }[]): string[] =>
  violations.map(({ rule }) => rule);

t.test('a history without fault is clean', (t) => {
  const gaps = judgeGaps(history());
  t.same(gaps.violations, []);
  t.match(gaps, { arrivals: 40, missedSlots: 0, doubles: 0 });
  t.match(judgeAlerts(history()), { violations: [], due: 2, told: 2, duplicates: 0 });
  t.end();
});

t.test('a gap is a violation, unless a fault within its bound explains it', (t) => {
  const times = [...every(1_000, 51_000, 10_000), ...every(63_000, 200_000, 10_000)];
  const late = history({ arrivals: new Map([[0, times]]), checks: 1 });
  t.same(rules(judgeGaps(late).violations), ['I6']);
  t.same(judgeGaps({ ...late, faults: [kill] }).violations, []);
  const [fault] = judgeGaps({ ...late, faults: [kill] }).perFault;
  t.match(fault, { checksAffected: 1, worstMs: 1_000, p99Ms: 2_000, allPolledMs: 3_000 });
  const [first, ...rest] = times;
  const never = history({ arrivals: new Map([[0, [first ?? 0]]]), checks: 1 });
  t.ok(rest.length > 0 && judgeGaps(never).violations.length > 0, 'a check that stops is seen');
  t.match(judgeGaps(never), { missedSlots: 19 });
  t.same(rules(judgeGaps(history({ arrivals: new Map(), checks: 1 })).violations), ['I6']);
  t.end();
});

t.test('three polls in a period are a storm', (t) => {
  const times = [...every(1_000, 200_000, 10_000), 42_000, 43_000].sort((a, b) => a - b);
  t.ok(
    rules(judgeGaps(history({ arrivals: new Map([[0, times]]), checks: 1 })).violations).includes(
      'I7',
    ),
  );
  t.end();
});

t.test('what is not told, told falsely, doubled or out of order is seen', (t) => {
  const [bad, good] = history().receipts as [Receipt, Receipt];
  const told = (receipts: readonly Receipt[], more: Partial<History> = {}) =>
    rules(judgeAlerts(history({ receipts, ...more })).violations);
  t.same(told([good]), ['I15', 'I22'], 'a lost CRITICAL');
  t.same(told([bad]), ['I22'], 'a lost recovery');
  t.ok(told([bad, good], { outages: [] }).includes('I14'), 'a false alert');
  t.ok(told([bad, receipt('c', 52_000, 'CRITICAL', 'OK'), good]).includes('I22'), 'told twice');
  t.same(told([bad, { ...bad, atMs: 53_000 }, good]), [], 'one id twice is a duplicate only');
  t.same(told([bad, { ...good, id: 'a' }]).includes('I20'), true, 'one id, two events');
  t.same(told([{ ...bad, atMs: 110_000 }, good]), ['I15'], 'told too late');
  t.end();
});
