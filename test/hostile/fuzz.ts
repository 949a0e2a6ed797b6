// Runs mutants through a decoder: every refusal typed, every result as promised, no input that takes long.
import type { Decoder } from './decoder.ts';
import { seeded } from './mutate.ts';

export interface FuzzReport {
  readonly decoder: string;
  readonly executions: number;
  /** Mutants that were refused, typed. */
  readonly rejected: number;
  readonly slowestMs: number;
  /** First faults: what happened, and the input. */
  readonly faults: readonly string[];
  readonly faulty: number;
}

/** An input that takes longer three times in a row would hold a loop. Criteria of 16 KiB take some milliseconds. */
const slowDefaultMs = 100;
const faultsKept = 5;

/** Runs `count` mutants; the same seed makes the same ones. */
export async function fuzz(decoder: Decoder, count: number, seed: number): Promise<FuzzReport> {
  const pick = seeded(seed);
  const faults: string[] = [];
  let faulty = 0;
  let rejected = 0;
  let slowestMs = 0;
  for (let done = 0; done < count; done++) {
    const input = decoder.make(pick);
    const startedMs = performance.now();
    const { fault, refused } = await once(decoder, input);
    const tookMs = performance.now() - startedMs;
    if (refused) rejected += 1;
    slowestMs = Math.max(slowestMs, tookMs);
    const slowMs = decoder.slowMs ?? slowDefaultMs;
    const isSlow = tookMs > slowMs && (await isAlwaysSlow(decoder, input, slowMs));
    const what = fault ?? (isSlow ? `took ${Math.round(tookMs)} ms` : null);
    if (what === null) continue;
    faulty += 1;
    if (faults.length < faultsKept) faults.push(`${what} <- ${shown(input)}`);
  }
  return { decoder: decoder.name, executions: count, rejected, slowestMs, faults, faulty };
}

async function once(
  decoder: Decoder,
  input: unknown,
): Promise<{ readonly fault: string | null; readonly refused: boolean }> {
  try {
    const result = decoder.run(input as never);
    if (result instanceof Promise) await result;
    return { fault: null, refused: false };
  } catch (error) {
    if (decoder.isTyped(error)) return { fault: null, refused: true };
    const { name, message, stack } = error as Error;
    const at = stack?.split('\n').find((line) => line.includes('at ')) ?? '';
    return { fault: `${name}: ${message}${at.replace(/\(.*\/(?=[^/]+\))/, '(')}`, refused: false };
  }
}

async function isAlwaysSlow(decoder: Decoder, input: unknown, slowMs: number): Promise<boolean> {
  for (let again = 0; again < 3; again++) {
    const startedMs = performance.now();
    await once(decoder, input);
    if (performance.now() - startedMs <= slowMs) return false;
  }
  return true;
}

function shown(input: unknown): string {
  if (input instanceof Uint8Array) return `hex ${Buffer.from(input).toString('hex').slice(0, 400)}`;
  const seen = JSON.stringify(input) ?? String(input);
  return `${seen.slice(0, 400)}${seen.length > 400 ? `… (${seen.length})` : ''}`;
}
