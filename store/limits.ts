// Bounds and keeps that every adapter of the store shares. One place, so that memory, SQLite and Cassandra answer alike.
import type { HistoryTable } from '../runtime/effect.ts';

/** Rows of one decision batch (clustering: group commit). */
export const commitRowsMax = 256;
/** Rows of one answer page; a larger limit is cut to this. */
export const pageRowsMax = 10_000;
/** Rows of one request of an unconditional write; longer ones are split, so that no round holds the file for long. */
export const writeRowsMax = 500;
/** Rows that one sweep request deletes. */
export const sweepRowsMax = 1000;
/** Sweep requests per table and sweep: 100,000 rows, above a minute's ticks of 1,600 probes a second. */
export const sweepRequestsMax = 100;

const dayMs = 86_400_000;

/** Ticks serve the open hour and the last values; sealed chunks hold the rest. */
export const tickKeepMs = 6 * 3_600_000;
/** A delete of soft state is remembered so long, to beat older inserts that come late. */
export const tombstoneKeepMs = 10 * dayMs;

/** How long each history table keeps its rows, ms. */
export const historyKeepMs: Readonly<Record<HistoryTable, number>> = {
  changelog: 365 * dayMs,
  audit: 365 * dayMs,
  alarm_history: 90 * dayMs,
  notification_log: 90 * dayMs,
  suppression_log: 90 * dayMs,
};

export const historyTables: readonly HistoryTable[] = [
  'changelog',
  'audit',
  'alarm_history',
  'notification_log',
  'suppression_log',
];

/** What a sweep goes through, in order. `pages` gives free pages of the file back. */
export type SweepTarget = 'ticks' | 'tombstones' | HistoryTable | 'pages';
export const sweepTargets: readonly SweepTarget[] = [
  'ticks',
  'tombstones',
  ...historyTables,
  'pages',
];
