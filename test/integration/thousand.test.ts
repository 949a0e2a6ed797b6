// A thousand entities with a check each on the shortest period: after two minutes every slot is accounted for, none lost.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { eventually, TestNode } from './harness.ts';

const entities = 1000;
const watchedMs = 120_000;

interface Slots {
  readonly sums: Readonly<Record<'ran' | 'failed' | 'skipped' | 'lost', number>>;
}

t.test(
  `${entities} checks every 10 s for two minutes: every slot ran`,
  { timeout: 420_000 },
  async (t) => {
    let hits = 0;
    const target = createServer((_request, response) => {
      hits++;
      response.end('ok');
    }).listen(0, '127.0.0.1', 4096);
    await once(target, 'listening');
    const { port } = target.address() as AddressInfo;
    const node = await TestNode.create({ TOCSIN_MIN_PERIOD: '10' });
    t.teardown(async () => {
      await node.remove();
      target.close();
      target.closeAllConnections();
    });
    await node.start();

    const made: { entity: string; check: string }[] = [];
    const one = async (number: number) => {
      const entity = await node.create('/entities', {
        label: `host ${number}`,
        ip_addresses: { main: '127.0.0.1' },
      });
      const check = await node.create(`/entities/${entity}/checks`, {
        type: 'remote.http',
        details: { url: `http://127.0.0.1:${port}/${number}` },
        monitoring_zones_poll: ['mzlocal'],
        period: 10,
        timeout: 5,
        target_alias: 'main',
      });
      made.push({ entity, check });
    };
    const numbers = Array.from({ length: entities }, (_, at) => at);
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let number = numbers.pop(); number !== undefined; number = numbers.pop())
          await one(number);
      }),
    );
    const fromMs = Date.now() + 10_000;
    const toMs = fromMs + watchedMs;
    await eventually('two minutes and a period have gone by', watchedMs + 30_000, () =>
      Date.now() > toMs + 10_000 ? true : undefined,
    );

    const sums = { ran: 0, failed: 0, skipped: 0, lost: 0 };
    for (const { entity, check } of made) {
      const slots = await node.get<Slots>(
        `/entities/${entity}/checks/${check}/slots?from=${fromMs}&to=${toMs}`,
      );
      const mine = slots.sums;
      if (mine.ran + mine.failed + mine.skipped + mine.lost !== watchedMs / 10_000)
        t.fail(`${entity}: ${JSON.stringify(mine)}`);
      for (const name of ['ran', 'failed', 'skipped', 'lost'] as const) sums[name] += mine[name];
    }
    t.comment(JSON.stringify({ ...sums, hits }));
    t.equal(
      sums.ran + sums.failed + sums.skipped + sums.lost,
      (entities * watchedMs) / 10_000,
      'every slot is accounted for',
    );
    t.equal(sums.lost, 0, 'none is lost');
    t.equal(sums.ran, (entities * watchedMs) / 10_000, 'all ran');
    t.ok(hits >= sums.ran, 'and the target saw them');
  },
);
