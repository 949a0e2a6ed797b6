// The way to ping that this process has: ICMP datagram sockets, the `ping` program, or none (api.md §10.1).
// Sends the requests of one attempt and collects the replies. Must not resolve or judge addresses.

import { isIP } from 'node:net';
import type { Cancellation } from '../cancellation.ts';
import { ProbeError } from '../errors.ts';
import { echoLingerMs, echoSpacingMs } from '../limits.ts';
import type { IcmpSocket } from './icmp-socket.ts';
import { runPingProgram } from './ping-program.ts';

export type PingMode = 'socket' | 'program' | 'none';

export interface EchoRequest {
  readonly count: number;
  readonly timeoutMs: number;
  readonly signal: Cancellation;
}

export interface Pinger {
  readonly mode: PingMode;
  /**
   * Returns the round trips in ms of the replies, at most `count`. Throws `unsupported` where there is no way to
   * ping, and what the network says where no request could be sent.
   */
  ping(address: string, asked: EchoRequest): Promise<number[]>;
}

export interface PingerOptions {
  readonly socket4: IcmpSocket | null;
  readonly socket6: IcmpSocket | null;
  /** Absolute path of the program, or null. */
  readonly program: string | null;
}

/** Returns the best way of these for each family. */
export function createPinger(options: PingerOptions): Pinger {
  const hasSocket = options.socket4 !== null || options.socket6 !== null;
  const mode = hasSocket ? 'socket' : options.program === null ? 'none' : 'program';
  return {
    mode,
    async ping(address, asked) {
      const socket = isIP(address) === 6 ? options.socket6 : options.socket4;
      if (socket !== null) return echoBySocket(socket, address, asked);
      if (options.program !== null) return runPingProgram(options.program, address, asked);
      const message = 'no way to ping: no ICMP socket and no ping program; see tocsin doctor';
      throw new ProbeError('unsupported', { message });
    },
  };
}

function echoBySocket(socket: IcmpSocket, address: string, asked: EchoRequest): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const rtts: number[] = [];
    const forgets: (() => void)[] = [];
    const spacingMs = Math.min(echoSpacingMs, asked.timeoutMs / 2 / asked.count);
    let failures = 0;
    let lastError: ProbeError | null = null;
    let timer: NodeJS.Timeout;

    const end = () => {
      clearTimeout(timer);
      asked.signal.removeEventListener('abort', end);
      for (const forget of forgets) forget();
      if (rtts.length === 0 && lastError !== null && failures === forgets.length) reject(lastError);
      else resolve(rtts);
    };
    const endWhenAllIn = () => {
      if (rtts.length + failures >= asked.count) end();
    };
    const onReply = (rttMs: number) => {
      rtts.push(rttMs);
      endWhenAllIn();
    };
    const onError = (error: ProbeError) => {
      failures += 1;
      lastError = error;
      endWhenAllIn();
    };
    const sendNext = () => {
      const isLast = forgets.length + 1 >= asked.count;
      timer = setTimeout(isLast ? end : sendNext, isLast ? echoLingerMs : spacingMs);
      try {
        forgets.push(socket.send(address, onReply, onError));
      } catch (error) {
        clearTimeout(timer);
        reject(error);
      }
    };
    asked.signal.addEventListener('abort', end);
    sendNext();
  });
}
