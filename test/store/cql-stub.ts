// A server that speaks just enough CQL (protocol 4) for the driver's faults: it answers, refuses, errs, stays silent or cuts
// the connection as a test says. It stores nothing and knows no timestamps: what rows mean is asked of a real server only.

import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';

export type StubAnswer =
  | { readonly kind: 'applied' }
  | {
      readonly kind: 'rows';
      readonly row: Readonly<Record<string, string | number | bigint | boolean>>;
    }
  | {
      readonly kind: 'error';
      readonly code: number;
      readonly more?: Buffer;
      readonly message?: string;
    }
  | { readonly kind: 'unprepared' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'cut' };

export interface StubRequest {
  readonly batch: boolean;
  /** Statement, of a batch the first one. */
  readonly query: string;
  readonly timestamp: bigint | null;
}

const opcodes = {
  error: 0,
  startup: 1,
  ready: 2,
  options: 5,
  supported: 6,
  query: 7,
  result: 8,
} as const;
const [prepare, execute, register, batch] = [9, 10, 11, 13] as const;
const typeCodes = {
  blob: 3,
  boolean: 4,
  int: 9,
  bigint: 2,
  text: 13,
  tinyint: 20,
  uuid: 12,
  set: 34,
} as const;
const wrongVersion = 'Invalid or unsupported protocol version (5); highest supported version is 4';
type TypeName = keyof typeof typeCodes;

const columnTypes: Readonly<Record<string, TypeName>> = {
  ...{ cluster: 'text', owner: 'text', ekey: 'text', id: 'text', chk: 'text', zone: 'text' },
  ...{ shard: 'int', win: 'int', kind: 'tinyint', body: 'blob', v: 'blob' },
};
const typeOf = (column: string): TypeName => columnTypes[column] ?? 'bigint';

export class CqlStub {
  readonly requests: StubRequest[] = [];
  /** What the next requests get; `applied` when none is left. */
  readonly answers: StubAnswer[] = [];
  prepared = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #queries: string[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#serve(socket));
  }

  static async start(): Promise<CqlStub> {
    const server = createServer();
    const stub = new CqlStub(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let rest = Buffer.alloc(0);
    socket.on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      while (rest.length >= 9 && rest.length >= 9 + rest.readInt32BE(5)) {
        const end = 9 + rest.readInt32BE(5);
        this.#frame(socket, rest.subarray(0, end));
        rest = rest.subarray(end);
      }
    });
  }

  #frame(socket: Socket, frame: Buffer): void {
    const [version, stream, opcode] = [
      frame[0] as number,
      frame.readInt16BE(2),
      frame[4] as number,
    ];
    const reply = (code: number, body: Buffer): void => {
      const header = Buffer.alloc(9);
      header[0] = 0x84;
      header.writeInt16BE(stream, 2);
      header[4] = code;
      header.writeInt32BE(body.length, 5);
      socket.write(Buffer.concat([header, body]));
    };
    const body = frame.subarray(9);
    if (version > 4) reply(opcodes.error, Buffer.concat([int(0x0a), str(wrongVersion)]));
    else if (opcode === opcodes.options) reply(opcodes.supported, short(0));
    else if (opcode === opcodes.startup || opcode === register) {
      reply(opcodes.ready, Buffer.alloc(0));
    } else if (opcode === opcodes.query) {
      reply(opcodes.result, systemRows(longString(body, 0)));
    } else if (opcode === prepare) reply(opcodes.result, this.#prepare(longString(body, 0)));
    else if (opcode === execute || opcode === batch) {
      this.#asked(socket, this.#read(opcode, body), reply);
    } else reply(opcodes.error, Buffer.concat([int(0x0a), str(`opcode ${opcode}`)]));
  }

  #prepare(query: string): Buffer {
    this.prepared++;
    if (!this.#queries.includes(query)) this.#queries.push(query);
    const id = Buffer.from(`q${this.#queries.indexOf(query)}`);
    const params = paramsOf(query);
    const columns = params.flatMap((name) => [str(name), short(typeCodes[typeOf(name)])]);
    const metadata = [int(1), int(params.length), int(0), str('k'), str('t'), ...columns];
    return Buffer.concat([int(4), short(id.length), id, ...metadata, int(4), int(0)]);
  }

  #read(opcode: number, body: Buffer): StubRequest & { id: Buffer } {
    if (opcode === batch) {
      const id = body.subarray(6, 6 + body.readInt16BE(4));
      return { batch: true, query: this.#queryOf(id), timestamp: null, id };
    }
    const id = body.subarray(2, 2 + body.readInt16BE(0));
    let at = 2 + id.length + 2;
    const flags = body[at] as number;
    at += 1;
    if ((flags & 1) !== 0) {
      const values = body.readInt16BE(at);
      at += 2;
      for (let n = 0; n < values; n++) at += 4 + Math.max(0, body.readInt32BE(at));
    }
    if ((flags & 4) !== 0) at += 4;
    if ((flags & 8) !== 0) at += 4 + body.readInt32BE(at);
    if ((flags & 16) !== 0) at += 2;
    const timestamp = (flags & 32) === 0 ? null : body.readBigInt64BE(at);
    return { batch: false, query: this.#queryOf(id), timestamp, id };
  }

  #queryOf(id: Buffer): string {
    return this.#queries[Number(id.toString().slice(1))] ?? '';
  }

  #asked(
    socket: Socket,
    request: StubRequest & { id: Buffer },
    reply: (code: number, body: Buffer) => void,
  ): void {
    this.requests.push(request);
    const answer = this.answers.shift() ?? { kind: 'applied' };
    if (answer.kind === 'silent') return;
    if (answer.kind === 'cut') {
      socket.destroy();
      return;
    }
    if (answer.kind === 'error') {
      const { code, message = 'of the test', more = Buffer.alloc(0) } = answer;
      reply(opcodes.error, Buffer.concat([int(code), str(message), more]));
    } else if (answer.kind === 'unprepared') {
      const parts = [int(0x2500), str('unprepared'), short(request.id.length), request.id];
      reply(opcodes.error, Buffer.concat(parts));
    } else {
      const row = answer.kind === 'applied' ? { '[applied]': true } : answer.row;
      reply(opcodes.result, rows([row]));
    }
  }
}

