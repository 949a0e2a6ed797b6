// The prober as a process of its own: answers over IPC, killed, frozen, orphaned, stopped; its settings and exit codes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import t, { type Test } from 'tap';
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { proberArguments } from '../../prober/launch.ts';
import { createLinkLog, isProbeRequest, type ProberFrame } from '../../prober/link.ts';
import { type LocalProber, type LocalProberOptions, startLocalProber } from '../../prober/local.ts';
import { readSettings, writeSettings } from '../../prober/settings.ts';
import { rawServer } from './hostile.ts';

let requests = 0;

function requestOf(details: object, more: Partial<ProbeRequest> = {}): ProbeRequest {
  requests += 1;
  return {
    id: `request-${requests}`,
    zone: 'mztest',
    type: 'remote.http',
    details: { ...details },
    target: '127.0.0.1',
    resolver: null,
    timeoutMs: 5000,
    debug: false,
    ...more,
  };
}

const ask = (prober: LocalProber, details: object, more: Partial<ProbeRequest> = {}) =>
  new Promise<ProbeAnswer>((resolve) => prober.submit(requestOf(details, more), resolve));

function start(t: Test, options: Partial<LocalProberOptions> = {}) {
  const log: string[] = [];
  const prober = startLocalProber({
    zone: 'mztest',
    egress: 'local',
    onLog: (event) => log.push(event),
    ...options,
  });
  t.teardown(() => prober.stop(100));
  return { prober, log };
}

