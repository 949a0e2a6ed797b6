// Every request to Cassandra goes through here: each kind with its client, profile, consistency, timestamp rule and meaning
// of errors (storage.md §2, §4, §13). The only home of conditional sends. Must not know tables.
import cassandra from 'cassandra-driver';
import { assert } from '../../runtime/assert.ts';
import type { Clock, Logger, Random, ReadLevel } from '../../runtime/ports.ts';
import { storeError } from '../errors.ts';
import {
  type CassandraOptions,
  type Clients,
  type DriverClient,
  type DriverRow,
  type Levels,
  levelsOf,
  makeClients,
  type Query,
} from './clients.ts';
import { type RequestKind, requestError } from './driver-error.ts';
import { Repeats } from './repeat.ts';
import { Room } from './room.ts';

/** What a conditional statement did; `row`: where refused, the columns of its condition. */
export type CasAnswer =
  | { readonly applied: true }
  | { readonly applied: false; readonly row: DriverRow | null };

/** `load`: a take-over waits, 600 ms. `scan`: a person or an upkeep waits, 10 s. */
export type ReadProfile = 'load' | 'scan';

/** A proposal is written to the paxos table too: large ones at once are what a small server times out on (storage.md §6.12). */
const largeBatchBytes = 16_384;

export class Session {
  readonly cluster: string;
  readonly keyspace: string;
  readonly clients: Clients;
  readonly #levels: Levels;
  readonly #repeats: Repeats;
  readonly #rooms = {
    core: new Room({ name: 'core', underWay: 1024, waiting: 8192 }),
    read: new Room({ name: 'read', underWay: 512, waiting: 8192 }),
    metrics: new Room({ name: 'metrics', underWay: 512, waiting: 8192 }),
    largeBatches: new Room({ name: 'large batches', underWay: 8, waiting: 1024 }),
  } as const;
  /** Given to each write of class M, so that a repeat carries the timestamp of its first try. */
  readonly #wallStamps = new cassandra.policies.timestampGeneration.MonotonicTimestampGenerator(
    1000,
    1000,
  );
  #isOpen = true;

  constructor(options: CassandraOptions & { clock: Clock; random: Random; logger: Logger }) {
    this.cluster = options.cluster;
    this.keyspace = options.keyspace;
    this.clients = makeClients(options, options.logger);
    this.#levels = levelsOf(options.serial);
    this.#repeats = new Repeats(options);
  }

  /** Rejects `ST_UNAVAILABLE` where no server answers. */
  async connect(): Promise<void> {
    const { core, read, metrics } = this.clients;
    await this.#asked('read', 'connect', () =>
      Promise.all([core.connect(), read.connect(), metrics.connect()]),
    );
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { core, read, metrics } = this.clients;
    await Promise.all([core.shutdown(), read.shutdown(), metrics.shutdown()]);
  }

  /** A conditional statement. Never repeated: an unknown outcome is the caller's to read and decide. */
  async cas(what: string, { query, params }: Query): Promise<CasAnswer> {
    const { core } = this.clients;
    const rows = await this.#asked('cas', what, () =>
      this.#rooms.core.run(() => core.execute(query, [...params], this.#casOptions())),
    );
    return answerOf(rows);
  }

  /** A conditional batch of one partition; `bytes`: about its size. */
  async casBatch(what: string, queries: readonly Query[], bytes: number): Promise<CasAnswer> {
    const { core } = this.clients;
    const options = { ...this.#casOptions(), logged: false };
    const send = (): Promise<cassandra.types.ResultSet> =>
      this.#rooms.core.run(() => core.batch(driverQueries(queries), options));
    const rows = await this.#asked('cas', what, () =>
      bytes > largeBatchBytes ? this.#rooms.largeBatches.run(send) : send(),
    );
    return answerOf(rows);
  }

  /** Rows of a class A or B table. `decide`: a Paxos round that settles what an unknown compare-and-set left. */
  async readAuthority(
    what: string,
    level: ReadLevel,
    { query, params }: Query,
  ): Promise<readonly DriverRow[]> {
    // For a SELECT the serial level stands as the consistency; serialConsistency is for conditional writes only.
    const consistency = level === 'decide' ? this.#levels.serial : this.#levels.quorum;
    const { core } = this.clients;
    const options = {
      ...{ prepare: true, executionProfile: 'authority', consistency },
      isIdempotent: level === 'look',
    };
    const { rows } = await this.#asked('read', what, () =>
      this.#rooms.core.run(() => core.execute(query, [...params], options)),
    );
    return rows;
  }

  /** Writes of class S: whole rows of one partition at the shard's own timestamp, µs. */
  async putStamped(what: string, ts: number, queries: readonly Query[]): Promise<void> {
    assert(Number.isSafeInteger(ts) && ts >= 0, 'a write of soft state has its timestamp');
    await this.#write({ what, client: 'core', queries, timestamp: ts });
  }

  /** A write of class B. */
  async putBeat(what: string, query: Query): Promise<void> {
    const { core } = this.clients;
    const options = {
      ...{ prepare: true, executionProfile: 'authority', isIdempotent: true },
      consistency: this.#levels.quorum,
    };
    await this.#asked('write', what, () =>
      this.#rooms.core.run(() => core.execute(query.query, [...query.params], options)),
    );
  }

  /** Writes of class M, of one partition, at the wall clock. */
  async append(what: string, queries: readonly Query[]): Promise<void> {
    const timestamp = this.#wallStamps.next(this.clients.metrics) ?? undefined;
    await this.#write({ what, client: 'metrics', queries, timestamp });
  }

  /** All rows of a query, a page of `pageRows` at a time. */
  async *rows(
    what: string,
    profile: ReadProfile,
    { query, params }: Query,
    pageRows = 500,
  ): AsyncGenerator<DriverRow> {
    let pageState: string | undefined;
    do {
      const options = {
        ...{ prepare: true, executionProfile: profile, consistency: this.#levels.quorum },
        ...{ isIdempotent: true, fetchSize: pageRows, autoPage: false },
        ...(pageState === undefined ? {} : { pageState }),
      };
      const page: cassandra.types.ResultSet = await this.#asked('read', what, () =>
        this.#rooms.read.run(() => this.clients.read.execute(query, [...params], options)),
      );
      yield* page.rows;
      pageState = page.pageState ?? undefined;
    } while (pageState !== undefined);
  }

  async #write(write: {
    readonly what: string;
    readonly client: 'core' | 'metrics';
    readonly queries: readonly Query[];
    readonly timestamp: number | cassandra.types.Long | undefined;
  }): Promise<void> {
    const client: DriverClient = this.clients[write.client];
    const options = {
      ...{ prepare: true, logged: false, isIdempotent: true },
      ...(write.client === 'core' ? { executionProfile: 'state' } : {}),
      consistency: this.#levels.quorum,
      ...(write.timestamp === undefined ? {} : { timestamp: write.timestamp }),
    };
    const [first] = write.queries;
    if (first === undefined) return;
    const send = (): Promise<unknown> =>
      write.queries.length === 1
        ? client.execute(first.query, [...first.params], options)
        : client.batch(driverQueries(write.queries), options);
    await this.#asked('write', write.what, () =>
      this.#repeats.run(() => this.#rooms[write.client].run(send)),
    );
  }

  #casOptions(): cassandra.QueryOptions {
    return {
      ...{ prepare: true, executionProfile: 'authority', isIdempotent: false },
      ...{ consistency: this.#levels.quorum, serialConsistency: this.#levels.serial },
    };
  }

  async #asked<Answer>(
    kind: RequestKind,
    what: string,
    ask: () => Promise<Answer>,
  ): Promise<Answer> {
    if (!this.#isOpen) throw storeError('ST_CLOSED', 'the store is closed');
    try {
      return await ask();
    } catch (error) {
      throw requestError(kind, what, error);
    }
  }
}

function answerOf(rows: cassandra.types.ResultSet): CasAnswer {
  return rows.wasApplied() ? { applied: true } : { applied: false, row: rows.first() };
}

function driverQueries(queries: readonly Query[]): { query: string; params: unknown[] }[] {
  return queries.map(({ query, params }) => ({ query, params: [...params] }));
}
