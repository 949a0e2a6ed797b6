// Live state of entities asked over HTTP: latency at a constant rate (a late answer counts from when its question was due) and
// the highest rate, with 32 kept connections from a process of its own; what a query costs the node, and how busy its
// loop is. Run: node --import tsx bench/queries.ts [--dist FOLDER] [--profile FOLDER]
import { readFileSync } from 'node:fs';
import { startLoad } from './load.ts';
import { BenchNode, childrenOf, report, round, usageOf } from './rig.ts';
import { startTarget } from './target.ts';

const entities = 1000;
const connections = 32;
const windowMs = 10_000;
const warmMs = 4000;

/** CPU time of a process's main thread so far, ms. */
function loopMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

const target = await startTarget();
const load = startLoad();
const node = await BenchNode.create();
try {
  await node.start();
  const ids = await node.fill(entities, target.port, true);
  const { tenantId, token } = node.access;
  const requests = ids.map(
    (id) =>
      `GET /v1.0/${tenantId}/entities/${id}/state HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Auth-Token: ${token}\r\n\r\n`,
  );
  const asked = { port: node.port, requests, connections };
  const pids = [node.pid, ...childrenOf(node.pid)];
  const cpuMs = () => pids.reduce((sum, pid) => sum + usageOf(pid).cpuMs, 0);
  const run = async (name: string, perSecond: number) => {
    const before = { all: cpuMs(), loop: loopMs(node.pid) };
    const { tookMs, ...seen } = await load.run({ ...asked, perSecond, windowMs });
    const loop = loopMs(node.pid) - before.loop;
    report({
      ...{ bench: 'queries', case: name, entities, connections, ...seen },
      perSecond: Math.round((seen.queries / tookMs) * 1000),
      // The checks of the entities, 100 a second, are in both.
      cpuUsEach: Math.round(((cpuMs() - before.all) * 1000) / seen.queries),
      loopUsEach: Math.round((loop * 1000) / seen.queries),
      loopBusyShare: round(loop / tookMs),
    });
  };
  await load.run({ ...asked, perSecond: 0, windowMs: warmMs });
  await run('1,000 a second', 1000);
  await run('5,000 a second', 5000);
  await run('as fast as it answers', 0);
} finally {
  load.close();
  await node.remove();
  target.close();
}
