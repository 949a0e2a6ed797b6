// The alert rules (I14, I15, I20, I22) at the receiver: an outage that lasts is told, nothing else is, what comes twice
// comes under one id, and what was told last is what is true. Reads a history, imports nothing else.
import type { History, Outage, Receipt, Violation } from './history.ts';

/** Confirm → first attempt, p99 of the service objectives, ms. */
const sendMs = 5_000;

export interface AlertReport {
  readonly violations: readonly Violation[];
  /** Outages and recoveries that had to be told. */
  readonly due: number;
  readonly told: number;
  /** Receipts beyond the first of an id. */
  readonly duplicates: number;
  readonly receipts: number;
}

/** Returns what the receipts say. */
export function judgeAlerts(history: History): AlertReport {
  const violations: Violation[] = [];
  const byCheck = groupedBy(history.receipts, ({ check }) => check);
  let [due, told] = [0, 0];
  for (const check of history.watched) {
    const receipts = byCheck.get(check) ?? [];
    const outages = history.outages.filter((one) => one.check === check);
    const found = judgeOne(history, { check, receipts, outages });
    violations.push(...found.violations);
    due += found.due;
    told += found.told;
  }
  violations.push(...identity(history.receipts));
  const ids = new Set(history.receipts.map(({ id }) => id));
  return {
    violations,
    ...{ due, told, receipts: history.receipts.length },
    duplicates: history.receipts.length - ids.size,
  };
}

interface Watched {
  readonly check: number;
  readonly receipts: readonly Receipt[];
  readonly outages: readonly Outage[];
}

/** The longest that a state may take to be told when it began at `atMs`: confirmations, sending, and the faults' bounds. */
function tellingMs({ periodMs, timeoutMs, confirmations, faults }: History, atMs: number): number {
  const plainMs = (confirmations + 1) * periodMs * 1.1 + timeoutMs + sendMs;
  const struck = faults.filter(
    (fault) => fault.atMs <= atMs + plainMs && (fault.untilMs ?? fault.atMs) >= atMs - periodMs,
  );
  // A take-over within 250 ms of an observation may cost that one: a period each.
  return plainMs + struck.reduce((sum, fault) => sum + fault.boundMs + periodMs, 0);
}

function judgeOne(history: History, { check, receipts, outages }: Watched) {
  const violations: Violation[] = [];
  let [due, told] = [0, 0];
  const first = firstOf(receipts);
  const expect = (state: string, fromMs: number, untilMs: number): void => {
    const byMs = fromMs + tellingMs(history, fromMs);
    if (byMs > Math.min(untilMs, history.toMs)) return;
    due++;
    if (first.some((one) => one.state === state && one.atMs >= fromMs && one.atMs <= byMs)) told++;
    else {
      const rule = state === 'CRITICAL' ? 'I15' : 'I22';
      const text = `check ${check}: ${state} since ${Math.round(fromMs)} was not told by ${Math.round(byMs)}`;
      violations.push({ rule, text });
    }
  };
  outages.forEach((outage, at) => {
    expect('CRITICAL', outage.fromMs, outage.toMs ?? history.toMs);
    const untilMs = outages[at + 1]?.fromMs ?? history.toMs;
    // An outage that ended before anybody saw it has no recovery; one that had to be told is judged above.
    const isTold = first.some(
      (one) => one.state === 'CRITICAL' && one.atMs >= outage.fromMs && one.atMs <= untilMs,
    );
    if (outage.toMs !== null && isTold) expect('OK', outage.toMs, untilMs);
  });
  for (const one of first) {
    const isTrue =
      one.state === 'OK' ? wasUp(history, outages, one) : wasDown(history, outages, one);
    if (isTrue) continue;
    const text = `check ${check}: ${one.state} told at ${Math.round(one.atMs)}, the target was not so`;
    violations.push({ rule: one.state === 'OK' ? 'I22' : 'I14', text });
  }
  violations.push(...order(check, first));
  return { violations, due, told };
}

function wasDown(history: History, outages: readonly Outage[], receipt: Receipt): boolean {
  return outages.some(
    ({ fromMs, toMs }) =>
      fromMs <= receipt.atMs &&
      (toMs === null || receipt.atMs <= toMs + tellingMs(history, fromMs)),
  );
}

/** OK is told of a recovery, some time after an outage's end. */
function wasUp(_history: History, outages: readonly Outage[], receipt: Receipt): boolean {
  return outages.some(({ toMs }) => toMs !== null && toMs <= receipt.atMs);
}

/** First receipts alternate: CRITICAL, OK, CRITICAL, …; each names the state of the one before. */
function order(check: number, first: readonly Receipt[]): Violation[] {
  return first.flatMap((one, at) => {
    const before = first[at - 1]?.state ?? 'OK';
    if (one.state !== before && one.previous === before) return [];
    const text = `check ${check}: ${one.previous} → ${one.state} was told behind ${before}`;
    return [{ rule: 'I22', text }];
  });
}

function firstOf(receipts: readonly Receipt[]): readonly Receipt[] {
  const seen = new Set<string>();
  return [...receipts]
    .sort((left, right) => left.atMs - right.atMs)
    .filter(({ id }) => !seen.has(id) && seen.add(id) !== undefined);
}

/** One id, one event: all receipts of an id say the same. */
function identity(receipts: readonly Receipt[]): Violation[] {
  const found: Violation[] = [];
  for (const [id, same] of groupedBy(receipts, (one) => one.id)) {
    const said = new Set(same.map(({ alarm, state, previous }) => `${alarm} ${previous} ${state}`));
    if (said.size > 1) found.push({ rule: 'I20', text: `${id}: ${[...said].join(' | ')}` });
  }
  return found;
}

function groupedBy<Item, Key>(items: readonly Item[], of: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(of(item));
    if (group === undefined) groups.set(of(item), [item]);
    else group.push(item);
  }
  return groups;
}
