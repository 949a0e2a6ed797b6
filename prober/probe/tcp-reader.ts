// Reads the first bytes of a connection piece by piece, bounded, until somebody has seen enough.
// Must not know what the bytes mean.

import type { Socket } from 'node:net';
import type { Cancellation } from '../cancellation.ts';
import { monotonicMs } from '../clock.ts';

/** Why no more bytes came: the other side closed, nothing came for the idle time, or the signal aborted. */
export type ReadEnd = 'closed' | 'idle' | 'aborted';

export interface TcpReader {
  /** All bytes so far that were not taken, at most the reader's bound. */
  bytes(): Buffer;
  /** Removes bytes from the front. */
  take(length: number): void;
  /** Monotonic instant of the first byte, or null. */
  firstByteMs(): number | null;
  /** Returns null when more bytes came, else why none will. `idleMs` null: waits for the signal. */
  more(idleMs: number | null): Promise<ReadEnd | null>;
}

/** Returns a reader of a socket that keeps at most `bytesMax` and then stops reading. */
export function readTcp(socket: Socket, bytesMax: number, signal: Cancellation): TcpReader {
  let held: Buffer = Buffer.alloc(0);
  let firstMs: number | null = null;
  let isClosed = false;
  let hasNews = false;
  let wake: ((end: ReadEnd | null) => void) | null = null;

  socket.on('data', (chunk: Buffer) => {
    firstMs ??= monotonicMs();
    held = Buffer.concat([held, chunk.subarray(0, bytesMax - held.length)]);
    if (held.length >= bytesMax) socket.pause();
    hasNews = true;
    wake?.(null);
  });
  const onClose = () => {
    isClosed = true;
    wake?.('closed');
  };
  socket.on('end', onClose);
  socket.on('close', onClose);

  return {
    bytes: () => held,
    take(length) {
      held = held.subarray(length);
      hasNews = held.length > 0;
      if (held.length < bytesMax) socket.resume();
    },
    firstByteMs: () => firstMs,
    async more(idleMs) {
      if (hasNews) {
        hasNews = false;
        return null;
      }
      if (isClosed) return 'closed';
      if (signal.aborted) return 'aborted';
      return new Promise((resolve) => {
        const settle = (end: ReadEnd | null) => {
          if (timer !== null) clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
          wake = null;
          hasNews = false;
          resolve(end);
        };
        const onAbort = () => settle('aborted');
        const timer = idleMs === null ? null : setTimeout(() => settle('idle'), idleMs);
        signal.addEventListener('abort', onAbort);
        wake = settle;
      });
    },
  };
}
