// What many runs of the cluster add up to: a line of data for each, sums over all, the same as text.
import type { SeedResult } from './pool.ts';

const linesMax = 5;

/** Returns a run as one line of data. */
export function lineOf(result: SeedResult) {
  const { seed, mode, nodes, polls, transitions, pages, deaths, handOffs, faults, hash } = result;
  const simulatedS = Math.round(result.simulatedMs / 1_000);
  const violations = result.violations.slice(0, linesMax);
  return {
    seed,
    mode,
    nodes,
    simulatedS,
    polls,
    transitions,
    pages,
    deaths,
    handOffs,
    faults,
    violations,
    hash,
  };
}

export type Summary = ReturnType<typeof summaryOf>;

/** Returns the sums over all runs. */
export function summaryOf(results: readonly SeedResult[], tookMs: number) {
  const sum = (of: (result: SeedResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  return {
    seeds: results.length,
    minutes: Math.round(tookMs / 6_000) / 10,
    simulatedHours: Math.round(sum((result) => result.simulatedMs) / 36_000) / 100,
    polls: sum((result) => result.polls),
    transitions: sum((result) => result.transitions),
    pages: sum((result) => result.pages),
    deaths: sum((result) => result.deaths),
    handOffs: sum((result) => result.handOffs),
    runTwice: results.filter((result) => result.wasRunTwice).length,
    violations: sum((result) => result.violations.length),
    broken: counted(
      results.map((one) => Object.fromEntries(one.violations.map(({ id }) => [id, 1]))),
    ),
    // A run in which the store was away throughout says little; a set of runs in which that is usual says nothing.
    isValid: results.filter((result) => result.isValid).length >= results.length * 0.8,
    faults: counted(results.map((result) => result.faults)),
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
  const { seeds, minutes, simulatedHours, polls, transitions, pages, deaths, handOffs } = summary;
  return [
    `${seeds} seeds, ${simulatedHours} simulated hours in ${minutes} minutes (${summary.runTwice} seeds run twice)`,
    `${polls} polls, ${transitions} transitions, ${pages} pages, ${deaths} deaths, ${handOffs} hand-offs`,
    `faults: ${list(summary.faults)}`,
    `reached: ${list(summary.sometimes)}`,
    ...(summary.isValid ? [] : ['too little happened to say anything']),
    `violations: ${summary.violations}; runs that broke: ${list(summary.broken) || 'none'}`,
  ].join('\n');
}
