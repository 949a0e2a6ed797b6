// Every bound of ownership, group commit and outbox with its arithmetic (clustering.md §22 where it names one).
// Must not know monitoring.

/** One conditional batch: it must fit a Paxos proposal, so 64 KB; 256 rows are 250 B each. */
export const batchLimits = {
  rows: 256,
  bytes: 65_536,
  /** One commit call alone may be larger than a batch, up to this: an actor's rows are never torn apart. */
  bytesMax: 1_048_576,
  /** Rows waiting for one shard: 64 batches, a second at 16 ms each. Above it a commit is refused. */
  waitingRows: 16_384,
} as const;

/** How long the pipe waits, and how it tries again. */
export const pipeLimits = {
  /** No answer within this is an unknown outcome, ms. */
  answerMs: 5_000,
  /** Nothing happened (ST_UNAVAILABLE) for this long in a row: what waits is refused, ms. */
  unavailableMs: 10_000,
  retryMinMs: 20,
  retryMaxMs: 1_000,
} as const;

export const projectionLimits = {
  /** A commit waits so long for its projections, then is acknowledged anyway and counted. */
  awaitedMs: 2_000,
  retryMinMs: 100,
  retryMaxMs: 5_000,
} as const;

export const watermarkLimits = {
  /** CONFIG rows stay so long in the tail: a retried request finds its outcome there. */
  configKeepMs: 600_000,
  /** Trim after so many rows, or after this long where anything can be trimmed. */
  trimRows: 1_000,
  trimEveryMs: 3_600_000,
  /** The snap mark is written alone when it leads by so many rows, or for this long. */
  snapRows: 100,
  snapEveryMs: 60_000,
  /** An actor whose rows hold `snap` back for longer is written at the next round. */
  heldBackMs: 90_000,
  /** Round of this upkeep. */
  upkeepEveryMs: 10_000,
} as const;

export const softStateLimits = {
  urgentMs: 250,
  /** Others: between half of this and this, jittered. */
  calmMs: 60_000,
  /** Calm ones are looked through so often: 100,000 entries are 2 ms. */
  roundMs: 1_000,
  /** A state that cannot be read this often in a row (0.5, 1, 2, 4 s apart) is left until it changes or holds `snap` back. */
  nulls: 5,
  /** One write: 200 rows of about 1 KB. */
  rows: 200,
  bytes: 262_144,
  /** Writes of this node under way. */
  concurrency: 64,
  retryMinMs: 500,
  retryMaxMs: 30_000,
  /** Rounds of the flush at stop. */
  stopTries: 5,
} as const;

export const tickLimits = {
  everyMs: 1_000,
  rows: 500,
  /** 100,000 rows of about 300 B are 30 MB: 20 s of 5,000 runs a second while the store is away. */
  waitingRows: 100_000,
  retryMinMs: 100,
  retryMaxMs: 5_000,
  /** Ticks older than this are not kept by the store. */
  lastNotBeforeMs: 6 * 3_600_000,
} as const;

/** 1024 shards at 5 requests each; 64 under way keep an embedded store's thread busy and 64 MB bound the rows in flight. */
export const loadLimits = {
  concurrency: 64,
  claimTries: 8,
  /** One request of claim or load, tries included. */
  patienceMs: 30_000,
  retryMinMs: 20,
  retryMaxMs: 1_000,
  /** A shard whose log was trimmed while it was read is read again. */
  reloads: 5,
  /** Actors handed over before the event loop gets a turn: 100 × 20 µs = 2 ms. */
  handOverSlice: 100,
} as const;

export const outboxLimits = {
  /** Attempts under way to one receiver; to one whose last attempt failed. */
  perReceiver: 4,
  perFailingReceiver: 2,
  /** Attempts under way to receivers that answer. */
  swift: 64,
  /** Attempts under way to receivers that fail or take longer than `slowMs`: they never use up `swift`. */
  slow: 64,
  slowMs: 1_000,
  /** Both together: 64 new slow ones a second until they are known as slow. */
  total: 512,
  /** Receivers remembered as failing. */
  receivers: 20_000,
  /** An attempt is aborted after this; a notifier that does not return within the grace counts as failed. */
  attemptMs: 30_000,
  abortGraceMs: 2_000,
  /** An intent not delivered within this becomes a DEFERRED row. */
  firstWindowMs: 30_000,
  /** An end that must be committed holds its line at most this long. */
  recordedMs: 2_000,
  /** Lines whose last delivery may be unmarked; above it those that are marked by now are forgotten. */
  unmarked: 2_000,
  /** The mark is written this long after an end, or after so many ends. */
  markMs: 100,
  markEnds: 100,
  /** Beyond this an intent is undeliverable whatever the retry schedule says. */
  giveUpMs: 72 * 3_600_000,
  /** A receiver may ask for a pause up to this. */
  retryAfterMaxMs: 3_600_000,
  /** Pause while the lease does not allow sending, and between tries of a commit of the outbox. */
  leaseRetryMs: 500,
  commitRetryMinMs: 500,
  commitRetryMaxMs: 30_000,
} as const;

/** Attempts waiting to be written to the notification history: 10,000 × 1 KB. The oldest are dropped and counted. */
export const attemptLogLimits = {
  rows: 10_000,
  batch: 200,
  retryMinMs: 100,
  retryMaxMs: 5_000,
} as const;

/** Live streams of this node; each is one HTTP connection. */
export const eventBusLimits = { listeners: 10_000 } as const;
