// Who may own, commit and act: C1, C2, C10, C13, I1, I2, I3, I5. Written against clustering.md §6 to §8, §21.3, reliability.md §5.
import type { Violation } from '../../sim/oracle/facts.ts';
import type { ClusterEvent, Of } from '../trace.ts';
import { type ClusterFacts, violation } from './facts.ts';

interface Grant {
  readonly epoch: number;
  readonly owner: string;
}

const none: Grant = { epoch: 0, owner: '' };

/** C1, I1, I2: granted epochs strictly increase; a committed batch carries the epoch and owner of its time. */
export function singleCommitter({ events }: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const grants = new Map<number, Grant>();
  for (const { t, ...event } of events) {
    if (event.kind === 'claim' && event.applied) {
      const { shard, epoch, owner } = event;
      const before = grants.get(shard) ?? none;
      if (epoch <= before.epoch) {
        const text = `shard ${shard}: epoch ${epoch} of ${owner} granted after ${before.epoch} of ${before.owner}`;
        found.push(violation('C1', t, text));
      }
      grants.set(shard, { epoch, owner });
    } else if (event.kind === 'commit' && event.applied) {
      const { shard, epoch, owner } = event;
      const now = grants.get(shard) ?? none;
      if (epoch === now.epoch && owner === now.owner) continue;
      const text = `shard ${shard}: a commit of ${owner} in ${epoch}, granted is ${now.epoch} to ${now.owner}`;
      found.push(violation('C1', t, text));
    }
  }
  return found;
}

/** C2: the log has no gaps and no forks. */
export function gaplessLog({ events }: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const heads = new Map<number, number>();
  for (const event of events) {
    if (event.kind !== 'commit' || !event.applied) continue;
    const head = heads.get(event.shard) ?? 0;
    const isAt =
      event.prevHead === head && event.rows.every((row, at) => row.seq === head + 1 + at);
    if (!isAt)
      found.push(
        violation(
          'C2',
          event.t,
          `shard ${event.shard}: a batch on ${event.prevHead}, the head is ${head}`,
        ),
      );
    heads.set(event.shard, head + event.rows.length);
  }
  return found;
}

/** C10, I3: no effect without a lease that confirmations bear out, none of a process that knows it is fenced. */
export function leasedEffects({ events, runs }: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  for (const event of events) {
    const { may, t, kind, run } = event;
    if (may === undefined) continue;
    const name = `${runs.get(run)?.name} (${run})`;
    if (!may.isMember) found.push(violation('I3', t, `${kind} of ${name}, which is no member`));
    else if (may.leaseMs < 0)
      found.push(violation('I3', t, `${kind} of ${name}, its lease ended ${-may.leaseMs} ms ago`));
    else if (may.provenMs < -20 && may.mode !== 'ISOLATED')
      found.push(
        violation(
          'I3',
          t,
          `${kind} of ${name}, last confirmed ${1_400 - may.provenMs} ms ago, ${may.mode}`,
        ),
      );
  }
  return found;
}

/** I5, C10: a member leaves the view by evidence, by itself, or for a newer incarnation; only the view fences. */
export function evidentDeaths({ events, runs, views, ground }: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const weights = new Map(ground.nodes.map(({ name, weight }) => [name, weight]));
  const asked = new Map<string, Of<'death.asked'> & ClusterEvent>();
  let at = 0;
  for (const event of events) {
    const { t, run } = event;
    const name = runs.get(run)?.name ?? '';
    if (event.kind === 'death.asked') asked.set(`${run} ${event.of}/${event.incarnation}`, event);
    if (event.kind !== 'view.applied') continue;
    const before = views[at - 1]?.members ?? [];
    at++;
    for (const { node, incarnation } of before) {
      if (event.members.some((one) => one.node === node) || node === name) continue;
      const request = asked.get(`${run} ${node}/${incarnation}`);
      const why =
        request === undefined
          ? 'nobody asked'
          : lacking(request, { name, weight: weights.get(name) ?? 1 });
      if (why !== null) found.push(violation('I5', t, `${node} was removed by ${name}: ${why}`));
    }
  }
  return found;
}

function lacking(
  request: Of<'death.asked'>,
  by: { readonly name: string; readonly weight: number },
): string | null {
  const { voters, isStalled, members, lively } = request;
  const said = `${voters.join(' ')} of ${members} said so, its beat ${isStalled ? 'stood still' : 'moved'}`;
  if (!voters.includes(by.name)) return `it had no vote itself; ${said}`;
  if (by.weight === 0 && lively.length > 0)
    return `it has no weight and ${lively.join(' ')} lives; ${said}`;
  const isMajority = voters.length >= Math.floor(members / 2) + 1;
  return isMajority || isStalled || members === 2 ? null : said;
}

