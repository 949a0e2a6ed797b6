// What people were promised: I26, I27, I29, I30, I35 and that every owner's memory is the fold of the log. Written against
// reliability.md §5 and C3 of clustering.md §21.3.
import { documentKind, type Facts, rowKind, type Version, type Violation } from './facts.ts';
import { changeKey } from './intents.ts';

/** I27: versions of an object are 1..m, of a tenant's documents those of its root. */
export function noLostUpdate(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [place, versions] of facts.documents) {
    const kind = Number(place.split(' ')[1]);
    if (
      ![documentKind.entity, documentKind.check, documentKind.alarm, documentKind.root].includes(
        kind,
      )
    )
      continue;
    versions.forEach((version, at) => {
      const before = versions[at - 1]?.rev ?? (kind === documentKind.root ? version.rev - 1 : 0);
      if (version.rev !== before + 1) {
        found.push({
          id: 'I27',
          t: version.t,
          text: `${place}: version ${version.rev} behind ${before}`,
        });
      }
    });
  }
  return found;
}

/** I29: what was deleted never returns. */
export function noResurrection(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const [place, versions] of facts.documents) {
    if (Number(place.split(' ')[1]) === documentKind.deferred) continue;
    versions.forEach((version, at) => {
      if (version.body !== null && versions[at - 1]?.body === null) {
        found.push({
          id: 'I29',
          t: version.t,
          text: `${place}: written again after it was deleted`,
        });
      }
    });
    if (versions.at(-1)?.body !== null) continue;
    const [key, kind, id] = place.split(' ');
    const isStored = facts.stored?.documents.some(
      (one) => one.key === key && one.kind === Number(kind) && one.id === id,
    );
    if (isStored === true)
      found.push({
        id: 'I29',
        t: versions.at(-1)?.t ?? 0,
        text: `${place}: deleted, and stored at the end`,
      });
  }
  for (const event of facts.events) {
    if (event.kind !== 'live' || !event.key.includes('/')) continue;
    for (const { kind, id } of idsOf(event.live)) {
      const versions = facts.documents.get(`${event.key} ${kind} ${id}`) ?? [];
      const gone = versions.at(-1);
      if (gone !== undefined && gone.body === null && gone.t < event.t - 1_000) {
        found.push({
          id: 'I29',
          t: event.t,
          text: `${event.key} ${id}: deleted at ${Math.round(gone.t)}, and live again (${event.when})`,
        });
      }
    }
  }
  return found;
}

interface Live {
  readonly ok?: boolean;
  readonly value?: {
    readonly entity?: { readonly id: string; readonly label: string };
    readonly checks?: readonly {
      readonly id: string;
      readonly disabled: boolean;
      readonly period: number;
    }[];
    readonly alarms?: readonly {
      readonly id: string;
      readonly disabled: boolean;
      readonly state: string;
      readonly transitions: number;
    }[];
  };
}

function idsOf(live: unknown): { kind: number; id: string }[] {
  const value = (live as Live | null)?.value;
  return [
    ...(value?.checks ?? []).map(({ id }) => ({ kind: documentKind.check, id })),
    ...(value?.alarms ?? []).map(({ id }) => ({ kind: documentKind.alarm, id })),
  ];
}

/** I26 and C3: after a restart everything acknowledged is there, in memory, in the documents and in the listing. */
export function durableAnswers(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const endT = facts.events.at(-1)?.t ?? 0;
  const stored = facts.stored;
  if (stored === null) return [{ id: 'I42', t: endT, text: 'the run did not come to its end' }];
  const byPlace = new Map(stored.documents.map((one) => [`${one.key} ${one.kind} ${one.id}`, one]));
  for (const [place, versions] of facts.documents) {
    const last = versions.at(-1) as Version;
    const kind = Number(place.split(' ')[1]);
    if (kind === documentKind.deferred || last.body === null) continue;
    const kept = byPlace.get(place);
    if (kept === undefined)
      found.push({ id: 'I26', t: last.t, text: `${place}: committed, and not stored at the end` });
    else if (kept.rev !== last.rev || JSON.stringify(kept.body) !== JSON.stringify(last.body)) {
      found.push({
        id: 'I26',
        t: last.t,
        text: `${place}: stored in version ${kept.rev}, committed in ${last.rev}`,
      });
    }
  }
  return [...found, ...listed(facts), ...lived(facts), ...acknowledged(facts)];
}