/** Names of the columns that are bound, in order. */
function paramsOf(query: string): string[] {
  const insert = /^INSERT INTO \w+ \(([^)]*)\)\s+VALUES \(([^)]*)\)/.exec(query);
  if (insert !== null) {
    const values = (insert[2] as string).split(',').map((value) => value.trim());
    const names = (insert[1] as string).split(',').map((name) => name.trim());
    return names.filter((_, at) => values[at] === '?');
  }
  return [...query.matchAll(/(\w+)\s*(?:<=|>=|=|>)\s*\?/g)].map(([, name]) => name as string);
}

const uuid = '6f1a3c52-8f6e-4b0e-9d3a-2b1c4d5e6f70';

function systemRows(query: string): Buffer {
  const use = /^USE "?(\w+)"?/i.exec(query);
  if (use !== null) return Buffer.concat([int(3), str(use[1] as string)]);
  if (!/FROM system\.local/.test(query)) return rows([]);
  const local = {
    ...{ key: 'local', cluster_name: 'stub', data_center: 'datacenter1', rack: 'r1' },
    ...{ release_version: '5.0.8', partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner' },
    ...{ schema_version: uuid, host_id: uuid },
  };
  return rows([local]);
}

function rows(of: readonly Readonly<Record<string, string | number | bigint | boolean>>[]): Buffer {
  const names = Object.keys(of[0] ?? {});
  const columns = names.flatMap((name) => [
    str(name),
    short(typeCodes[cellType(name, of[0]?.[name])]),
  ]);
  const cells = of.flatMap((row) => names.map((name) => cell(name, row[name])));
  const metadata = [int(1), int(names.length), str('k'), str('t'), ...columns];
  return Buffer.concat([int(2), ...metadata, int(of.length), ...cells]);
}

function cellType(name: string, value: unknown): TypeName {
  if (typeof value === 'boolean') return 'boolean';
  if (name === 'schema_version' || name === 'host_id') return 'uuid';
  return typeof value === 'string' ? 'text' : 'bigint';
}

function cell(name: string, value: string | number | bigint | boolean | undefined): Buffer {
  const type = cellType(name, value);
  let bytes: Buffer;
  if (type === 'boolean') bytes = Buffer.from([value === true ? 1 : 0]);
  else if (type === 'uuid') bytes = Buffer.from(String(value).replaceAll('-', ''), 'hex');
  else if (type === 'text') bytes = Buffer.from(String(value));
  else {
    bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(value ?? 0));
  }
  return Buffer.concat([int(bytes.length), bytes]);
}

function longString(body: Buffer, at: number): string {
  return body.toString('utf8', at + 4, at + 4 + body.readInt32BE(at));
}

export function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function short(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function str(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([short(bytes.length), bytes]);
}
