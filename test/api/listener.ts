// A client of a live stream over a bare socket: what it was told, and in which words. Owns reading chunks and events.
import { connect, type Socket } from 'node:net';
import { eventually, type Stack } from './stack.ts';

export interface Event {
  readonly event: string | null;
  readonly id: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: bodies of events
  readonly data: any;
}

export class Listener {
  readonly events: Event[] = [];
  head = '';
  comments = 0;
  isClosed = false;
  readonly socket: Socket;
  #rest = '';
  #text = '';

  constructor(
    stack: Pick<Stack, 'url' | 'admin'>,
    path: string,
    headers: Record<string, string> = {},
  ) {
    const { hostname, port } = new URL(stack.url);
    const all: Record<string, string> = {
      Host: 'a',
      'X-Auth-Token': stack.admin.token,
      ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
    this.socket = connect(Number(port), hostname, () => {
      this.socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    });
    this.socket.on('data', (chunk) => this.#take(chunk.toString()));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isClosed = true;
    });
  }

  #take(chunk: string): void {
    this.#rest += chunk;
    if (this.head === '') {
      const at = this.#rest.indexOf('\r\n\r\n');
      if (at === -1) return;
      this.head = this.#rest.slice(0, at);
      this.#rest = this.#rest.slice(at + 4);
    }
    for (;;) {
      const end = this.#rest.indexOf('\r\n');
      const length = end === -1 ? Number.NaN : Number.parseInt(this.#rest.slice(0, end), 16);
      // Texts are ASCII: characters are bytes.
      if (!(this.#rest.length >= end + 2 + length + 2)) return;
      this.#text += this.#rest.slice(end + 2, end + 2 + length);
      this.#rest = this.#rest.slice(end + 2 + length + 2);
      const blocks = this.#text.split('\n\n');
      this.#text = blocks.pop() ?? '';
      for (const block of blocks) this.#block(block);
    }
  }

  #block(block: string): void {
    if (block.startsWith(':')) this.comments += 1;
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (data === undefined) return;
    this.events.push({
      event: /^event: (.*)$/m.exec(block)?.[1] ?? null,
      id: /^id: (.*)$/m.exec(block)?.[1] ?? null,
      data: JSON.parse(data),
    });
  }

  get changes(): readonly Event[] {
    return this.events.filter((one) => one.event === 'changelog');
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Resolves once the stream is open. */
export const isLive = (listener: Listener) =>
  eventually('the stream is open', () => listener.events.find((one) => one.event === 'hello'));
