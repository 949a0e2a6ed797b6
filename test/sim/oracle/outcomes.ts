// What a request that was carried out answers when it comes again: the other half of I30. Written against reliability.md §5.
import { type Facts, rowKind, type Violation } from './facts.ts';
import { changeKey } from './intents.ts';

/** I30: an outcome is found for at least ten minutes, whoever owns the actor then. */
const keptMs = 600_000;

/** I30: what was committed under a key is never refused under it. */
export function keptOutcomes(facts: Facts): Violation[] {
  const committedT = new Map<string, number>();
  for (const row of facts.rows) {
    const key = row.kind === rowKind.config ? changeKey(row.body) : null;
    if (key !== null && !committedT.has(key)) committedT.set(key, row.t);
  }
  return [...facts.requests.values()].flatMap(({ op, replies }) => {
    const doneT = committedT.get(op.op);
    if (doneT === undefined) return [];
    const refusal = replies.find(
      ({ t, outcome, code }) =>
        outcome === 'refused' && code !== 'systemFailureError' && t > doneT && t <= doneT + keptMs,
    );
    if (refusal === undefined) return [];
    const text = `${op.op} ${op.message}: carried out, then refused: ${refusal.code}`;
    return [{ id: 'I30', t: refusal.t, text }];
  });
}
