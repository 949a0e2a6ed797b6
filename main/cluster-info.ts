// The cluster's status as the API shows it, from what this node knows and what the members answered. Pure.
import type { ClusterInfo, MemberInfo } from '../api/ports.ts';
import type { MembershipStatus } from '../cluster/membership.ts';
import { placementOf } from '../cluster/placement.ts';
import type { PulseReport } from '../cluster/pulse.ts';

/** What a member says of itself when it is asked. */
export interface NodeAnswer {
  readonly mode: string;
  readonly shardsHeld: number;
  readonly actors: number;
  readonly viewVersion: number;
}

/** Returns the status; `answers` holds those who answered, this node among them. */
export function clusterInfo(of: {
  readonly cluster: string;
  readonly node: string;
  readonly status: MembershipStatus;
  readonly report: PulseReport;
  readonly answers: ReadonlyMap<string, NodeAnswer>;
}): ClusterInfo {
  const { cluster, node, status, report, answers } = of;
  const { view } = status;
  const mapped = new Map<string, number>();
  for (const to of placementOf(view)) if (to !== null) mapped.set(to, (mapped.get(to) ?? 0) + 1);
  const members = [...view.members].map(([name, member]): MemberInfo => {
    const { incarnation, address, zone, weight, state } = member;
    const isSelf = name === node;
    const heard = report.statuses.find((one) => one.node === name);
    const answer = answers.get(name);
    return {
      ...{ node: name, incarnation, address, zone, weight, state },
      is_self: isSelf,
      seen: isSelf ? 'self' : (heard?.state ?? 'unknown'),
      silence_ms: isSelf ? 0 : heard === undefined ? null : Math.round(heard.silenceMs),
      mode: answer?.mode ?? null,
      shards_mapped: mapped.get(name) ?? 0,
      shards_held: answer?.shardsHeld ?? null,
      actors: answer?.actors ?? null,
      view_version: answer?.viewVersion ?? null,
    };
  });
  return {
    cluster,
    answered_by: node,
    mode: status.mode.mode,
    view_version: view.version,
    members,
    unreachable: members.filter(({ node: name }) => !answers.has(name)).map((one) => one.node),
  };
}
