// Where the seconds of a blow went, read from the survivors' logs and the target: noticed, written, loaded, claimed, polling.
import type { GapReport } from './judge/gaps.ts';
import type { Blow } from './scenarios.ts';

/** Milliseconds since the blow; null: did not happen. */
export interface Stages {
  readonly fault: string;
  readonly what: string;
  /** The first survivor's verdict. */
  readonly verdictMs: number | null;
  /** The view was written without the lost node. */
  readonly declaredMs: number | null;
  /** The last survivor had its new shards loaded and their timers armed. */
  readonly armedMs: number | null;
  /** The last survivor's claims had landed: decisions go on. */
  readonly claimedMs: number | null;
  /** At the target: the longest gap of any check, above 1.1 × period. */
  readonly worstGapMs: number | null;
  readonly p99GapMs: number | null;
  readonly checksAffected: number | null;
  /** False verdicts and declarations where nobody died. */
  readonly deaths: number;
}

/** Returns the stages of one blow; `seen` as the judge saw it at the targets. */
export function stagesOf(blow: Blow, seen: GapReport['perFault'][number] | undefined): Stages {
  const { fault, wallMs, survivors } = blow;
  const untilMs = wallMs + 12_000;
  const times = (event: string): readonly number[] =>
    survivors.flatMap((node) =>
      node
        .logged(event, wallMs)
        .filter(({ time }) => time <= untilMs)
        .map(({ time }) => time - wallMs),
    );
  const first = (event: string): number | null => {
    const found = times(event);
    return found.length === 0 ? null : Math.min(...found);
  };
  const last = (event: string): number | null => {
    const found = times(event);
    return found.length === 0 ? null : Math.max(...found);
  };
  return {
    fault: fault.kind,
    what: fault.what,
    verdictMs: first('cluster.verdict'),
    declaredMs: first('cluster.declared'),
    armedMs: last('shards.armed'),
    claimedMs: last('shards.open'),
    worstGapMs: seen?.worstMs ?? null,
    p99GapMs: seen?.p99Ms ?? null,
    checksAffected: seen?.checksAffected ?? null,
    deaths: times('cluster.declared').length,
  };
}

const columns = [
  'verdictMs',
  'declaredMs',
  'armedMs',
  'claimedMs',
  'worstGapMs',
  'checksAffected',
] as const;

/** Returns a table for people: quantiles over the blows of a scenario. */
export function table(scenario: string, stages: readonly Stages[]): string {
  const head = ['', 'n', 'p50', 'p99', 'max'].map((text) => text.padStart(9)).join('');
  const rows = columns.map((column) => {
    const values = stages
      .map((stage) => stage[column])
      .filter((value) => value !== null)
      .sort((left, right) => left - right);
    const at = (share: number): string =>
      values.length === 0
        ? '–'
        : String(values[Math.min(values.length - 1, Math.floor(values.length * share))]);
    const cells = [String(values.length), at(0.5), at(0.99), String(values.at(-1) ?? '–')];
    return column.padStart(16) + cells.map((cell) => cell.padStart(9)).join('');
  });
  return [`${scenario}, ms since the blow`, ' '.repeat(7) + head, ...rows].join('\n');
}
