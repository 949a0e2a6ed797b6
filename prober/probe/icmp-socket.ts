// Echo requests over one ICMP datagram socket per family for all targets. Node cannot open one, but `dgram` takes
// it as a file descriptor (lab.md §3). The kernel sets the id and hands over only answers to it; targets are told
// apart by address and an unpredictable token. Must not judge addresses.
import dgram from 'node:dgram';
import { monotonicMs, unpredictableBytes } from '../clock.ts';
import { parseAddress } from '../egress/address.ts';
import { ProbeError, toProbeError } from '../errors.ts';
import { literalOnly } from './udp.ts';

export interface IcmpSocket {
  /**
   * Sends one echo request; calls `onReply` with the round trip in ms at most once, until `forget` is called.
   * Throws `overloaded` where too many replies are awaited. A send error goes to `onError`.
   */
  send(
    address: string,
    onReply: (rttMs: number) => void,
    onError: (error: ProbeError) => void,
  ): () => void;
  close(): void;
}

interface Awaited {
  readonly address: string;
  readonly sentMs: number;
  readonly onReply: (rttMs: number) => void;
}

const echoRequest = { 4: 8, 6: 128 } as const;
const echoReply = { 4: 0, 6: 129 } as const;
const headerBytes = 8;
const tokenBytes = 16;
const payloadBytes = 56;
const awaitedMax = 50_000;
/** The kernel ignores it, `dgram` wants one above 0. */
const anyPort = 1;

/** Returns the socket on a descriptor that was handed in; throws where it is none of this family. */
export async function openIcmpSocket(fd: number, family: 4 | 6): Promise<IcmpSocket> {
  const socket = dgram.createSocket({ type: family === 4 ? 'udp4' : 'udp6', lookup: literalOnly });
  const awaited = new Map<string, Awaited>();
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ fd }, () => {
      socket.removeListener('error', reject);
      resolve();
    });
  });
  socket.on('error', () => undefined);
  socket.on('message', (packet, remote) => {
    if (packet.length < headerBytes + tokenBytes || packet[0] !== echoReply[family]) return;
    const token = packet.toString('hex', headerBytes, headerBytes + tokenBytes);
    const found = awaited.get(token);
    if (found === undefined || parseAddress(remote.address)?.text !== found.address) return;
    awaited.delete(token);
    found.onReply(monotonicMs() - found.sentMs);
  });
  let sequence = 0;
  return {
    send(address, onReply, onError) {
      if (awaited.size >= awaitedMax) throw new ProbeError('overloaded');
      sequence = (sequence + 1) & 0xffff;
      const { packet, token } = echoPacket(family, sequence);
      const text = parseAddress(address)?.text ?? address;
      awaited.set(token, { address: text, sentMs: monotonicMs(), onReply });
      socket.send(packet, anyPort, address, (error) => {
        if (error === null || !awaited.delete(token)) return;
        onError(toProbeError(error, 'network-unreachable'));
      });
      return () => void awaited.delete(token);
    },
    close() {
      awaited.clear();
      socket.close();
    },
  };
}

/** Returns an echo request; the kernel fills in the id and, for IPv6, the checksum. */
export function echoPacket(family: 4 | 6, sequence: number): { packet: Buffer; token: string } {
  const packet = Buffer.alloc(headerBytes + payloadBytes);
  packet[0] = echoRequest[family];
  packet.writeUInt16BE(sequence, 6);
  const token = unpredictableBytes(tokenBytes);
  token.copy(packet, headerBytes);
  if (family === 4) packet.writeUInt16BE(internetChecksum(packet), 2);
  return { packet, token: token.toString('hex') };
}

/** Returns the checksum of RFC 1071 over bytes of even length. */
export function internetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum >>> 16) + (sum & 0xffff);
  return ~sum & 0xffff;
}
