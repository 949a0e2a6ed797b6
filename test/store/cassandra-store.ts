// Stores over one keyspace of the test servers, made once and dropped with the test; each store is a runtime cluster of its own.
import { randomBytes } from 'node:crypto';
import cassandra from 'cassandra-driver';
import type { Test } from 'tap';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import type { ClusterStore } from '../../runtime/cluster-ports.ts';
import { type CassandraStoreOptions, openCassandraStore } from '../../store/cassandra/store.ts';
import type { LabContact } from '../lab/cassandra.ts';

const quiet = (): void => undefined;
export const quietLogger = { debug: quiet, info: quiet, warn: quiet, error: quiet };

export class TestKeyspace {
  readonly name = `tocsin_test_${randomBytes(5).toString('hex')}`;
  readonly contact: LabContact;
  readonly replicas: number;

  constructor(contact: LabContact, replicas: number) {
    this.contact = contact;
    this.replicas = replicas;
  }

  options(more: Partial<CassandraStoreOptions> = {}): CassandraStoreOptions {
    return {
      ...this.contact,
      keyspace: this.name,
      cluster: `c${randomBytes(5).toString('hex')}`,
      serial: 'local',
      // A shared machine under load: what is asked here is not how fast it answers.
      authorityMs: 5_000,
      replicas: { [this.contact.localDataCenter]: this.replicas },
      clock: systemClock(),
      random: systemRandom(),
      logger: quietLogger,
      ...more,
    };
  }

  /** A store that ends with the test; of a new cluster unless `more` names one. */
  async open(t: Test, more: Partial<CassandraStoreOptions> = {}): Promise<ClusterStore> {
    const store = await openCassandraStore(this.options(more));
    t.teardown(() => store.close());
    return store;
  }

  /** A client of the bare driver in this keyspace. */
  async client(t: Test): Promise<cassandra.Client> {
    const { contactPoints, port, localDataCenter } = this.contact;
    const client = new cassandra.Client({
      ...{ contactPoints: [...contactPoints], localDataCenter, keyspace: this.name },
      protocolOptions: { port },
      queryOptions: { prepare: true, consistency: cassandra.types.consistencies.localQuorum },
    });
    await client.connect();
    t.teardown(() => client.shutdown());
    return client;
  }
}
