// The bounds of the alarm language: the contract's (alarm-language.md §2.1) and those that keep one compilation and
// one evaluation short on an event loop (security.md §3). Numbers only. How the regex bounds were found: regex.ts.

/** Criteria text, UTF-16 units. It also bounds the syntax tree: a node takes two characters, so ≤ 8,193 nodes. */
export const sourceLengthMax = 16_384;
/** `if` statements of one alarm. */
export const conditionalsMax = 10;
/** Characters of a metric's name. */
export const metricNameLengthMax = 128;
/** UTF-16 units of a string literal that a metric is compared with by `==` or `!=`. */
export const stringLengthMax = 80;
export const consecutiveCountMax = 5;
/** Code points of a verdict's status text; longer ones are cut, never refused. */
export const statusLengthMax = 128;
/** Longest text that is read as a number where a string metric meets a numeric operator. */
export const numberTextLengthMax = 64;

/** Regular expressions of one alarm. */
export const regexCountMax = 8;
/** UTF-16 units of one pattern; longer ones are refused before the regex library sees them. */
export const patternLengthMax = 512;
/** Instructions that all patterns of an alarm expand to, by our own estimate, made before compiling. */
export const regexEstimateMax = 2_048;
/** Ranges of character classes after expansion, all patterns of an alarm together, by the same estimate. */
export const regexRangesMax = 16_384;
/** Characters in ranges of classes under `(?i)`: the library folds them one by one. */
export const regexFoldSpanMax = 16_384;
/** Instructions of all compiled programs of an alarm together. */
export const regexProgramMax = 560;
/**
 * Instructions × characters searched per evaluation, over all regexes of the alarm. With the most that is allowed
 * (8 patterns of 560 instructions, 10 more for each) a text of 102 characters is still searched whole, with 240
 * instructions one of 256.
 */
export const regexWorkMax = 65_536;
/** What a step over one character costs besides the instructions, in instructions. */
export const regexStepOverhead = 10;
/** Up to this many instructions × characters (over all regexes) the DFA searches, above it the NFA, see regex.ts. */
export const regexDfaWorkMax = 16_384;
/** Bytes, by the library's own account, that the DFA of one pattern may cache. */
export const regexDfaBytesMax = 32_768;
/** UTF-16 units of the texts whose answers a search keeps. */
export const rememberedLengthMax = 256;
/** Longest text that is searched, however small the pattern. */
export const subjectLengthMax = 65_536;

/** Entries, and UTF-16 units of source text together, that the cache of compiled criteria holds. */
export const cacheEntriesMax = 8_192;
export const cacheSourceLengthMax = 16 * 1024 * 1024;

/**
 * Items of a batch that is evaluated on the loop. Measured (bench/criteria.ts), µs of the loop for each evaluation, inline and
 * handed over: 1 item 1.7 and 60, 32 items 2.9–3.9 and 3.1–6.2, 256 items 1.8–3.3 and 1.5–3.2, 2,048 items 4.6–5.1 and
 * 1.8–2.9. The lines cross between 32 and 256; a hand-over also takes longer (0.1 ms for one item, 14 for 2,048).
 */
export const inlineItemsMax = 64;
/** UTF-16 units of all texts of such a batch: a hostile regular expression over 32 KiB takes some 10 ms. */
export const inlineLengthMax = 32_768;
/** Observations in one batch for a worker. */
export const batchItemsMax = 10_000;

/** Code points of a value shown by `explain`. */
export const explainedValueLengthMax = 256;