/** The listing of each tenant holds the entities that exist. */
function listed(facts: Facts): Violation[] {
  const wanted = [...facts.documents]
    .filter(
      ([place, versions]) =>
        Number(place.split(' ')[1]) === documentKind.entity && versions.at(-1)?.body !== null,
    )
    .map(([place]) => place.split(' ')[0] ?? '')
    .sort();
  const have = (facts.stored?.listings ?? [])
    .map(({ tenant, entity }) => `${tenant}/${entity}`)
    .sort();
  if (wanted.join(' ') === have.join(' ')) return [];
  const lost = wanted.filter((one) => !have.includes(one));
  const extra = have.filter((one) => !wanted.includes(one));
  return [
    {
      id: 'I26',
      t: facts.lastT,
      text: `the listing lacks [${lost.join(' ')}] and has [${extra.join(' ')}] too much`,
    },
  ];
}

/** What an owner has in memory is what the log says. */
function lived(facts: Facts): Violation[] {
  const found: Violation[] = [];
  facts.events.forEach((event) => {
    if (event.kind !== 'live' || !event.key.includes('/') || event.when === 'spot') return;
    const { value } = (event.live as Live | null) ?? {};
    const entity = facts.documents
      .get(`${event.key} ${documentKind.entity} ${event.key.split('/')[1]}`)
      ?.at(-1);
    if (entity === undefined || entity.body === null) return;
    if (value?.entity === undefined) {
      found.push({
        id: 'I26',
        t: event.t,
        text: `${event.key}: cannot be read (${event.when}): ${JSON.stringify(event.live).slice(0, 120)}`,
      });
      return;
    }
    const live = new Set(idsOf(event.live).map(({ kind, id }) => `${event.key} ${kind} ${id}`));
    for (const [place, versions] of facts.documents) {
      const [key, kind] = place.split(' ');
      const isOwn =
        key === event.key && [documentKind.check, documentKind.alarm].includes(Number(kind));
      if (
        isOwn &&
        versions.at(-1)?.body !== null &&
        !live.has(place) &&
        (versions.at(-1)?.t ?? 0) < event.t
      ) {
        found.push({
          id: 'I26',
          t: event.t,
          text: `${place}: committed, and not in memory (${event.when})`,
        });
      }
    }
    found.push(...statesLived(facts, event.key, event.t, value.alarms ?? [], event.when));
  });
  return found;
}

function statesLived(
  facts: Facts,
  key: string,
  t: number,
  alarms: readonly { readonly id: string; readonly state: string; readonly transitions: number }[],
  when: string,
): Violation[] {
  return alarms.flatMap((alarm) => {
    const own = facts.transitions.filter((one) => one.key === key && one.alarm === alarm.id);
    // A decision may be under way as it is read.
    const options = [
      own.filter((one) => one.row.t <= t).at(-1),
      ...own.filter((one) => one.row.t > t && one.row.t < t + 10_000),
    ];
    const isKnown = options.some(
      (one) => (one?.n ?? 0) === alarm.transitions && (one?.state ?? 'UNKNOWN') === alarm.state,
    );
    const last = options[0];
    return isKnown
      ? []
      : [
          {
            id: 'I26',
            t,
            text: `${key} ${alarm.id}: ${alarm.state} #${alarm.transitions} in memory (${when}), ${last?.state} #${last?.n} in the log`,
          },
        ];
  });
}

