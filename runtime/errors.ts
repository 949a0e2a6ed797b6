// The error class of the project and the table of the runtime's own codes (RT_*).
// Every code of every folder stands in docs/errors.md; test/errors.test.ts compares both ways.

/** What a table of error codes says of one code. */
export interface ErrorEntry {
  /** One sentence: what it means. */
  readonly meaning: string;
  /** True: the same call may succeed later. */
  readonly retryable: boolean;
  /** HTTP status where the code reaches an API client. */
  readonly httpStatus: number;
}

/** An operating error with a stable code. `retryable` says whether the same call may succeed later. */
export class TocsinError extends Error {
  override readonly name = 'TocsinError';
  readonly code: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    options: {
      retryable?: boolean;
      details?: Readonly<Record<string, unknown>>;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.details = options.details ?? {};
  }
}

export const runtimeErrors = {
  RT_BAD_KEY: {
    meaning: 'A text is not a valid key, shard, epoch or node name.',
    retryable: false,
    httpStatus: 404,
  },
  RT_MAILBOX_FULL: {
    meaning: 'The actor has more messages waiting than its mailbox holds.',
    retryable: true,
    httpStatus: 503,
  },
  RT_DEADLINE: {
    meaning: 'The actor did not answer before the deadline of the question.',
    retryable: true,
    httpStatus: 503,
  },
  RT_NOT_OWNER: {
    meaning: 'This node does not own the actor, or lost it while the question was under way.',
    retryable: true,
    httpStatus: 503,
  },
  RT_NOT_READY: {
    meaning: 'The node is still loading, or is stopping.',
    retryable: true,
    httpStatus: 503,
  },
  RT_QUARANTINED: {
    meaning: 'The actor failed repeatedly and is paused until an operator releases it.',
    retryable: false,
    httpStatus: 503,
  },
  RT_STEP_FAILED: {
    meaning: 'The actor failed on this message and was restarted from its last state.',
    retryable: false,
    httpStatus: 500,
  },
  RT_COMMIT_FAILED: {
    meaning: 'The store did not accept or answer the commit of this change.',
    retryable: true,
    httpStatus: 503,
  },
  RT_DECODE: {
    meaning: 'Bytes from a store or a peer are not a valid record.',
    retryable: false,
    httpStatus: 500,
  },
  RT_QUEUE_FULL: {
    meaning: 'A bounded queue of the node is full; the work was refused and counted.',
    retryable: true,
    httpStatus: 503,
  },
  RT_STAGE_DEADLINE: {
    meaning: 'A start or stop stage did not end before its deadline.',
    retryable: false,
    httpStatus: 500,
  },
} as const satisfies Record<string, ErrorEntry>;
