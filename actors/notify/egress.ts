// What the notification channels ask of the world's sockets: the one guarded way out (security.md §2), handed in by main.ts.
// Types only; the guard itself lives with the prober. Must not know any channel.
import type { Socket } from 'node:net';

interface EgressRequest {
  readonly host: string;
  readonly port: number;
  /** `smtp`: the operator's own mail server, not refused by the guard. */
  readonly purpose: 'probe' | 'notify' | 'smtp';
  readonly family?: 'IPv4' | 'IPv6';
  /** Given: the socket is a verified TLS connection when it comes back. */
  readonly tls?: {
    readonly servername?: string;
    readonly rejectUnauthorized?: boolean;
    readonly ca?: string;
  };
  /** For name look-up, connection and TLS together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

interface EgressConnection {
  readonly socket: Socket;
  /** Address literal that was connected. */
  readonly address: string;
  readonly timings: unknown;
}

export interface Egress {
  /** Rejects where the target is refused or does not answer; the message is safe to show to the tenant. */
  connect(request: EgressRequest): Promise<EgressConnection>;
}
