// Error codes of the cluster folder (CL_*). Most refusals that an actor sees are the runtime's own codes (RT_NOT_OWNER,
// RT_COMMIT_FAILED); these name what an operator reads when a node cannot take or keep its shards.
import type { ErrorEntry } from '../runtime/errors.ts';

export const clusterErrors = {
  CL_CLAIM_REFUSED: {
    meaning: 'A shard is owned by another node that this one may not claim from.',
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
} as const satisfies Record<string, ErrorEntry>;
