// The body of an HTTP answer: read up to 1 MiB, inflated as a stream under caps, its first part kept.
// Must not know what the body is for.
import type { IncomingMessage } from 'node:http';
import zlib from 'node:zlib';
import { ProbeError, toProbeError } from '../errors.ts';
import {
  bodyBytesMax,
  bodyPiecesMax,
  inflatedBytesMax,
  inflateFreeBytes,
  inflateRatioMax,
} from '../limits.ts';

export interface HttpBody {
  /** Content bytes, after inflating. */
  readonly bytes: number;
  /** Bytes that were known to be cut, at least 1 where the body was cut, else 0. */
  readonly truncated: number;
  /** The first content bytes, as many as were asked for. */
  readonly kept: Buffer;
}

type Inflater = zlib.Gunzip | zlib.Inflate | zlib.BrotliDecompress;

/** Returns what makes an inflater for an encoding from its first byte; null for none; throws for others. */
function inflaterOf(encoding: string | undefined): ((first: number) => Inflater) | null {
  const name = (encoding ?? '').trim().toLowerCase();
  if (name === '' || name === 'identity') return null;
  if (name === 'gzip' || name === 'x-gzip') return () => zlib.createGunzip();
  if (name === 'br') return () => zlib.createBrotliDecompress();
  // Servers send both forms as "deflate"; the zlib form starts with method 8.
  if (name === 'deflate') {
    return (first) => ((first & 0x0f) === 8 ? zlib.createInflate() : zlib.createInflateRaw());
  }
  throw new ProbeError('unknown-encoding');
}

/**
 * Returns the body of an answer, keeping its first `keepBytes`. Throws `unknown-encoding`, `malformed-encoding`,
 * `decompression-bomb`, `body-limit`, `incomplete-response` or what the parser reports.
 * An answer longer than 1 MiB, or in more than 10,000 pieces, is cut, not an error.
 */
export function readBody(answer: IncomingMessage, keepBytes: number): Promise<HttpBody> {
  return new Promise((resolve, reject) => {
    const makeInflater = inflaterOf(answer.headers['content-encoding']);
    const kept: Buffer[] = [];
    let keptBytes = 0;
    let wireBytes = 0;
    let pieces = 0;
    let bytes = 0;
    let inflater: Inflater | null = null;

    const settle = (act: () => void) => {
      answer.removeAllListeners('data');
      inflater?.destroy();
      act();
    };
    const fail = (error: ProbeError) => settle(() => reject(error));
    const finish = (truncated: number) =>
      settle(() =>
        resolve({
          bytes,
          truncated,
          kept: kept.length === 1 ? (kept[0] as Buffer) : Buffer.concat(kept),
        }),
      );

    const accept = (chunk: Buffer) => {
      bytes += chunk.length;
      if (keptBytes >= keepBytes) return;
      const part = chunk.subarray(0, keepBytes - keptBytes);
      kept.push(part);
      keptBytes += part.length;
    };
    const acceptInflated = (chunk: Buffer) => {
      accept(chunk);
      const isFree = bytes <= inflateFreeBytes;
      if (!isFree && bytes > wireBytes * inflateRatioMax)
        fail(new ProbeError('decompression-bomb'));
      else if (bytes > inflatedBytesMax) fail(new ProbeError('body-limit'));
    };
    const startInflater = (first: number): Inflater => {
      const made = (makeInflater as (first: number) => Inflater)(first);
      made.on('data', acceptInflated);
      made.on('drain', () => answer.resume());
      made.on('end', () => finish(0));
      made.on('error', (cause) => fail(new ProbeError('malformed-encoding', { cause })));
      return made;
    };

    answer.on('data', (chunk: Buffer) => {
      wireBytes += chunk.length;
      pieces += 1;
      if (makeInflater === null) accept(chunk);
      else {
        inflater ??= startInflater(chunk[0] ?? 0);
        if (!inflater.write(chunk)) answer.pause();
      }
      if (wireBytes > bodyBytesMax || pieces > bodyPiecesMax) finish(cutBytes(answer));
    });
    answer.on('end', () => {
      if (!answer.complete) fail(new ProbeError('incomplete-response'));
      else if (inflater === null) finish(0);
      else inflater.end();
    });
    answer.on('error', (error) => fail(bodyError(error)));
    answer.on('close', () => {
      if (!answer.complete) fail(new ProbeError('incomplete-response'));
    });
  });
}

function bodyError(error: unknown): ProbeError {
  const known = toProbeError(error, 'incomplete-response');
  return known.errorClass === 'connection-reset'
    ? new ProbeError('incomplete-response', { cause: error })
    : known;
}

function cutBytes(answer: IncomingMessage): number {
  const length = Number(answer.headers['content-length']);
  return Number.isSafeInteger(length) ? Math.max(1, length - bodyBytesMax) : 1;
}
