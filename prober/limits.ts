// Every bound of the prober in one place, with its arithmetic. Nothing here is configurable by tenants.
// Sources: reliability.md F24–F26, security.md §2 and §4, api.md §10.1.

/** Attempts at once. 2000 sockets of ~10 KB are 20 MB; a target that is down holds one for its timeout. */
export const attemptsMax = 2000;
/** Requests waiting for an attempt; a refused one is answered `overloaded` at once. 10,000 × ~1 KB = 10 MB. */
export const queueLengthMax = 10_000;
/** The asker gives up 1000 ms after the timeout; 250 ms of that are left for the way back. */
export const queueGraceMs = 750;
/** Beyond the total deadline a probe has this long to clean up; then its answer is made for it (I9: 250 ms). */
export const cleanupGraceMs = 120;
/** A total deadline is never longer than the longest timeout of the API. */
export const timeoutMaxMs = 1_800_000;

/** Phases end before the total deadline where these are shorter. */
export const dnsTimeoutMs = 10_000;
export const connectTimeoutMs = 30_000;
export const tlsTimeoutMs = 30_000;
/** Addresses of one name that are tried for a notification; a probe tries exactly one. */
export const dialAddressesMax = 3;
/** Names with more addresses than this are refused: all of them must be validated. */
export const resolvedAddressesMax = 64;
/** Positive DNS answers are kept for their TTL, at most this long, so that a change is seen by the next poll. */
export const dnsCacheMaxMs = 10_000;
export const dnsCacheEntriesMax = 10_000;

/** Status line and headers of an answer. */
export const headerBytesMax = 16 * 1024;
/** Interim 1xx answers before the real one. */
export const interimAnswersMax = 8;
/** Body bytes read from the wire; the rest is cut and counted in `truncated`. */
export const bodyBytesMax = 1024 * 1024;
/** Pieces a body may come in before it is cut: in chunks of one byte 1 MiB would be a million events, 1 s of the loop. */
export const bodyPiecesMax = 10_000;
/** Decompressed bytes, and their ratio to the compressed ones once there are more than the free ones. */
export const inflatedBytesMax = 4 * 1024 * 1024;
export const inflateRatioMax = 20;
export const inflateFreeBytes = 64 * 1024;
export const redirectsMax = 5;
/** Part of a body that regular expressions see. */
export const matchWindowBytes = 100 * 1024;
/** Body in `debugInfo`. */
export const debugBodyBytesMax = 512 * 1024;
/** Metric `body` of a check with include_body. It is kept with the check's state: small. */
export const bodyMetricCharsMax = 4096;
/** Metrics with matched text, banners. */
export const matchCharsMax = 80;
export const statusCharsMax = 256;
export const metricsMax = 200;
/** Names of a certificate as metrics. */
export const certificateTextCharsMax = 1024;
/** Banner and body of remote.tcp. */
export const tcpReadBytesMax = 1024;
/** Silence after which the body of remote.tcp counts as complete. */
export const tcpBodyIdleMs = 500;

/** Length of a regular expression, refused before it is parsed. */
export const patternCharsMax = 255;
export const patternCacheMax = 2000;
/**
 * Steps (states × characters) that a match may take on the main loop. re2js needs 20–35 ns a step:
 * 200,000 steps are 4–7 ms. Above, the match runs in a worker thread.
 */
export const inlineMatchSteps = 200_000;
export const matchWorkers = 2;
export const matchTimeoutMs = 500;
export const matchQueueMax = 200;

/** Echo requests of one attempt are this far apart: below ten a second at any one target. */
export const echoSpacingMs = 200;
/** Echo replies later than this after the last request are lost. */
export const echoLingerMs = 4000;
/** `ping` programs at once, and waiting. */
export const pingProgramsMax = 8;
export const pingProgramQueueMax = 1000;

/** Answers of DNS servers: one TCP message. */
export const dnsMessageBytesMax = 65_535;
export const dnsRecordsMax = 100;
export const dnsTextCharsMax = 1024;

/** Per destination address under egress `public`: not a weapon (security.md §2.10). */
export const destinationPerSecond = 10;
export const destinationConcurrent = 50;
export const destinationsMax = 20_000;

/** Self-test (reliability.md §4.1). */
export const peersMin = 3;
export const peersTried = 5;
export const peerAgeMaxMs = 60_000;
export const peersKept = 64;
export const verdictAgeMs = 5000;
export const peerDialTimeoutMs = 900;
/** A self-test starts this long before a deadline that is about to be missed. */
export const selfTestLeadMs = 1000;

/** Messages of one IPC frame. */
export const frameMessagesMax = 64;
/** Log frames a second to the node; more are counted and dropped. */
export const logsPerSecond = 20;
