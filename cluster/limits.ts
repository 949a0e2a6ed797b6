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
  /** So long the newest ticks are asked for again where the store does not answer. */
  lastPatienceMs: 30_000,
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

/** Taking over shards as the view maps them (clustering.md §7, §22). */
export const takeLimits = {
  /** At 16 a claim storm is bound by latency, above 128 nothing is gained. */
  claims: 128,
  loads: 64,
  /** Rows read and not yet handed to their actors; what is under way may pass it by one page each. */
  bytes: 64 * 1_048_576,
  /** A shard whose take-over failed is tried again after this. */
  retryMinMs: 100,
  retryMaxMs: 5_000,
  /** Held and mapped are compared: those that differ so often, the others so many each second in turn. */
  settleEveryMs: 5_000,
  looks: 32,
  lookEveryMs: 1_000,
} as const;

/** Copies of tenants' documents (clustering.md §15.6): 2,000 tenants are read again by 16 lanes of 5 ms in 0.6 s. */
export const copyLimits = {
  rereadMs: 30_000,
  reads: 16,
  /** A copy that the API asked for is kept so long after the last request. */
  askedKeepMs: 600_000,
} as const;

/** Planned hand-off (clustering.md §11, §22). */
export const handOffLimits = {
  /** What should move is looked for so often; while draining more often. */
  everyMs: 500,
  drainLookMs: 50,
  windowMs: 5_000,
  prepareMs: 10_000,
  /** Commits in flight are settled and projected within this, or the move is given up. */
  settleMs: 2_000,
  /** Without a report for so long the head row is read. */
  reportMs: 2_000,
  /** What was read for a move is kept so long, for at most so many shards: 256 × 2.4 MB at 1,000 entities each. */
  standbyMs: 15_000,
  standby: 256,
  /** Soft states in the final message: it must fit 1 MiB. */
  softCharacters: 600_000,
  retryMinMs: 50,
  retryMaxMs: 1_000,
  /** A drain ends after this, whatever is left: below the 30 s that an orchestrator waits. */
  drainMs: 25_000,
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
  /** A stop waits at most this long for ends that are being committed. */
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

/** Live streams of this node, each one HTTP connection, and the rows that members send each other for them. */
export const eventBusLimits = {
  listeners: 10_000,
  /** Rows wait so long for others; above the bounds of one batch they are dropped: a stream reads them later. */
  gatherMs: 10,
  batchRows: 512,
  batchBytes: 512 * 1024,
  /** Tenants that one node names; with more it hears all. */
  tenants: 1_000,
  sayEveryMs: 2_000,
  keepMs: 10_000,
} as const;

/** The view's row: 128 members of 150 B, 512 overrides and 256 names of the dead are about 50 KB. */
/** Reading and changing the view: an answer that is later than the lease is long helps nobody. */
export const viewAccessLimits = {
  answerMs: 1_400,
  tries: 12,
  retryMinMs: 20,
  retryMaxMs: 300,
} as const;

/** Actors that stopped a node (clustering.md §14): kept so long, for at most so many. */
export const culpritLimits = { keepMs: 600_000, lookMs: 500, keys: 1_000 } as const;

/** How often a member looks at the store (clustering.md §6, §8, §22). */
export const membershipLimits = {
  refreshMs: 5_000,
  beatMs: 1_000,
  readBeatsMs: 500,
  /** Reads of the view while the lease wants them. */
  confirmMs: 500,
  /** Round of mode and declarations. */
  roundMs: 100,
  /** The main loop's clocks are heard so long before a join. */
  hearMs: 600,
  /** A node whose wall clock differs from a member's by more may not join; warned above the second. */
  joinSkewMs: 5_000,
  warnSkewMs: 250,
  /** A fenced node asks so often whether it may join again. */
  rejoinMs: 500,
} as const;

export const viewLimits = {
  /** About 100 nodes is the largest cluster that 1024 shards serve well. */
  members: 128,
  overrides: 512,
  weight: 16,
  /** So many deaths of one name within `deathKeepMs`: it joins with weight 0. */
  deathsToDamp: 3,
  deathKeepMs: 600_000,
  /** Names of the dead that are remembered; the oldest are forgotten. */
  deathNames: 256,
} as const;

/** Dialling and keeping connections to NATS servers (clustering.md §6, §18.3, §22). */
export const natsLimits = {
  /** The raw probe waits so long for INFO; with TLS first for the handshake. A hung server costs no more than this. */
  probeMs: 250,
  probeTlsMs: 1_000,
  /** Connect after the probe: TCP, TLS, PONG. */
  dialMs: 250,
  dialTlsMs: 500,
  controlDialMs: 1_000,
  pingIntervalMs: 500,
  pingsOut: 2,
  /** Pause before the next dial, to twice this. */
  redialMinMs: 50,
  /** Pause after a refusal: a wrong password does not mend itself in 50 ms. */
  refusedPauseMs: 5_000,
  /** A ping over one relay. */
  pingTimeoutMs: 150,
  /** Pings of this node under way over one relay: 128 members, one every 50 ms, 150 ms each. */
  pings: 512,
  /** The data connection hears itself this often, and is given up when it has not for so long. */
  echoEveryMs: 150,
  echoSilentMs: 600,
  /** A control connection that has not heard itself for so long is made anew. */
  controlSilentMs: 3_000,
} as const;

/** Frames between nodes (clustering.md §13, §14, §22). */
export const frameLimits = {
  messages: 64,
  bytes: 65_536,
  /** What does not fill a frame leaves after this; so many frames within it leave at the end of their turn. */
  lingerMs: 2,
  promptFrames: 4,
  /** Sent and not yet known as received, per link. */
  creditMessages: 1_024,
  creditBytes: 8 * 1_048_576,
  /** The receiver tells what it got after so much, where nothing else goes back. */
  ackMessages: 256,
  ackBytes: 2 * 1_048_576,
  /** A sender without credit asks for it this often: what it sent may be lost. */
  askCreditMs: 200,
  /** Waiting for credit or connection, per link: four windows. Above it a message is refused. */
  queueMessages: 4_096,
  queueBytes: 16 * 1_048_576,
  /** What waited longer is dropped: who asked has asked again, or given up. */
  queueMs: 2_000,
  /** A message above this travels in parts: 1 MiB is the largest frame of a server by default. */
  partBytes: 262_144,
  /** Largest frame: a part alone with its header, rounded up. A server's `max_payload` must be at least this. */
  frameBytesMax: 264_000,
  /** One message: the codec's bound and the room of its envelope. */
  messageBytes: 1_048_576 + 1_024,
  /** Peers known at a time: 128 members, and as many incarnations that ended. */
  peers: 256,
} as const;

/** Moves of shards between living nodes (clustering.md §5, §11). */
export const moveLimits = {
  /** Cap of a node: 11/10 of its weighted fair share, rounded up; integers, so that all nodes compute the same map. */
  capTenths: 11,
  /** A rebalance moves at most 5 % of the shards per 5 s, divided among the nodes that have to give. */
  perWindow: 51,
  windowMs: 5_000,
  /** A member gets shards of living nodes once it has been up so long. */
  upMs: 30_000,
  /** Rebalance moves in flight for one pair of nodes: 1 per so many shards that the giver holds. */
  shardsPerPairMove: 64,
  /** Moves in flight of a node that must give all: 341 shards of 1.5 s each in 25 s need 21. */
  drainInFlight: 64,
} as const;

/** The detector's constants, all from the lab (clustering.md §6); change none alone. */
export const detectorLimits = {
  heartbeatMs: 200,
  tickMs: 50,
  probeAfterMs: 300,
  pingTimeoutMs: 150,
  /** Vote *gone*: this silence, and on every passing relay two 503s this far apart. */
  goneSilenceMs: 500,
  noRespondersApartMs: 150,
  /** Vote *hung*; where one relay stands for several servers. */
  hungSilenceMs: 1_800,
  hungStickyMs: 2_500,
  /** Age of the main loop's tick: others stop routing; vote *stuck*. */
  grayTickMs: 2_000,
  stuckTickMs: 5_000,
  /** A relay passes while an own heartbeat sent within this came back over it. */
  passingMs: 500,
  youngMs: 1_000,
  /** The own thread lagged by more: it accuses nobody for `vetoMs`; by `leaseLagMs`: the lease is dropped. */
  lagMs: 300,
  vetoMs: 1_000,
  leaseLagMs: 1_500,
  /** Wall and monotonic clock moved apart by more between two ticks: the machine slept. */
  suspendMs: 1_000,
  /** Votes of others count while the voter's last heartbeat is younger. */
  voterMs: 1_000,
  /** Nodes outside the view that are remembered (joining, removed); the one heard longest ago is forgotten. */
  strangers: 64,
  strangerMs: 5_000,
  /** Own heartbeats whose echo and acknowledgements are awaited: 64 × 200 ms is far above the lease. */
  sentKept: 64,
} as const;

/** One heartbeat: 128 members of 40 B in five lists at worst; on a small cluster about 200 B. */
export const heartbeatLimits = {
  bytes: 65_536,
  entries: 128,
  hotShards: 16,
} as const;

/** The own lease (clustering.md §8). */
export const leaseLimits = {
  /** From the start of a confirmation; also how long an attempt to confirm may take. */
  lengthMs: 1_400,
  /** What is left of it once no relay passes. */
  blindMs: 400,
  /** The view is read so often while acknowledgements are missing (the caller adds jitter). */
  readEveryMs: 500,
  /** Missing: the newest one that counts is of a heartbeat older than this (two heartbeats and as much again as slack). */
  acksMissingMs: 700,
  /** Acknowledgements confirm nothing while the main loop's tick is older. */
  tickAgeMs: 1_400,
} as const;

/** Beats in the store, the second channel (clustering.md §6). */
export const beatLimits = {
  writeEveryMs: 1_000,
  readEveryMs: 500,
  /** Stalled: the same value in so many reads over so long, while the own beat moved so often. */
  reads: 5,
  spreadMs: 2_500,
  ownMoves: 2,
  /** The own beat stood still for longer, or no read came for longer: the store was away, all is counted anew. */
  outageMs: 2_500,
} as const;

/** Who writes a death into the view: the i-th voter after i steps. */
export const declareLimits = { stepMs: 150 } as const;

/** Modes of a node (clustering.md §8). */
export const modeLimits = {
  storeSilentMs: 5_000,
  /** STORE-CUT: after this, what was not handed over is paged unfenced. */
  cutPagesAfterMs: 15_000,
} as const;

/** The heartbeat's thread and what it shares with the main loop (clustering.md §6, §14). */
export const pulseLimits = {
  /** The main loop says this often that it runs. */
  mainTickMs: 50,
  reportEveryMs: 100,
  /** The main loop stood still for so long while the thread ran: its process is ended. */
  stuckMs: 5_000,
  /** So many last heartbeats name the culprit, one per tick of the detector. */
  lastBeats: 3,
  /** The thread ended by a fault: it is started again after this. */
  restartMs: 500,
  /** A thread that does not end by itself within this is terminated. */
  stopMs: 2_000,
  /** Bytes of the key that the main loop is at work on: an actor key is at most 400. */
  keyBytes: 512,
} as const;
