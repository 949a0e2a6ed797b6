// The cluster as the node that answers sees it, for operators: who is a member, who owns how much, who did not answer.
// Own route. A node alone answers as a cluster of one.
import { ok } from '../answer.ts';
import {
  array,
  flag,
  object,
  text,
  textOrNull,
  texts,
  whole,
  wholeOrNull,
} from '../json-schema.ts';
import type { Route } from '../route.ts';
import { read } from './define.ts';

const member = object({
  node: text,
  incarnation: text,
  address: text,
  zone: text,
  weight: whole,
  state: text,
  is_self: flag,
  seen: text,
  silence_ms: wholeOrNull,
  mode: textOrNull,
  shards_mapped: whole,
  shards_held: wholeOrNull,
  actors: wholeOrNull,
  view_version: wholeOrNull,
});

export const clusterRoutes: readonly Route[] = [
  {
    ...read({
      path: '',
      id: 'getCluster',
      tag: 'operator',
      summary: 'Members of the cluster, what each holds, and who did not answer',
      role: 'operator',
      returns: object({
        cluster: textOrNull,
        answered_by: text,
        mode: text,
        view_version: whole,
        members: array(member),
        unreachable: texts,
      }),
      handle: async (call) => ok(await call.ports.cluster()),
    }),
    path: '/v1.0/operator/cluster',
    tenant: 'none',
    role: 'operator',
    own: true,
  },
];