async function until(fact: () => boolean, withinMs = 10_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!fact()) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${fact}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function page(t: Test): Promise<number> {
  const server = http.createServer((_request, response) => response.end('ok'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

t.test('a thousand requests: each answered once, with its own id', async (t) => {
  const port = await page(t);
  const { prober, log } = start(t);
  const early = ask(prober, { url: `http://127.0.0.1:${port}/` });
  await prober.ready;
  t.match(await early, { available: true }, 'requests may come before the process is ready');
  let calls = 0;
  const answers = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => {
      const request = requestOf({ url: `http://127.0.0.1:${port}/${i}` });
      return new Promise<boolean>((resolve) => {
        prober.submit(request, (answer) => {
          calls += 1;
          resolve(answer.id === request.id && answer.outcome === 'observed' && answer.available);
        });
      });
    }),
  );
  t.ok(answers.every((isRight) => isRight));
  t.equal(calls, 1000);
  t.match(prober.stats(), { restarts: 0, inFlight: 0, answered: 1001, unanswered: 0 });
  t.match(prober.stats().checkTypes, ['remote.dns', 'remote.http']);
  t.match(log, ['prober-ready']);
  t.match(await ask(prober, {}, { target: '169.254.169.254', type: 'remote.tcp' }), {
    errorClass: 'invalid-request',
  });
  t.match(await ask(prober, { port: 80 }, { target: '169.254.169.254', type: 'remote.tcp' }), {
    status: "prevented by ACL 'global'",
  });
  t.ok(log.includes('target-refused'), 'the operator is told');
  t.match(
    await ask(prober, { port: 1 }, { timeoutMs: -1 }),
    { failure: 'no-prober' },
    'what is no request is not answered',
  );
});

t.test('kill -9: what is in flight ends at once as no-prober, and it starts again', async (t) => {
  const silent = await rawServer(t, (socket) => socket.on('data', () => undefined));
  const port = await page(t);
  const { prober } = start(t);
  await prober.ready;
  const before = prober.stats().pid as number;
  const stuck = Array.from({ length: 20 }, () =>
    ask(prober, { url: `http://127.0.0.1:${silent}/` }),
  );
  await ask(prober, { url: `http://127.0.0.1:${port}/` });
  process.kill(before, 'SIGKILL');
  const killedMs = performance.now();
  for (const answer of await Promise.all(stuck))
    t.match(answer, { outcome: 'failed', failure: 'no-prober' });
  t.ok(performance.now() - killedMs < 500, 'nobody waits for the timeout');
  t.match(await ask(prober, {}), { failure: 'no-prober' }, 'while it is away');
  await until(() => prober.stats().pid !== null && prober.stats().pid !== before);
  t.match(await ask(prober, { url: `http://127.0.0.1:${port}/` }), { available: true });
  t.match(prober.stats(), { restarts: 1, unanswered: 20 });
});

t.test('a frozen prober: overdue requests fail, the process is replaced', async (t) => {
  const port = await page(t);
  const { prober, log } = start(t);
  await prober.ready;
  const before = prober.stats().pid as number;
  process.kill(before, 'SIGSTOP');
  const startedMs = performance.now();
  t.match(await ask(prober, { url: `http://127.0.0.1:${port}/` }, { timeoutMs: 300 }), {
    failure: 'no-prober',
  });
  const tookMs = performance.now() - startedMs;
  t.ok(tookMs >= 1300 && tookMs < 2500, `timeout + 1000 ms, took ${Math.round(tookMs)}`);
  await until(() => log.includes('prober-ended') && !isAlive(before));
  await until(() => log.filter((event) => event === 'prober-ready').length === 2);
  t.match(await ask(prober, { url: `http://127.0.0.1:${port}/` }), { available: true });
});

t.test('bounds: too many in flight, an id twice, a full queue, after stop', async (t) => {
  const silent = await rawServer(t, (socket) => socket.on('data', () => undefined));
  const { prober } = start(t, { inFlightMax: 5, attemptsMax: 1, queueLengthMax: 1 });
  await prober.ready;
  const url = `http://127.0.0.1:${silent}/`;
  const twice = requestOf({ url }, { timeoutMs: 400 });
  const first = new Promise<ProbeAnswer>((resolve) => prober.submit(twice, resolve));
  const second = new Promise<ProbeAnswer>((resolve) => prober.submit(twice, resolve));
  t.match(await second, { failure: 'internal', message: /twice/ });
  const more = Array.from({ length: 5 }, () => ask(prober, { url }, { timeoutMs: 400 }));
  t.match(await more[4], { failure: 'overloaded' }, 'the adapter holds five');
  t.match(await more[1], { failure: 'overloaded' }, 'the process holds two');
  t.match(await first, { outcome: 'observed', errorClass: 'timeout' });
  const last = ask(prober, { url }, { timeoutMs: 300 });
  const stopping = prober.stop(5000);
  t.match(await ask(prober, { url }), { failure: 'no-prober', message: /stopping/ });
  t.match(await last, { id: /request/ }, 'stop waits for answers');
  const pid = prober.stats().pid;
  await stopping;
  t.equal(prober.stats().inFlight, 0);
  t.notOk(pid !== null && isAlive(pid));
});

t.test('stop before it is ready, and of one that is stuck', async (t) => {
  const hasty = startLocalProber({ zone: 'mztest', egress: 'local' });
  const { pid } = hasty.stats();
  await Promise.all([t.rejects(hasty.ready), hasty.stop(0)]);
  t.notOk(isAlive(pid as number));
  const { prober } = start(t);
  await prober.ready;
  const stuck = prober.stats().pid as number;
  process.kill(stuck, 'SIGSTOP');
  const waiting = ask(prober, { url: 'http://127.0.0.1:1/' });
  await prober.stop(50);
  t.match(await waiting, { failure: 'no-prober' });
  t.notOk(isAlive(stuck));
});

t.test('a node that dies takes its prober along', async (t) => {
  const script = `
    const { startLocalProber } = await import(${JSON.stringify(new URL('../../prober/local.ts', import.meta.url).href)});
    const prober = startLocalProber({ zone: 'mztest', egress: 'local' });
    await prober.ready;
    process.stdout.write(String(prober.stats().pid));
  `;
  const node = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  t.teardown(() => node.kill('SIGKILL'));
  const [printed] = (await once(node.stdout, 'data')) as [Buffer];
  const pid = Number(printed.toString());
  t.ok(isAlive(pid));
  node.kill('SIGKILL');
  await until(() => !isAlive(pid), 5000);
  t.pass('the orphan ended itself');
});

const exitOf = async (child: ChildProcess): Promise<unknown> => (await once(child, 'exit'))[0];

t.test('exit codes say why a prober did not start', async (t) => {
  const run = (env: Record<string, string>, stdio: 'ipc' | 'ignore') =>
    spawn(process.execPath, proberArguments(), {
      env,
      stdio: ['ignore', 'ignore', 'ignore', stdio],
    });
  t.equal(await exitOf(run({}, 'ignore')), 65, 'no channel');
  t.equal(await exitOf(run({ TOCSIN_PROBER_EGRESS: 'all' }, 'ipc')), 64);
  t.equal(await exitOf(run({ TOCSIN_PROBER_DENY: '10.0.0.0/99' }, 'ipc')), 64);
  t.equal(await exitOf(run({ TOCSIN_PROBER_ANCHORS: 'example.com' }, 'ipc')), 64);
  const stopped = run({}, 'ipc');
  await once(stopped, 'message');
  stopped.kill('SIGTERM');
  t.equal(await exitOf(stopped), 0);
});

t.test('settings go through the environment unchanged; code from strings is off', async (t) => {
  const settings = {
    zone: 'mza',
    egress: 'public',
    deny: ['10.0.0.0/8'],
    allow: ['10.1.0.0/16', 'fd00::/8'],
    anchors: ['1.1.1.1:53'],
    self: { host: '::1', port: 7420 },
    attemptsMax: 10,
    queueLengthMax: null,
    userAgent: 'x',
  } as const;
  t.same(readSettings(writeSettings(settings)), { ...settings, icmpFd4: null, icmpFd6: null });
  t.match(
    readSettings({ ICMP_FD: '4' }),
    { egress: 'public', icmpFd4: 4 },
    'public unless somebody says local',
  );
  t.throws(() => readSettings({ ICMP_FD: 'x' }), { name: 'ProberSettingsError' });
  t.throws(() => readSettings({ TOCSIN_PROBER_SELF: 'x' }), { name: 'ProberSettingsError' });
  t.ok(proberArguments().includes('--disallow-code-generation-from-strings'));
  t.notOk(isProbeRequest({ id: 1 }));
  const sent: ProberFrame[] = [];
  const log = createLinkLog({ send: (frame) => sent.push(frame) });
  for (let i = 0; i < 100; i += 1) log('noise', {});
  t.equal(sent.length, 20, 'a noisy prober is cut');
});
