// Error codes of the cluster folder (CL_*). Most refusals that an actor sees are the runtime's own codes (RT_NOT_OWNER,
// RT_COMMIT_FAILED); these name what an operator reads when a node cannot take or keep its shards.
import type { ErrorEntry } from '../runtime/errors.ts';

export const clusterErrors = {
  CL_CLAIM_REFUSED: {
    meaning: 'A shard is owned by another node that this one may not claim from.',
    retryable: true,
    httpStatus: 503,
  },
  CL_VIEW_STALE: {
    meaning: 'A shard was claimed under a newer view than this node knows.',
    retryable: true,
    httpStatus: 503,
  },
  CL_CLAIM_FAILED: {
    meaning: 'The store did not answer the claim of a shard in time.',
    retryable: true,
    httpStatus: 503,
  },
  CL_LOAD_FAILED: {
    meaning: 'The rows of a shard could not be read or decoded.',
    retryable: true,
    httpStatus: 503,
  },
  CL_TIMESTAMPS_SPENT: {
    meaning: 'An epoch has used all of its 2^32 write timestamps; the shard must be claimed anew.',
    retryable: false,
    httpStatus: 503,
  },
  CL_STARTED_TWICE: {
    meaning: 'The shards of this process were started a second time.',
    retryable: false,
    httpStatus: 500,
  },
  CL_VIEW_DAMAGED: {
    meaning: 'The stored view of the cluster cannot be read.',
    retryable: false,
    httpStatus: 500,
  },
  CL_VIEW_FULL: {
    meaning: 'The view holds as many members or pinned shards as it may.',
    retryable: false,
    httpStatus: 503,
  },
  CL_HASH_MISMATCH: {
    meaning: 'The cluster maps keys to shards by another hash than this program.',
    retryable: false,
    httpStatus: 500,
  },
  CL_SHARDS_MISMATCH: {
    meaning: 'The cluster has another number of shards than this program.',
    retryable: false,
    httpStatus: 500,
  },
  CL_SERIAL_MISMATCH: {
    meaning: 'The cluster and this node are set to different serial consistencies.',
    retryable: false,
    httpStatus: 500,
  },
  CL_PROTOCOL_MISMATCH: {
    meaning: 'This program does not speak the protocol that the cluster uses.',
    retryable: false,
    httpStatus: 500,
  },
  CL_BAD_NAME: {
    meaning: 'A cluster, node, zone or server has a name that cannot be part of a subject.',
    retryable: false,
    httpStatus: 500,
  },
  CL_NATS_UNREACHABLE: {
    meaning: 'A NATS server does not answer.',
    retryable: true,
    httpStatus: 503,
  },
  CL_NATS_REFUSED: {
    meaning: 'A NATS server refuses this node: wrong name, password or certificate.',
    retryable: false,
    httpStatus: 503,
  },
  CL_FRAME: {
    meaning: 'Bytes from a peer are no frame of this protocol.',
    retryable: false,
    httpStatus: 500,
  },
  CL_MESSAGE_TOO_BIG: {
    meaning: 'A message to another node is larger than a link carries.',
    retryable: false,
    httpStatus: 500,
  },
  CL_VIEW_UNCHANGED: {
    meaning: 'The store did not take a change of the cluster view in time.',
    retryable: true,
    httpStatus: 503,
  },
  CL_CLOCK_SKEW: {
    meaning: "This node's wall clock differs too much from a member's.",
    retryable: false,
    httpStatus: 500,
  },
  CL_NAME_TAKEN: {
    meaning: 'Another process joined under the name of this node.',
    retryable: false,
    httpStatus: 500,
  },
  CL_BAD_HEARTBEAT: {
    meaning: 'A heartbeat of another node cannot be read.',
    retryable: false,
    httpStatus: 500,
  },
} as const satisfies Record<string, ErrorEntry>;
