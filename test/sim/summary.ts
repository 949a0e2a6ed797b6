// What many runs add up to: one line of data for each, sums over all, and the same as text. Must not know how they are run.
import type { SeedResult } from './pool.ts';

const linesMax = 5;
/** A fault that struck less often than this in a gate run was not tested (reliability.md §6, T1). */
const seldomBelow = 20;

/** Returns a run as one line of data. */
export function lineOf(result: SeedResult) {
  const { seed, mode, simulatedMs, polls, transitions, pages, faults, hash, violations } = result;
  return {
    seed,
    mode,
    simulatedHours: Math.round(simulatedMs / 36_000) / 100,
    polls,
    transitions,
    pages,
    faults,
    violations: violations.slice(0, linesMax),
    hash,
  };
}

export type Summary = ReturnType<typeof summaryOf>;

/** Returns the sums over all runs. */
export function summaryOf(results: readonly SeedResult[], tookMs: number) {
  const sum = (of: (result: SeedResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const faults = counted(results.map((result) => result.faults));
  const transitions = sum((result) => result.transitions);
  const isValid =
    results.every((result) => result.isValid) && (results.length < 100 || transitions >= 1_000);
  return {
    seeds: results.length,
    minutes: Math.round(tookMs / 6_000) / 10,
    simulatedHours: Math.round(sum((result) => result.simulatedMs) / 36_000) / 100,
    polls: sum((result) => result.polls),
    transitions,
    intents: sum((result) => result.intents),
    pages: sum((result) => result.pages),
    crashes: sum((result) => result.crashes),
    runTwice: results.filter((result) => result.wasRunTwice).length,
    violations: sum((result) => result.violations.length),
    isValid,
    faults,
    seldom: Object.keys(faults).filter((name) => (faults[name] ?? 0) < seldomBelow),
    sometimes: counted(results.map((result) => result.sometimes)),
  };
}

function counted(
  all: readonly Readonly<Record<string, number>>[],
): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const one of all) {
    for (const [name, by] of Object.entries(one)) counts[name] = (counts[name] ?? 0) + by;
  }
  return Object.fromEntries(Object.entries(counts).sort(([, left], [, right]) => right - left));
}

const list = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(' · ');

/** Returns a summary for people. */
export function textOf(summary: Summary): string {
  const { seeds, minutes, simulatedHours, polls, transitions, pages, crashes } = summary;
  const { runTwice, violations, isValid } = summary;
  return [
    `${seeds} seeds, ${simulatedHours} simulated hours in ${minutes} minutes (${runTwice} seeds run twice)`,
    `${polls} polls, ${transitions} transitions, ${pages} pages, ${crashes} crashes`,
    `faults: ${list(summary.faults)}`,
    `reached: ${list(summary.sometimes)}`,
    ...(isValid ? [] : ['too little happened to say anything']),
    `violations: ${violations}`,
  ].join('\n');
}
