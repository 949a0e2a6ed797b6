// The API under fuzz: so many requests at a node, and what was wrong. Watches the node's log on the way.
import type { TestNode } from '../integration/harness.ts';
import { ApiFuzz, faultOf } from './api-fuzz.ts';
import type { World } from './api-world.ts';
import { seeded } from './mutate.ts';

export interface ApiReport {
  readonly requests: number;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly byOperation: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly faults: readonly string[];
}

const atOnce = 16;
const faultsKept = 50;
/** Log lines that tell of a fault inside: a handler threw, a step failed, an actor was put aside. */
const badLine =
  /"event":"(api\.failed|api\.answer_failed|crashed|actor\.(?!loaded)[a-z_]+|step[._]failed)"/;

/** Returns the lines of a log that tell of a fault. */
export function badLines(log: string): readonly string[] {
  return log.split('\n').filter((line) => badLine.test(line));
}

export interface ApiPlan {
  readonly count: number;
  readonly seed: number;
  /** True: begins with every operation's sweep (`count` may end it early). */
  readonly isSweep: boolean;
}

/** Sends requests, several at once; the same seed makes the same ones. */
export async function fuzzApi(node: TestNode, world: World, plan: ApiPlan): Promise<ApiReport> {
  const { count, seed, isSweep } = plan;
  const fuzz = new ApiFuzz(world, seeded(seed));
  const swept = fuzz.sweep();
  const byStatus: Record<string, number> = {};
  const byOperation: Record<string, number> = {};
  const faults = new Set<string>();
  let slowestMs = 0;
  let sent = 0;
  const walk = async (): Promise<void> => {
    while (sent < count) {
      sent += 1;
      const { operation, asked } = isSweep ? (swept.next().value ?? fuzz.next()) : fuzz.next();
      const answer = await world.client.ask(asked);
      fuzz.learn(operation, answer);
      byStatus[answer.status] = (byStatus[answer.status] ?? 0) + 1;
      byOperation[operation.id] = (byOperation[operation.id] ?? 0) + 1;
      slowestMs = Math.max(slowestMs, answer.tookMs);
      const fault = faultOf(asked, answer);
      if (fault !== null && faults.size < faultsKept) faults.add(`${operation.id} ${fault}`);
      if (sent % 50 !== 0) continue;
      for (const line of badLines(node.log)) if (faults.size < faultsKept) faults.add(line);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, walk));
  return { requests: sent, byStatus, byOperation, slowestMs, faults: [...faults] };
}
