// Classes A and B of a cluster in Cassandra: the agreed view in `cluster_view`, beats in `node_beat`.
// Follows storage.md §4: Q1 (view), Q2 (beats). What is in a view is not known here.
import type { Beat } from '../../runtime/cluster-ports.ts';
import type { ReadLevel } from '../../runtime/ports.ts';
import type { StoredView, ViewChange } from '../operations.ts';
import { blob, blobParam, text, whole } from './cells.ts';
import type { Session } from './session.ts';

const selectView = 'SELECT version, body FROM cluster_view WHERE cluster = ?';
const insertView =
  'INSERT INTO cluster_view (cluster, version, body) VALUES (?, ?, ?) IF NOT EXISTS';
const updateView = 'UPDATE cluster_view SET version = ?, body = ? WHERE cluster = ? IF version = ?';
const insertBeat = 'INSERT INTO node_beat (cluster, node, inc, n) VALUES (?, ?, ?, ?)';
const selectBeats = 'SELECT node, inc, n FROM node_beat WHERE cluster = ?';
const deleteBeat = 'DELETE FROM node_beat WHERE cluster = ? AND node = ? AND inc = ?';

export class CassandraViews {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async readView(level: ReadLevel): Promise<StoredView> {
    const query = { query: selectView, params: [this.#session.cluster] };
    const [row] = await this.#session.readAuthority('view', level, query);
    return row === undefined ? null : { version: whole(row, 'version'), body: blob(row, 'body') };
  }

  async casView({ from, to, body }: ViewChange): Promise<boolean> {
    const { cluster } = this.#session;
    const bytes = blobParam(body);
    const query =
      from === 0
        ? { query: insertView, params: [cluster, to, bytes] }
        : { query: updateView, params: [to, bytes, cluster, from] };
    return (await this.#session.cas('view', query)).applied;
  }

  writeBeat({ node, incarnation, n }: Beat): Promise<void> {
    const params = [this.#session.cluster, node, incarnation, n];
    return this.#session.putBeat('beat', { query: insertBeat, params });
  }

  async readBeats(): Promise<readonly Beat[]> {
    const query = { query: selectBeats, params: [this.#session.cluster] };
    const rows = await this.#session.readAuthority('beats', 'look', query);
    return rows.map((row) => ({
      ...{ node: text(row, 'node'), incarnation: text(row, 'inc') },
      n: whole(row, 'n'),
    }));
  }

  deleteBeat({ node, incarnation }: Pick<Beat, 'node' | 'incarnation'>): Promise<void> {
    const params = [this.#session.cluster, node, incarnation];
    return this.#session.putBeat('beat', { query: deleteBeat, params });
  }
}
