// A TCP link that can be cut: passes bytes, swallows them (a black hole: both ends think it stands), or is reset and refused.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export type LinkState = 'passing' | 'black-hole' | 'refused';

export class LinkProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #state: LinkState = 'passing';

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = createServer((near) => this.#join(near, target));
  }

  /** Listens on a free port before a server at `host:port`. */
  static async open(address: string): Promise<LinkProxy> {
    const at = address.lastIndexOf(':');
    const target = { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
    const proxy = new LinkProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** `refused` resets what stands; what was swallowed in a black hole is lost with its connections. */
  set(state: LinkState): void {
    const before = this.#state;
    this.#state = state;
    if (state === 'refused' || (state === 'passing' && before === 'black-hole')) this.#reset();
  }

  close(): void {
    this.#reset();
    this.#server.close();
  }

  #join(near: Socket, target: { readonly host: string; readonly port: number }): void {
    near.on('error', () => near.destroy());
    if (this.#state === 'refused') {
      near.resetAndDestroy();
      return;
    }
    const far = connect(target);
    far.on('error', () => far.destroy());
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    const pass = (from: Socket, to: Socket): void => {
      from.on('data', (bytes) => {
        if (this.#state === 'passing') to.write(bytes);
      });
      from.on('close', () => {
        if (this.#state !== 'black-hole') to.destroy();
        this.#pairs.delete(pair);
      });
    };
    pass(near, far);
    pass(far, near);
  }

  #reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
    this.#pairs.clear();
  }
}
