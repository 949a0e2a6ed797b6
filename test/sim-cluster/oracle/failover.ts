// How soon, and what is left: C6, C11, C3 for copies, I4 and I6 with their bounds. Written against clustering.md §2, §21.3 and
// reliability.md §3.1, §5.
import type { Violation } from '../../sim/oracle/facts.ts';
import type { ClusterEvent, Of } from '../trace.ts';
import { type ClusterFacts, type FaultSpan, violation } from './facts.ts';

/** C11: shards of a node that died or hangs are owned again within 3 s, where nothing else is wrong. */
export function ownedAgain(facts: ClusterFacts): Violation[] {
  const found: Violation[] = [];
  for (const fault of facts.faults) {
    const isDeath = fault.kind === 'end' && fault.what.endsWith(' crash');
    const isHang = fault.kind === 'pause' && fault.to - fault.from > 3_500;
    if (!isDeath && !isHang) continue;
    const [name = ''] = fault.what.split(' ');
    const dueT = fault.from + 3_000;
    if (!isLone(facts, fault, dueT)) continue;
    const orphans = shardsOf(facts, name, fault.from);
    const left = orphans.filter(({ shard, epoch }) => !isTaken(facts, { shard, epoch, dueT }));
    if (left.length === 0) continue;
    const text = `${name}: ${left.length} of ${orphans.length} shards were not owned 3 s after its ${fault.kind}, e.g. ${left[0]?.shard}`;
    found.push(violation('C11', dueT, text));
  }
  return found;
}

/** Nothing else is wrong from a while before until `dueT`; at least three members, and all of them live. */
function isLone(facts: ClusterFacts, fault: FaultSpan, dueT: number): boolean {
  const view = facts.viewAt(fault.from);
  const [name] = fault.what.split(' ');
  const isThere = view?.members.some((one) => one.node === name && one.weight > 0) === true;
  const others = view?.members.filter((one) => one.node !== name) ?? [];
  if (!isThere || others.length < 2 || others.every((one) => one.weight === 0)) return false;
  const living = [...facts.runs.values()].filter(
    (run) => run.readyT < fault.from - 5_000 && run.endT > dueT,
  );
  const isWell = others.every(({ node }) => living.some((run) => run.name === node));
  return isWell && !facts.isDisturbed(fault.from - 4_000, dueT, (one) => isSame(one, fault));
}

function isSame(one: FaultSpan, fault: FaultSpan): boolean {
  if (one.kind === 'receiver') return true;
  return one === fault || (one.kind === 'start' && one.to < fault.from - 4_000);
}

function shardsOf(
  { events }: ClusterFacts,
  name: string,
  t: number,
): { shard: number; epoch: number }[] {
  const owners = new Map<number, { owner: string; epoch: number }>();
  for (const event of events) {
    if (event.t > t) break;
    if (event.kind === 'claim' && event.applied) owners.set(event.shard, event);
  }
  return [...owners].flatMap(([shard, { owner, epoch }]) =>
    owner.startsWith(`${name}/`) ? [{ shard, epoch }] : [],
  );
}

function isTaken(
  { events }: ClusterFacts,
  of: { readonly shard: number; readonly epoch: number; readonly dueT: number },
): boolean {
  return events.some(
    (event) =>
      event.kind === 'claim' &&
      event.applied &&
      event.shard === of.shard &&
      event.epoch > of.epoch &&
      event.t <= of.dueT,
  );
}

/** C6: after quiescence one owner per shard, which the head row names and which knows it; views are equal; the load is bounded. */
export function oneOwner({ events, ground, runs }: ClusterFacts): Violation[] {
  if (ground.mode !== 'liveness') return [];
  const end = events.find(
    (one): one is Of<'heads'> & ClusterEvent => one.kind === 'heads' && one.when === 'end',
  );
  if (end === undefined) return [];
  const holds = events.filter(
    (one): one is Of<'holds'> & ClusterEvent => one.kind === 'holds' && one.when === 'end',
  );
  const found: Violation[] = [];
  const wrong = (text: string): void => {
    found.push(violation('C6', end.t, text));
  };
  for (const { name } of ground.nodes) {
    if (!end.members.some((one) => one.node === name)) wrong(`${name} is not in the view`);
    if (!holds.some((one) => runs.get(one.run)?.name === name)) wrong(`${name} is not ready`);
  }
  for (const one of holds) {
    if (one.version !== end.version)
      wrong(`${runs.get(one.run)?.name} follows view ${one.version}, there is ${end.version}`);
  }
  const holders = new Map<number, string[]>();
  for (const one of holds) {
    for (const [shard, epoch] of one.held) {
      const name = `${runs.get(one.run)?.name}/${one.incarnation} in ${epoch}`;
      holders.set(shard, [...(holders.get(shard) ?? []), name]);
    }
  }
  const bad = end.heads.flatMap(([owner, epoch], shard) => {
    const names = holders.get(shard) ?? [];
    const isRight = names.length === 1 && names[0] === `${owner} in ${epoch}`;
    return isRight
      ? []
      : [`shard ${shard} is ${owner} in ${epoch}, held by ${names.join(', ') || 'nobody'}`];
  });
  if (bad.length > 0) wrong(`${bad.length} shards, e.g. ${bad[0]}`);
  const isMoving = events.some(
    (one) => one.kind === 'handoff' && one.t > end.t - 6_000 && one.t < end.t,
  );
  if (!isMoving) found.push(...boundedLoad(end, holds, runs));
  return found;
}

function boundedLoad(
  end: Of<'heads'> & ClusterEvent,
  holds: readonly (Of<'holds'> & ClusterEvent)[],
  runs: ClusterFacts['runs'],
): Violation[] {
  const weights = end.members.map((one) => one.weight);
  const heavy = weights.filter((weight) => weight > 0).length;
  const isEqual = heavy * 2 < weights.length;
  const total = isEqual ? weights.length : weights.reduce((sum, weight) => sum + weight, 0);
  return holds.flatMap((one) => {
    const name = runs.get(one.run)?.name;
    const own = end.members.find((member) => member.node === name)?.weight ?? 0;
    const cap = Math.ceil((1.1 * 1_024 * (isEqual ? 1 : own)) / total);
    if (one.held.length <= cap) return [];
    return [
      violation(
        'C6',
        end.t,
        `${name} holds ${one.held.length} shards, at most ${cap} are its share`,
      ),
    ];
  });
}

/** C3: after quiescence all copies of a tenant's documents are equal. */
export function equalCopies({ events, ground }: ClusterFacts): Violation[] {
  if (ground.mode !== 'liveness') return [];
  const revs = new Map<string, Set<number>>();
  let t = 0;
  for (const event of events) {
    if (event.kind !== 'holds' || event.when !== 'end') continue;
    t = event.t;
    for (const [tenant, rev] of Object.entries(event.copies)) {
      if (rev >= 0) revs.set(tenant, (revs.get(tenant) ?? new Set()).add(rev));
    }
  }
  return [...revs]
    .filter(([, seen]) => seen.size > 1)
    .map(([tenant, seen]) =>
      violation('C3', t, `copies of ${tenant} have revs ${[...seen].join(' ')}`),
    );
}