/** An ok to a create names an object that was committed. */
function acknowledged(facts: Facts): Violation[] {
  const made = new Set([...facts.documents.keys()].map((place) => place.split(' ')[2]));
  return [...facts.requests.values()].flatMap(({ op, replies }) => {
    const ok = replies.find((reply) => reply.outcome === 'ok');
    if (ok === undefined || !op.message.endsWith('.create') || op.message === 'tenant.create')
      return [];
    return made.has(ok.id)
      ? []
      : [{ id: 'I26', t: ok.t, text: `${op.message} ${ok.id}: acknowledged, and never committed` }];
  });
}

/** I30: one key, one outcome, one object. */
export function idempotent(facts: Facts): Violation[] {
  const found: Violation[] = [];
  for (const { op, replies } of facts.requests.values()) {
    const ids = new Set(replies.filter((reply) => reply.outcome === 'ok').map((reply) => reply.id));
    if (ids.size > 1)
      found.push({
        id: 'I30',
        t: replies.at(-1)?.t ?? 0,
        text: `${op.op}: ${[...ids].join(' and ')}`,
      });
    const outcomes = new Set(
      replies
        .filter((reply) => reply.outcome !== 'failed' && reply.code !== 'systemFailureError')
        .map((reply) => reply.outcome),
    );
    if (outcomes.size > 1) {
      const codes = replies.map((reply) => `${reply.outcome}:${reply.code}`).join(' ');
      found.push({
        id: 'I30',
        t: replies.at(-1)?.t ?? 0,
        text: `${op.op} ${op.message}: ${codes}`,
      });
    }
  }
  const rows = new Map<string, number>();
  for (const row of facts.rows) {
    const key = row.kind === rowKind.config ? changeKey(row.body) : null;
    if (key === null) continue;
    rows.set(key, (rows.get(key) ?? 0) + 1);
    if ((rows.get(key) ?? 0) > 1)
      found.push({ id: 'I30', t: row.t, text: `${key}: executed ${rows.get(key)} times` });
  }
  return found;
}

/** True where a restart believed a wall clock set far ahead: what looks past its keep is swept then. */
function wasAged(facts: Facts): boolean {
  const far = facts.events.find(
    (event) => event.kind === 'wall.step' && event.deltaMs > 3 * 86_400_000,
  );
  return far !== undefined && facts.restartsIn(far.t, facts.lastT + 1_000).length > 0;
}

/**
 * A row is projected once its commit was answered (two answers of a store that is well by then), and checks go on to the
 * end: what was committed right before the last look may still be on its way.
 */
const projectedWithinMs = 500;

/** I35, and the history as a whole: each committed line of history is stored once, and nothing else is. */
export function recordedHistory(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const stored = new Set((facts.stored?.history ?? []).map((line) => `${line.table} ${line.id}`));
  const lookedT = facts.events.findLast((event) => event.kind === 'stored')?.t ?? Infinity;
  const isUnderWay = (t: number): boolean => t > lookedT - projectedWithinMs;
  const wanted = new Set<string>();
  for (const row of facts.rows) {
    const audits = row.history.filter((line) => line.table === 'audit').length;
    if (row.kind === rowKind.config && audits !== 1) {
      found.push({ id: 'I35', t: row.t, text: `${row.key} ${row.seq}: ${audits} audit records` });
    }
    for (const line of row.history) {
      const name = `${line.table} ${line.id}`;
      if (wanted.has(name)) found.push({ id: 'I35', t: row.t, text: `${name}: two rows share it` });
      wanted.add(name);
      if (!stored.has(name) && !isUnderWay(row.t) && !wasAged(facts)) {
        const id =
          line.table === 'audit' ? 'I35' : line.table === 'suppression_log' ? 'I25' : 'I18';
        found.push({ id, t: row.t, text: `${row.key}: ${name} is not stored at the end` });
      }
    }
  }
  for (const line of facts.stored?.history ?? []) {
    const isProjected = ['audit', 'changelog', 'alarm_history', 'suppression_log'].includes(
      line.table,
    );
    if (isProjected && !wanted.has(`${line.table} ${line.id}`)) {
      found.push({
        id: 'I18',
        t: facts.lastT,
        text: `${line.key}: ${line.table} ${line.id} is stored, and no committed row made it`,
      });
    }
  }
  return found;
}
