// Echo requests through the system's `ping`: no shell, an address literal only, at most eight at once
// (security.md §4). The way where no ICMP socket could be handed in. Must not resolve names.

import { execFile } from 'node:child_process';
import type { Cancellation } from '../cancellation.ts';
import { ProbeError } from '../errors.ts';
import { echoSpacingMs, pingProgramQueueMax, pingProgramsMax } from '../limits.ts';

const outputBytesMax = 64 * 1024;
let running = 0;
const waiting: (() => void)[] = [];

/** Returns the round trips (ms) that ping printed, in order. */
export function parsePingOutput(output: string): number[] {
  const times = output.matchAll(/\btime[=<]\s*(\d{1,9}(?:\.\d{1,6})?)\s*ms/g);
  return Array.from(times, (match) => Number(match[1]));
}

async function place(signal: Cancellation): Promise<void> {
  if (running < pingProgramsMax) {
    running += 1;
    return;
  }
  if (signal.aborted || waiting.length >= pingProgramQueueMax) throw new ProbeError('overloaded');
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => {
      const at = waiting.indexOf(take);
      if (at >= 0) waiting.splice(at, 1);
      // It never ran: nothing was learned about the target.
      reject(new ProbeError('overloaded', { message: 'too many ping programs at once' }));
    };
    const take = () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    waiting.push(take);
    signal.addEventListener('abort', onAbort);
  });
}

function giveBack(): void {
  const next = waiting.shift();
  if (next === undefined) running -= 1;
  else next();
}

/**
 * Returns the round trips in ms of the replies to `count` requests; ends by `timeoutMs` or the signal, with the
 * replies so far. Throws `unsupported` where the program cannot run, `overloaded` where no place came free.
 */
export async function runPingProgram(
  program: string,
  address: string,
  asked: { readonly count: number; readonly timeoutMs: number; readonly signal: Cancellation },
): Promise<number[]> {
  await place(asked.signal);
  try {
    return await new Promise<number[]>((resolve, reject) => {
      const seconds = String(Math.max(1, Math.floor(asked.timeoutMs / 1000)));
      const spacing = String(echoSpacingMs / 1000);
      const counted = ['-n', '-c', String(asked.count), '-i', spacing, '-w', seconds];
      const child = execFile(
        program,
        [...counted, '--', address],
        {
          timeout: Math.ceil(asked.timeoutMs),
          killSignal: 'SIGKILL',
          maxBuffer: outputBytesMax,
          env: { LC_ALL: 'C' },
        },
        (error, stdout, stderr) => {
          asked.signal.removeEventListener('abort', stop);
          const rtts = parsePingOutput(stdout);
          // Status 1 is "no reply" and a killed program ran out of time; others are errors of ping itself.
          const ran =
            error === null || error.code === 1 || error.killed || stdout.includes(' bytes of data');
          if (ran || rtts.length > 0) resolve(rtts);
          else reject(pingError(stderr, error));
        },
      );
      const stop = () => void child.kill('SIGKILL');
      asked.signal.addEventListener('abort', stop);
    });
  } finally {
    giveBack();
  }
}

function pingError(stderr: string, cause: unknown): ProbeError {
  const detail = stderr.slice(0, 200);
  if (/unreachable/i.test(stderr)) return new ProbeError('network-unreachable', { detail, cause });
  return new ProbeError('unsupported', {
    message: 'the ping program does not work here',
    detail,
    cause,
  });
}
