// The migrator's requests: definitions one at a time with agreement of all servers, and compare-and-set that is asked again
// until it is answered (each of its statements may run twice). One client of its own, with time.
import type { Clock, Logger } from '../../runtime/ports.ts';
import { storeError } from '../errors.ts';
import {
  type CassandraOptions,
  type DriverClient,
  type DriverRow,
  levelsOf,
  makeSchemaClient,
} from './clients.ts';
import { mayRetry, requestError } from './driver-error.ts';

const casTries = 20;
const casPauseMs = 150;
const agreementMs = 60_000;

interface SchemaAgreement {
  checkSchemaAgreement(): Promise<boolean>;
}

export class SchemaLink {
  readonly #client: DriverClient;
  readonly #levels: ReturnType<typeof levelsOf>;
  readonly #clock: Clock;
  readonly report: (cause: unknown) => void;

  constructor(options: Omit<CassandraOptions, 'cluster'>, clock: Clock, logger: Logger) {
    this.#client = makeSchemaClient(options);
    this.#levels = levelsOf(options.serial);
    this.#clock = clock;
    this.report = (cause) => logger.warn('cassandra.schema', { cause });
  }

  async connect(): Promise<void> {
    await this.#asked('connect', () => this.#client.connect());
  }

  async close(): Promise<void> {
    await this.#client.shutdown();
  }

  /** Goes on in this keyspace. */
  async use(keyspace: string): Promise<void> {
    await this.#asked(`keyspace ${keyspace}`, () =>
      this.#client.execute(`USE ${keyspace}`, [], { prepare: false }),
    );
  }

  async rows(query: string, params: readonly unknown[]): Promise<readonly DriverRow[]> {
    const options = { prepare: true, consistency: this.#levels.quorum };
    const { rows } = await this.#asked(query, () =>
      this.#client.execute(query, [...params], options),
    );
    return rows;
  }

  /** Rows of a system table of each server that is up; none of one that does not answer. */
  async rowsOfEach(
    query: string,
  ): Promise<readonly { address: string; rows: readonly DriverRow[] }[]> {
    const up = this.#client.hosts.values().filter((host) => host.isUp());
    return Promise.all(
      up.map(async (host) => {
        try {
          const { rows } = await this.#client.execute(query, [], { prepare: false, host });
          return { address: host.address, rows };
        } catch (error) {
          this.report(error);
          return { address: host.address, rows: [] };
        }
      }),
    );
  }

  /** A definition; resolves once all servers have it. */
  async define(statement: string): Promise<void> {
    const result = await this.#asked(statement.slice(0, 80), () =>
      this.#client.execute(statement, [], { prepare: false, isIdempotent: true }),
    );
    // Both stand in the driver's documentation and not in its types.
    const info = result.info as { readonly isSchemaInAgreement?: boolean };
    if (info.isSchemaInAgreement !== true) await this.#agreed();
  }

  async #agreed(): Promise<void> {
    const metadata = this.#client.metadata as unknown as SchemaAgreement;
    const deadlineMonoMs = this.#clock.monoMs() + agreementMs;
    while (!(await metadata.checkSchemaAgreement())) {
      if (this.#clock.monoMs() > deadlineMonoMs) {
        throw storeError('ST_UNAVAILABLE', 'the servers do not agree on the schema');
      }
      await this.#pause(200);
    }
  }

  /** A conditional statement that may run twice; asked again where its outcome is unknown. */
  async cas(
    query: string,
    params: readonly unknown[],
  ): Promise<{ readonly applied: boolean; readonly row: DriverRow | null }> {
    const options = {
      ...{ prepare: true, isIdempotent: false },
      ...{ consistency: this.#levels.quorum, serialConsistency: this.#levels.serial },
    };
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await this.#client.execute(query, [...params], options);
        return { applied: result.wasApplied(), row: result.first() };
      } catch (error) {
        if (attempt >= casTries || !(mayRetry(error) || isNotThereYet(error)))
          throw requestError('cas', query, error);
      }
      await this.#pause(casPauseMs * Math.min(attempt, 5));
    }
  }

  async #asked<Answer>(what: string, ask: () => Promise<Answer>): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        if (attempt >= casTries || !isNotThereYet(error)) throw requestError('read', what, error);
      }
      await this.#pause(casPauseMs * Math.min(attempt, 5));
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.schedule(this.#clock.monoMs() + ms, resolve);
    });
  }
}

/** A server that has not heard of a definition yet, though another one acknowledged it. */
function isNotThereYet(error: unknown): boolean {
  return error instanceof Error && /does not exist|unconfigured table/i.test(error.message);
}
