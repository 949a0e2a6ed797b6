// The Transport port over NATS: frames over this node's data connection, one inbox per incarnation.
import type { FrameTransportOptions, NodeTransport } from '../frame-transport.ts';
import { frameTransport } from '../frame-transport.ts';
import { type NatsWireOptions, natsWire } from './wire.ts';

/** Returns the transport of this node over NATS; it dials at `begin` and for ever after, until it is closed. */
export function natsTransport(
  options: NatsWireOptions & Pick<FrameTransportOptions, 'incarnationOf'>,
): NodeTransport {
  return frameTransport({ ...options, wire: natsWire(options) });
}