/** C10: whoever falls is not in the view. */
export function fencedByView({ events, runs }: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const incarnations = new Map<number, string>();
  let members: readonly { node: string; incarnation: string }[] = [];
  for (const event of events) {
    if (event.kind === 'view.applied') members = event.members;
    else if (event.kind === 'view.followed') incarnations.set(event.run, event.incarnation);
    else if (event.kind === 'fenced') {
      const name = runs.get(event.run)?.name;
      const isListed = members.some(
        (one) => one.node === name && one.incarnation === incarnations.get(event.run),
      );
      if (isListed)
        found.push(violation('C10', event.t, `${name} fenced itself, and the view lists it`));
    }
  }
  return found;
}

/** I5: a claim takes from nobody, from an owner that is not in the view, or what was handed over. */
export function rightfulClaims({ events, views, runs }: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const grants = new Map<number, Grant>();
  const cuts = new Map<number, { from: string; to: string; epoch: number; version: number }[]>();
  const membersOf = new Map(views.map((view) => [view.version, view.members]));
  for (const event of events) {
    if (event.kind === 'handoff' && event.step === 'cut') {
      const { to, epoch, version, shard } = event;
      const cut = { from: runs.get(event.run)?.name ?? '', to, epoch, version };
      cuts.set(shard, [...(cuts.get(shard) ?? []), cut]);
    }
    if (event.kind !== 'claim' || !event.applied) continue;
    const { shard, epoch, owner, t } = event;
    const was = grants.get(shard) ?? none;
    grants.set(shard, { epoch, owner });
    const members = membersOf.get(epoch);
    if (members === undefined) {
      found.push(
        violation('I5', t, `shard ${shard}: ${owner} claimed with ${epoch}, which no view has`),
      );
      continue;
    }
    if (was.owner === '' || was.owner === owner) continue;
    const [node, incarnation] = was.owner.split('/');
    if (!members.some((one) => one.node === node && one.incarnation === incarnation)) continue;
    const isHanded = (cuts.get(shard) ?? []).some(
      (cut) =>
        cut.epoch === was.epoch &&
        cut.version === epoch &&
        cut.from === node &&
        owner.startsWith(`${cut.to}/`),
    );
    if (!isHanded)
      found.push(
        violation(
          'I5',
          t,
          `shard ${shard}: ${owner} took it in ${epoch} from ${was.owner}, which the view lists`,
        ),
      );
  }
  return found;
}

/** C13: while NATS is down as a whole nobody is removed; the first second is what was known before. */
export function noDeathsBlind({ views, faults, runs }: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const outages = faults.filter(
    (fault) => fault.kind === 'natsDown' && fault.to - fault.from > 1_500,
  );
  views.forEach((view, at) => {
    const outage = outages.find((one) => view.t > one.from + 1_500 && view.t < one.to);
    if (outage === undefined) return;
    const name = runs.get(view.run)?.name;
    for (const { node } of views[at - 1]?.members ?? []) {
      if (node === name || view.members.some((one) => one.node === node)) continue;
      found.push(violation('C13', view.t, `${name} removed ${node} while NATS was down`));
    }
  });
  return found;
}

/** I5: death is permanent for an incarnation: none that left the view is listed again. */
export function noReturn({ views }: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const gone = new Set<string>();
  let before: readonly { node: string; incarnation: string }[] = [];
  for (const { t, members } of views) {
    const names = new Set(members.map(({ node, incarnation }) => `${node}/${incarnation}`));
    for (const { node, incarnation } of before) {
      if (!names.has(`${node}/${incarnation}`)) gone.add(`${node}/${incarnation}`);
    }
    for (const name of names) {
      if (gone.has(name)) found.push(violation('I5', t, `${name} is listed again`));
    }
    before = members;
  }
  return found;
}

/** I5: one process per name: whoever another process of its name replaced ends at once. */
export function replacedEnds({ events, runs }: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  const incarnations = new Map<number, string>();
  const claims = new Map<string, number>();
  for (const event of events) {
    if (event.kind === 'view.followed') incarnations.set(event.run, event.incarnation);
    if (event.kind !== 'view.applied') continue;
    for (const { node, incarnation } of event.members) {
      const run = claims.get(`${node}/${incarnation}`);
      if (run === undefined) claims.set(`${node}/${incarnation}`, event.run);
    }
    for (const [run, incarnation] of incarnations) {
      const own = runs.get(run);
      const listed = event.members.find((one) => one.node === own?.name);
      const isTaken = listed !== undefined && listed.incarnation !== incarnation;
      const isOther = isTaken && claims.get(`${listed.node}/${listed.incarnation}`) !== run;
      if (!isOther || own === undefined || own.endT > event.t + 15_000 === false) continue;
      const wasThere = own.pauses.every(
        (pause) => pause.to < event.t || pause.from > event.t + 15_000,
      );
      const isCalm = !events.some(
        (one) =>
          one.kind === 'fault' &&
          one.fault === 'store' &&
          one.untilT > event.t - 1_000 &&
          one.t < event.t + 15_000,
      );
      if (wasThere && isCalm) {
        found.push(
          violation(
            'I5',
            event.t + 15_000,
            `${own.name} (${run}) lives 15 s after another took its name`,
          ),
        );
      }
    }
  }
  return found;
}
