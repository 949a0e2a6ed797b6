// The nodes' copies of a tenant's documents: pushed, read at a shard's load, read again, never taken back.
import t from 'tap';
import { type TenantCopies, tenantCopies } from '../../cluster/tenant-copies.ts';
import { encodeValue } from '../../runtime/codec.ts';
import { DocumentsCache } from '../../runtime/documents.ts';
import { actorKey, shardOf } from '../../runtime/ids.ts';
import type { Message } from '../../runtime/message.ts';
import { createMemoryStore } from '../../store/memory/store.ts';
import { settle, TestClock } from '../clock.ts';

const tenant = 't1';
const key = actorKey(tenant);

class Net {
  readonly clock = new TestClock();
  readonly #services = new Map<string, (message: Message, from: string) => unknown>();
  isLossy = false;
  isDown = false;
  reads = 0;
  readonly store = createMemoryStore({
    faults: {
      before: (name) => {
        if (name === 'readDocuments') this.reads++;
        return this.isDown ? 'unavailable' : undefined;
      },
    },
  });
  #ts = 1;

  async put(rev: number, text: string): Promise<void> {
    const row = { key, kind: 16 as const, id: 'root', rev, body: encodeValue({ rev, text }) };
    await this.store.states.putDocuments(shardOf(key), this.#ts++, [row]);
  }

  node(name: string, isNeeded = () => true): { copies: TenantCopies; documents: DocumentsCache } {
    const documents = new DocumentsCache();
    const quiet = (): void => undefined;
    const copies = tenantCopies({
      states: this.store.states,
      documents,
      link: {
        serve: (kind, handler) => this.#services.set(`${name} ${kind}`, handler),
        tellNode: (node, message) => {
          if (!this.isLossy) this.#services.get(`${node} ${message.kind}`)?.(message, name);
        },
      },
      others: () => ['a', 'b'].filter((other) => other !== name),
      isNeeded,
      fold: (_, rows) => {
        const root = rows[0]?.body as { rev: number; text: string } | undefined;
        return root === undefined
          ? null
          : { rev: root.rev, documents: new Map([['x', root.text]]) };
      },
      pack: (copy) => [...(copy as Map<string, string>)],
      unpack: (data) => new Map(data as [string, string][]),
      clock: this.clock,
      logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      meter: { count: quiet, gauge: quiet },
    });
    return { copies, documents };
  }
}

const textOf = ({ documents }: { documents: DocumentsCache }): unknown =>
  (documents.get(tenant)?.documents as Map<string, string> | undefined)?.get('x');

t.test('a change reaches every member that needs it, as a push', async (t) => {
  const net = new Net();
  const [a, b] = [net.node('a'), net.node('b')];
  a.copies.publish(tenant, 1, new Map([['x', 'one']]));
  t.equal(textOf(a), 'one');
  t.equal(textOf(b), 'one');
  a.copies.publish(tenant, 1, new Map([['x', 'other']]));
  t.equal(textOf(b), 'one', 'a rev stands for one content');
  t.equal(net.reads, 0);
});

t.test('a loaded shard reads the copy once, and a lost push is mended within 30 s', async (t) => {
  const net = new Net();
  const [a, b] = [net.node('a'), net.node('b')];
  await net.put(1, 'one');
  await Promise.all([b.copies.want(tenant), b.copies.want(tenant)]);
  t.equal(textOf(b), 'one');
  t.equal(net.reads, 1);
  net.isLossy = true;
  await net.put(2, 'two');
  a.copies.publish(tenant, 2, new Map([['x', 'two']]));
  t.equal(textOf(b), 'one');
  await net.clock.advance(30_000);
  t.equal(textOf(b), 'two');
  await net.put(1, 'stale replica');
  await net.clock.advance(30_000);
  t.equal(textOf(b), 'two', 'never back');
  t.equal(await a.copies.read('t9'), null);
});

t.test('a push that skips a rev is followed by a read', async (t) => {
  const net = new Net();
  const [a, b] = [net.node('a'), net.node('b')];
  a.copies.publish(tenant, 1, new Map([['x', 'one']]));
  await net.put(4, 'four');
  a.copies.publish(tenant, 3, new Map([['x', 'three']]));
  t.equal(textOf(b), 'three');
  await settle();
  t.equal(textOf(b), 'four');
});

t.test('the store away: what is there stays; a copy that nobody needs is forgotten', async (t) => {
  const net = new Net();
  let needed = true;
  const b = net.node('b', () => needed);
  net.isDown = true;
  await b.copies.want(tenant);
  t.equal(textOf(b), undefined);
  await t.rejects(b.copies.read(tenant), { code: 'ST_UNAVAILABLE' });
  net.isDown = false;
  await net.put(1, 'one');
  await net.clock.advance(30_000);
  t.equal(textOf(b), 'one', 'read with the next round');
  needed = false;
  await net.clock.advance(30_000);
  t.equal(b.copies.size, 0);
  t.equal(textOf(b), undefined);
  b.copies.stop();
  await net.clock.advance(100_000);
  t.equal(net.reads > 0, true);
});
