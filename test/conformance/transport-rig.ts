// A set of nodes on one kind of wire, for the transport suite and for what is tested beside it.
import type { Test } from 'tap';
import { frameTransport, type NodeTransport, type Wire } from '../../cluster/frame-transport.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createMeter } from '../../runtime/meter.ts';
import type { Logger } from '../../runtime/ports.ts';
import { eventually } from '../lab/eventually.ts';
import type { TransportRig } from './transport.ts';

const clock = systemClock();

/** Returns a logger that keeps its lines. */
export function listLogger(lines: string[] = []): Logger & { readonly lines: string[] } {
  const line = (event: string, fields?: Readonly<Record<string, unknown>>): void => {
    lines.push(`${event} ${JSON.stringify(fields ?? {})}`);
  };
  return { lines, debug: () => undefined, info: line, warn: line, error: line };
}

export class Rig implements TransportRig {
  readonly #t: Test;
  readonly #wireOf: (node: string, meter: ReturnType<typeof createMeter>) => Wire;
  readonly #view = new Map<string, string>();
  readonly meters: ReturnType<typeof createMeter>[] = [];

  constructor(t: Test, wireOf: (node: string, meter: ReturnType<typeof createMeter>) => Wire) {
    this.#t = t;
    this.#wireOf = wireOf;
  }

  async open(node: string, incarnation: string): Promise<NodeTransport> {
    const meter = createMeter();
    this.meters.push(meter);
    const transport = frameTransport({
      ...{ node, clock, meter, logger: listLogger(), wire: this.#wireOf(node, meter) },
      incarnationOf: (of) => this.#view.get(of) ?? null,
    });
    this.#t.teardown(() => transport.close());
    transport.begin(incarnation);
    await eventually(`${node} is up`, 5_000, () => (transport.isConnected ? true : undefined));
    return transport;
  }

  member(node: string, incarnation: string | null): void {
    if (incarnation === null) this.#view.delete(node);
    else this.#view.set(node, incarnation);
  }

  framesSent(): number {
    return this.meters.reduce((sum, meter) => sum + meter.counted('frames_sent'), 0);
  }
}
