// What a decoder of untrusted input is to the fuzzer, and how its mutants are made. Must not know any decoder.
import { ApiError } from '../../api/errors.ts';
import { ProbeError } from '../../prober/errors.ts';
import { TocsinError } from '../../runtime/errors.ts';
import { mutateBytes, mutateText, mutateValue, oneOf, type Pick } from './mutate.ts';

export interface Decoder {
  readonly name: string;
  /** Returns a mutant. */
  readonly make: (pick: Pick) => unknown;
  /** Decodes it and checks what came out; throws what `isTyped` knows, and nothing else. */
  readonly run: (input: never) => unknown;
  readonly isTyped: (error: unknown) => boolean;
  /** Where an input may take longer than 100 ms. */
  readonly slowMs?: number;
}

export const isDecode = (error: unknown): boolean =>
  error instanceof TocsinError && error.code === 'RT_DECODE';
export const isProbe = (error: unknown): boolean => error instanceof ProbeError;
export const isApi = (error: unknown): boolean => error instanceof ApiError && error.status < 500;
export const never = (): boolean => false;

export function bytes(
  name: string,
  corpus: readonly Uint8Array[],
  run: (input: Buffer) => unknown,
  isTyped: (error: unknown) => boolean,
): Decoder {
  return { name, make: (pick) => mutateBytes(pick, oneOf(pick, corpus), corpus), run, isTyped };
}

interface Language {
  readonly corpus: readonly string[];
  readonly words?: readonly string[];
}

export function text(
  name: string,
  { corpus, words = [] }: Language,
  run: (input: string) => unknown,
  isTyped: (error: unknown) => boolean = never,
): Decoder {
  const make = (pick: Pick) => mutateText(pick, oneOf(pick, corpus), corpus, words);
  return { name, make, run, isTyped };
}

export function value(
  name: string,
  corpus: readonly unknown[],
  run: (input: unknown) => unknown,
  isTyped: (error: unknown) => boolean = never,
): Decoder {
  const make = (pick: Pick) => {
    let mutant = oneOf(pick, corpus);
    for (let left = 1 + pick(3); left > 0; left--) mutant = mutateValue(pick, mutant);
    return mutant;
  };
  return { name, make, run, isTyped };
}

/** Throws: what came out of a decoder breaks its promise. */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`broken promise: ${what}`);
}
