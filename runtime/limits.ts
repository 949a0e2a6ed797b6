// Every bound of the runtime with its arithmetic. One place, so that the worst case of a node can be added up.
// When a bound is hit the refused work is counted (docs name the counter) and, where somebody waits, answered with a code.

/**
 * Mailboxes. The user lane holds what people and other tenants cause: 256 messages of about 200 B are 50 kB, and at 3 µs
 * a step they wait less than 1 ms. The system lane holds timers, probe answers and what other actors send: an entity of
 * 200 checks in 5 zones has at most 200 × 5 answers, 200 slot timers and 1000 deadlines under way, so 4096 is ample.
 */
export const mailboxLimits = {
  userMessages: 256,
  systemMessages: 4096,
  /** Of this many system messages in a row one gives way to a waiting user message. */
  systemStreak: 8,
} as const;

/** One actor's turn: then the next one's. 64 steps of 3–20 µs are 0.2–1.3 ms; 5 ms keeps a 10 ms wheel tick in reach. */
export const turnLimits = { messages: 64, ms: 5 } as const;

/** Steps whose replies and sends wait for a commit; above it the actor stops stepping until one is acknowledged. */
export const activationLimits = {
  /** Commits asked for and not yet acknowledged: at 20 ms a batch, 64 are over a second of decisions of one actor. */
  commitsPending: 64,
  /** Actors in memory: 500,000 × 2 kB is 1 GB, more than one process should hold. More are refused (`RT_QUEUE_FULL`). */
  activations: 500_000,
  /** Replies and sends that wait; each is a closure of about 100 B and its payload. */
  held: 1024,
} as const;

export const askLimits = {
  timeoutMs: 5_000,
  /** Longest wait of an ask. */
  timeoutMsMax: 120_000,
  /** Asks of this node without an answer: 5,000/s × 5 s default timeout = 25,000 when nobody answers; twice that. */
  pending: 50_000,
  /** Pause between tries while the owner is unknown or loading: doubles from 10 to 200 ms. */
  retryMinMs: 10,
  retryMaxMs: 200,
  /** An ask of another node that is not answered is sent again after this, doubled each time: frames travel at most once. */
  resendMs: 500,
} as const;

/** Answered asks kept so that a retry is not executed again. 30 s × 500 writes/s = 15,000; queries have no own id. */
export const dedupLimits = { entries: 16_384, keepMs: 30_000 } as const;

/**
 * Codec. 1 MiB: the largest single value is a debug body of 512 KiB, twice that. Depth 32: the deepest document (plan with
 * per-channel details) has 8 levels. Arrays 100,000: a back-test's slots, 30 days at 30 s being 86,400.
 */
export const codecLimits = { bytes: 1_048_576, depth: 32, length: 100_000 } as const;

/** Back-off 0.2 → 30 s; more than 5 restarts within a minute is quarantine. */
export const supervisionLimits = {
  backOffMinMs: 200,
  backOffMaxMs: 30_000,
  restarts: 5,
  windowMs: 60_000,
} as const;

/** The wheel: 10 ms × 512 = 5.12 s, × 512 = 43.7 min, 15.5 days, 21.8 years, 11,000 years. */
export const wheelLimits = {
  tickMs: 10,
  slots: 512,
  levels: 5,
  /**
   * A node's wheel turns at multiples of this: at 100 checks a second two share a wake, a frame to the prober and warm
   * caches (a fifth less CPU at both), at 500 ten. Divides every period, so a check is always as late.
   */
  gatherMs: 20,
  /** A turn later than this is a pause of the process. */
  pauseMs: 300,
  /** Timers fired in one go; then the event loop has a turn. 4096 × 0.5 µs = 2 ms. */
  firesPerTurn: 4_096,
  /** A timer whose message finds the system lane full comes again after this. */
  retryMs: 100,
} as const;

/** Tenant documents of a node: 20,000 tenants × about 5 kB = 100 MB at the very most. The oldest read leave first. */
export const documentsLimits = { tenants: 20_000 } as const;

/** Worker pool: a full queue refuses (`RT_QUEUE_FULL`). 256 tasks × up to 1 MiB. */
export const workerLimits = {
  queue: 256,
  idleTimeoutMs: 60_000,
  /** Heap of one worker: criteria batches need < 32 MB; a runaway ends at this. */
  oldGenerationMb: 128,
  youngGenerationMb: 16,
  stackMb: 4,
} as const;

/** Default of a lifecycle stage where it names none. */
export const stageLimits = { startMs: 30_000, stopMs: 10_000 } as const;

/** Different `label` values of one counter: kinds and codes are few; more are counted as `other`. */
export const meterLimits = {
  labels: 64,
  /** The delay of the event loop is sampled this often: each sample wakes the process (100 a second by default). */
  loopSampleMs: 250,
} as const;
