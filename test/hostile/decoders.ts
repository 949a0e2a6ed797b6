// Every decoder of untrusted input. A new one is one row in the file of its place.
import type { Decoder } from './decoder.ts';
import { proberDecoders } from './prober-decoders.ts';
import { storedDecoders } from './stored-decoders.ts';
import { textDecoders } from './text-decoders.ts';

export const decoders: readonly Decoder[] = [...storedDecoders, ...proberDecoders, ...textDecoders];
