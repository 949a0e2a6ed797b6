// What a trace says, put in order for the rules: process runs and their pauses, faults, the log as committed, configuration
// over time, polls, pages, requests. Owns no rule. Imports types only; stored numbers are written out here on purpose.
import type { CommittedRow, Operation, Stored, TraceEvent } from '../trace.ts';

export type Of<Kind extends TraceEvent['kind']> = Extract<TraceEvent, { kind: Kind }>;

export interface Violation {
  readonly id: string;
  readonly t: number;
  readonly text: string;
}

/** What the judge is told of the plan. */
export interface Ground {
  readonly mode: 'safety' | 'liveness';
  readonly healT: number;
  readonly lateWrites: boolean;
  /** The truth of a target (by its name in the check) at a time, and the spans of it. */
  readonly truth: (target: string) => readonly { from: number; to: number; state: string }[];
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Run {
  readonly run: number;
  readonly startT: number;
  readonly startMono: number;
  readyT: number;
  endT: number;
  why: string;
  readonly pauses: Span[];
}

export interface Row extends CommittedRow {
  readonly t: number;
  /** Position of the commit in the trace. */
  readonly at: number;
  readonly shard: number;
}

export interface Poll {
  readonly id: string;
  readonly key: string;
  readonly check: string;
  readonly zone: string;
  readonly slot: number;
  readonly run: number;
  readonly t: number;
  readonly mono: number;
  readonly wall: number;
  readonly target: string;
  readonly timeoutMs: number;
  end: Of<'probe.end'> | null;
}

export interface Evidence {
  readonly zone: string;
  readonly computed: string;
  readonly confirmed: string;
  readonly run: number;
  readonly slot: number;
  readonly stale: boolean;
  readonly collector: string;
}

export interface TransitionRow {
  readonly row: Row;
  readonly key: string;
  readonly alarm: string;
  readonly check: string;
  readonly n: number;
  readonly state: string;
  readonly previous: string;
  readonly slot: number;
  readonly zone: string;
  readonly atMs: number;
  readonly settings: { readonly level: string; readonly count: number; readonly total: number };
  readonly evidence: readonly Evidence[];
  /** Rows of the same commit. */
  readonly batch: readonly Row[];
  /** When it was decided: its observation came in. */
  readonly decidedT: number;
  readonly decidedMono: number;
}

export interface IntentRow {
  readonly row: Row;
  readonly id: string;
  readonly key: string;
  readonly alarm: string;
  readonly n: number;
  readonly channel: string;
  readonly receiver: string;
}

export interface Version {
  readonly t: number;
  readonly rev: number;
  /** null: deleted. */
  readonly body: unknown;
  readonly at: number;
}

export interface Request {
  readonly op: Operation;
  readonly sentT: number;
  readonly replies: Of<'api.reply'>[];
}

export const rowKind = {
  transition: 1,
  intent: 2,
  deferred: 3,
  config: 4,
  quarantine: 6,
  outcome: 7,
};
export const documentKind = {
  entity: 0,
  check: 1,
  alarm: 2,
  deferred: 3,
  root: 16,
  plan: 17,
  notification: 18,
  suppression: 19,
};

export interface Facts {
  readonly ground: Ground;
  readonly events: readonly TraceEvent[];
  readonly runs: readonly Run[];
  readonly storeFaults: readonly Span[];
  readonly proberFaults: ReadonlyMap<string, readonly (Span & { readonly mode: string })[]>;
  readonly receiverFaults: readonly Span[];
  readonly wallSteps: readonly number[];
  readonly rows: readonly Row[];
  readonly transitions: readonly TransitionRow[];
  readonly intents: ReadonlyMap<string, IntentRow>;
  /** Documents over time by `key kind id`. */
  readonly documents: ReadonlyMap<string, readonly Version[]>;
  /** By `key check zone`, in order of start. */
  readonly polls: ReadonlyMap<string, readonly Poll[]>;
  readonly pollOf: ReadonlyMap<string, Poll>;
  readonly pages: readonly Of<'page.start'>[];
  readonly requests: ReadonlyMap<string, Request>;
  readonly stored: Stored | null;
  /** When the world was told to end: faults are over in liveness mode. */
  readonly lastT: number;
  /** True once the rows up to `seq` are known as durable by the process, before event `at`. */
  ackedBefore(shard: number, seq: number, at: number): boolean;
  ackedT(shard: number, seq: number): number | null;
  /** ms of [from, to] in which no process ran: down, loading or paused. */
  awayMs(from: number, to: number): number;
  overlaps(spans: readonly Span[], from: number, to: number): boolean;
  runAt(t: number): Run | null;
  restartsIn(from: number, to: number): readonly Run[];
}

export function placeOf(key: string, kind: number, id: string): string {
  return `${key} ${kind} ${id}`;
}

/** Version in force at `t`; null: none, or deleted. */
export function versionAt(versions: readonly Version[] | undefined, t: number): Version | null {
  let found: Version | null = null;
  for (const version of versions ?? []) {
    if (version.t > t) break;
    found = version;
  }
  return found?.body === null ? null : found;
}

/** True where something of it was changed in [from, to]. */
export function changedIn(
  versions: readonly Version[] | undefined,
  from: number,
  to: number,
): boolean {
  return (versions ?? []).some((version) => version.t >= from && version.t <= to);
}

/** Returns the facts of a whole trace. */
export function factsOf(events: readonly TraceEvent[], ground: Ground): Facts {
  const runs = runsOf(events);
  const log = logOf(events);
  const polls = pollsOf(events);
  const acks = acksOf(events);
  const faults = faultsOf(events, ground.healT);
  const lastT = events.find((one) => one.kind === 'phase' && one.phase === 'last crash')?.t ?? 0;
  const awayMs = (from: number, to: number): number =>
    Math.max(0, to - from - presentMs(runs, from, to));
  return {
    ground,
    events,
    runs,
    ...faults,
    ...log,
    transitions: transitionsOf(log.rows, polls.pollsBySlot),
    polls: polls.polls,
    pollOf: polls.pollOf,
    pages: events.filter((one) => one.kind === 'page.start'),
    requests: requestsOf(events),
    stored: events.find((one) => one.kind === 'stored')?.stored ?? null,
    lastT,
    ackedBefore: (shard, seq, at) =>
      (acks.get(shard) ?? []).some((ack) => ack.at < at && ack.head >= seq),
    ackedT: (shard, seq) => (acks.get(shard) ?? []).find((ack) => ack.head >= seq)?.t ?? null,
    awayMs,
    overlaps: (spans, from, to) => spans.some((span) => span.from <= to && span.to >= from),
    runAt: (t) => runs.findLast((run) => run.startT <= t && run.endT >= t) ?? null,
    restartsIn: (from, to) => runs.filter((run) => run.startT >= from && run.startT <= to),
  };
}

function presentMs(runs: readonly Run[], from: number, to: number): number {
  let ms = 0;
  for (const run of runs) {
    const start = Math.max(from, run.readyT);
    const end = Math.min(to, run.endT);
    if (end <= start) continue;
    ms += end - start;
    for (const pause of run.pauses) {
      ms -= Math.max(0, Math.min(end, pause.to) - Math.max(start, pause.from));
    }
  }
  return ms;
}

function runsOf(events: readonly TraceEvent[]): Run[] {
  const runs: Run[] = [];
  for (const event of events) {
    const last = runs.at(-1);
    if (event.kind === 'node.start') {
      const never = Number.MAX_SAFE_INTEGER;
      const since = { startT: event.t, startMono: event.mono, readyT: never, endT: never };
      runs.push({ run: event.run, ...since, why: '', pauses: [] });
    } else if (last === undefined) continue;
    else if (event.kind === 'node.ready') last.readyT = event.t;
    else if (event.kind === 'node.end') Object.assign(last, { endT: event.t, why: event.why });
    else if (event.kind === 'node.pause')
      last.pauses.push({ from: event.t, to: event.t + event.ms });
    else if (event.kind === 'node.resume') {
      const pause = last.pauses.pop();
      if (pause !== undefined) last.pauses.push({ ...pause, to: event.t });
    }
  }
  return runs;
}

const storeTroubles = new Set(['outage', 'projectionsOut', 'storeSlow', 'storeUnknown']);

function faultsOf(events: readonly TraceEvent[], healT: number) {
  const storeFaults: Span[] = [];
  const receiverFaults: Span[] = [];
  const probers = new Map<string, (Span & { mode: string })[]>();
  for (const event of events) {
    if (event.kind !== 'fault') continue;
    const span = { from: event.t, to: Math.min(event.untilT, healT) };
    if (storeTroubles.has(event.fault)) storeFaults.push(span);
    else if (event.fault === 'receiver') receiverFaults.push(span);
    else if (event.fault === 'prober') {
      const own = probers.get('any') ?? [];
      probers.set('any', [...own, { ...span, mode: event.what }]);
    }
  }
  // A suspended machine's monotonic clock falls behind its wall clock, as if that had been stepped.
  const isStep = (one: TraceEvent): boolean =>
    one.kind === 'wall.step' || (one.kind === 'node.pause' && one.frozen);
  const wallSteps = events.filter(isStep).map((one) => one.t);
  return { storeFaults, receiverFaults, proberFaults: probers, wallSteps };
}

function logOf(events: readonly TraceEvent[]) {
  const rows: Row[] = [];
  const documents = new Map<string, Version[]>();
  const intents = new Map<string, IntentRow>();
  events.forEach((event, at) => {
    if (event.kind !== 'commit' || !event.applied) return;
    for (const given of event.rows) {
      const row: Row = { ...given, t: event.t, at, shard: event.shard };
      rows.push(row);
      for (const { kind, id, rev, body } of row.documents) {
        const place = placeOf(row.key, kind, id);
        const versions = documents.get(place) ?? [];
        documents.set(place, versions);
        versions.push({ t: event.t, rev, body: body ?? null, at });
      }
      if (row.kind === rowKind.intent) {
        const intent = intentOf(row);
        intents.set(intent.id, intent);
      }
    }
  });
  return { rows, documents, intents };
}

function intentOf(row: Row): IntentRow {
  const { id, alarm, n, channel, body } = row.body as {
    id: string;
    alarm: string;
    n: number;
    channel: string;
    body: { notification: { details: Record<string, string> } };
  };
  const receiver = body.notification.details['url'] ?? 'mail';
  return { row, id, key: row.key, alarm, n, channel, receiver };
}

function transitionsOf(
  rows: readonly Row[],
  pollsBySlot: ReadonlyMap<string, Poll[]>,
): TransitionRow[] {
  const byCommit = new Map<number, Row[]>();
  for (const row of rows) byCommit.set(row.at, [...(byCommit.get(row.at) ?? []), row]);
  return rows
    .filter((row) => row.kind === rowKind.transition)
    .map((row) => {
      const body = row.body as Omit<
        TransitionRow,
        'row' | 'key' | 'batch' | 'decidedT' | 'decidedMono'
      >;
      const polls = pollsBySlot.get(`${row.key} ${body.check} ${body.zone} ${body.slot}`) ?? [];
      const ended = polls.filter((poll) => (poll.end?.t ?? row.t + 1) <= row.t);
      const end = ended.at(-1)?.end ?? null;
      const [decidedT, decidedMono] = [end?.t ?? row.t, end?.mono ?? 0];
      return {
        ...body,
        row,
        key: row.key,
        batch: byCommit.get(row.at) ?? [],
        decidedT,
        decidedMono,
      };
    });
}

function pollsOf(events: readonly TraceEvent[]) {
  const polls = new Map<string, Poll[]>();
  const pollOf = new Map<string, Poll>();
  const pollsBySlot = new Map<string, Poll[]>();
  for (const event of events) {
    if (event.kind === 'probe.start') {
      const [, slot = '0', zone = '', check = '', key = ''] = event.id.split('|').reverse();
      const { id, run, t, mono, wall, target, timeoutMs } = event;
      const poll: Poll = {
        id,
        key,
        check,
        zone,
        slot: Number(slot),
        run,
        t,
        mono,
        wall,
        target,
        timeoutMs,
        end: null,
      };
      pollOf.set(id, poll);
      add(polls, `${key} ${check} ${zone}`, poll);
      add(pollsBySlot, `${key} ${check} ${zone} ${slot}`, poll);
    } else if (event.kind === 'probe.end') {
      const poll = pollOf.get(event.id);
      if (poll !== undefined) poll.end = event;
    }
  }
  return { polls, pollOf, pollsBySlot };
}

function add<Item>(lists: Map<string, Item[]>, name: string, item: Item): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, [item]);
  else list.push(item);
}

function acksOf(events: readonly TraceEvent[]) {
  const acks = new Map<number, { t: number; at: number; head: number }[]>();
  events.forEach((event, at) => {
    if (event.kind !== 'acked') return;
    const own = acks.get(event.shard) ?? [];
    acks.set(event.shard, own);
    if (event.head > (own.at(-1)?.head ?? 0)) own.push({ t: event.t, at, head: event.head });
  });
  return acks;
}

function requestsOf(events: readonly TraceEvent[]) {
  const requests = new Map<string, Request>();
  for (const event of events) {
    if (event.kind === 'api.send') {
      const { op } = event;
      if (!requests.has(op.op)) requests.set(op.op, { op, sentT: event.t, replies: [] });
    } else if (event.kind === 'api.reply') requests.get(event.op)?.replies.push(event);
  }
  return requests;
}
