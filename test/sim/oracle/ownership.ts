// Who may commit and act: I1, I3, and the shape of the log that both rest on. Written against reliability.md §5.
import type { Facts, Violation } from './facts.ts';

/** I1: epochs never decrease in the store's commit order; the log has no holes and no forks. */
export function singleCommitter({ events }: Facts): Violation[] {
  const found: Violation[] = [];
  const epochs = new Map<number, number>();
  const heads = new Map<number, number>();
  for (const event of events) {
    if (event.kind === 'claim' && event.applied) {
      const before = epochs.get(event.shard) ?? 0;
      if (event.epoch <= before) {
        found.push({
          id: 'I1',
          t: event.t,
          text: `shard ${event.shard}: epoch ${event.epoch} granted after ${before}`,
        });
      }
      epochs.set(event.shard, Math.max(before, event.epoch));
    }
    if (event.kind !== 'commit' || !event.applied) continue;
    const epoch = epochs.get(event.shard) ?? 0;
    if (event.epoch !== epoch) {
      found.push({
        id: 'I1',
        t: event.t,
        text: `shard ${event.shard}: a commit of epoch ${event.epoch} in epoch ${epoch}`,
      });
    }
    const head = heads.get(event.shard) ?? 0;
    event.rows.forEach((row, at) => {
      if (row.seq !== head + 1 + at) {
        found.push({
          id: 'I1',
          t: event.t,
          text: `shard ${event.shard}: row ${row.seq} behind ${head + at}`,
        });
      }
    });
    heads.set(event.shard, head + event.rows.length);
  }
  return found;
}

/** I3: a process acts for a shard only between its own claim and the next one, and never after its end. */
export function silentWhenFenced({ events }: Facts): Violation[] {
  const found: Violation[] = [];
  const shardOfKey = new Map<string, number>();
  for (const event of events) {
    if (event.kind === 'commit') for (const row of event.rows) shardOfKey.set(row.key, event.shard);
  }
  const holders = new Map<number, number>();
  const ended = new Set<number>();
  const act = (t: number, run: number, key: string, what: string): void => {
    const shard = shardOfKey.get(key);
    if (ended.has(run))
      found.push({ id: 'I3', t, text: `${what} of ${key} after the end of run ${run}` });
    if (shard === undefined || holders.get(shard) === run) return;
    found.push({
      id: 'I3',
      t,
      text: `${what} of ${key} by run ${run}, shard ${shard} is held by ${holders.get(shard)}`,
    });
  };
  for (const event of events) {
    if (event.kind === 'node.end') ended.add(event.run);
    else if (event.kind === 'claim' && event.applied) holders.set(event.shard, event.run);
    else if (event.kind === 'probe.start')
      act(event.t, event.run, event.id.split('|')[0] ?? '', 'poll');
    else if (event.kind === 'page.start') act(event.t, event.run, event.key, 'page');
    else if (event.kind === 'log' && event.event === 'shard_lost') {
      // Nobody else can own a shard here: a commit was refused that nobody had overtaken.
      found.push({
        id: 'I3',
        t: event.t,
        text: `a shard was given up on a node alone: ${event.text}`,
      });
    }
  }
  return found;
}
