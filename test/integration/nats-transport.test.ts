// The transport suite on a real NATS cluster; then what only real servers can do: be killed, hang, come back, refuse a
// password, want TLS.
import t, { type Test } from 'tap';
import { frameLimits } from '../../cluster/limits.ts';
import type { NatsLogin } from '../../cluster/nats/dial.ts';
import { Line } from '../../cluster/nats/line.ts';
import { natsWire } from '../../cluster/nats/wire.ts';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/ports.ts';
import { seededRandom } from '../clock.ts';
import { transportSuite } from '../conformance/transport.ts';
import { listLogger, Rig } from '../conformance/transport-rig.ts';
import { eventually } from '../lab/eventually.ts';
import { givenServers, type LabOptions, type NatsLab, natsLab, natsMissing } from '../lab/nats.ts';

const clock = systemClock();
const open: NatsLogin = { tls: null };

function natsRig(t: Test, servers: readonly string[], login = open): Rig {
  return new Rig(t, (node, meter) =>
    natsWire({
      ...{ cluster: 'c1', node, servers, login, clock, meter },
      ...{ random: systemRandom(), logger: listLogger() },
    }),
  );
}

t.test('servers that were given', async (t) => {
  const servers = givenServers();
  if (servers.length === 0) return t.comment('TOCSIN_TEST_NATS names none');
  await transportSuite(t, async (t) => natsRig(t, servers));
});

t.test('real NATS servers', async (t) => {
  const missing = natsMissing(t);
  if (missing !== null) return t.comment(missing);
  const lab = await natsLab(t);
  await t.test('suite', (t) => transportSuite(t, async (t) => natsRig(t, lab.addresses)));

  await t.test('a killed server is left at once, a frozen one within 1.5 s', async (t) => {
    const rig = new Rig(t, (node, meter) => {
      // Each node begins at its own server: the order is drawn from this.
      const random = seededRandom(node === 'a' ? 1 : 2);
      const place = { cluster: 'c1', node, servers: lab.addresses, login: open };
      return natsWire({ ...place, clock, meter, random, logger: listLogger() });
    });
    rig.member('a', 'i1');
    rig.member('b', 'i1');
    const [a, b] = [await rig.open('a', 'i1'), await rig.open('b', 'i1')];
    let heardAtMs = performance.now();
    b.onFrame((from) => b.send(from, new Uint8Array([1])));
    a.onFrame(() => {
      heardAtMs = performance.now();
    });
    let longestMs = 0;
    const talk = async (forMs: number): Promise<void> => {
      const untilMs = performance.now() + forMs;
      while (performance.now() < untilMs) {
        a.send('b', new Uint8Array([2]));
        longestMs = Math.max(longestMs, performance.now() - heardAtMs);
        await new Promise((wake) => setTimeout(wake, 5));
      }
    };
    await talk(500);
    longestMs = 0;
    for (const server of lab.servers) {
      await server.kill();
      await talk(800);
      await server.restart();
      await talk(1_500); // routes come back after a second
    }
    t.ok(longestMs < 1_500, `killed, one after another: longest silence ${longestMs.toFixed()} ms`);
    t.comment(`kill: ${longestMs.toFixed()} ms`);
    longestMs = 0;
    for (const server of lab.servers) {
      server.freeze();
      await talk(2_500);
      server.thaw();
      await talk(1_500);
    }
    t.ok(longestMs < 1_500, `frozen, one after another: longest silence ${longestMs.toFixed()} ms`);
    t.comment(`freeze: ${longestMs.toFixed()} ms`);
  });

  await t.test(
    'with no server at all sends are kept, refused when full, and nothing hangs',
    async (t) => {
      const rig = natsRig(t, [lab.server(2).address]);
      rig.member('a', 'i1');
      rig.member('b', 'i1');
      const [a, b] = [await rig.open('a', 'i1'), await rig.open('b', 'i1')];
      let got = 0;
      b.onFrame(() => got++);
      await lab.server(2).kill();
      await eventually('a sees it', 2_000, () => (a.isConnected ? undefined : true));
      const codes: string[] = [];
      for (let n = 0; n < 5_000; n++) {
        try {
          a.send('b', new Uint8Array([n & 255]));
        } catch (error) {
          codes.push((error as { code: string }).code);
        }
      }
      t.equal(codes.length, 5_000 - frameLimits.queueMessages);
      t.ok(codes.every((code) => code === 'RT_QUEUE_FULL'));
      await lab.server(2).restart();
      await eventually('both are back', 3_000, () =>
        a.isConnected && b.isConnected ? true : undefined,
      );
      await eventually('messages flow again', 3_000, () => {
        a.send('b', new Uint8Array([1]));
        return got > 0 ? true : undefined;
      });
    },
  );
});

t.test('dialling', async (t) => {
  const missing = natsMissing(t);
  if (missing !== null) return t.comment(missing);
  const lineTo = (lab: NatsLab, login: NatsLogin, logger: Logger) => {
    let ups = 0;
    const line = new Line({
      ...{ nextAddress: () => lab.server(0).address, login, logger, clock, name: 'test' },
      ...{ random: systemRandom(), inboxPrefix: '_IN.test', timeoutMs: 1_000 },
      onUp: () => ups++,
      onDown: () => undefined,
    });
    t.teardown(() => line.close());
    return { line, ups: () => ups };
  };

  await t.test('a frozen server collects no sockets, and gets one when it wakes', async (t) => {
    const lab = await natsLab(t, { servers: 1 });
    const { line, ups } = lineTo(lab, open, listLogger());
    await eventually('up', 3_000, () => (ups() === 1 ? true : undefined));
    lab.server(0).freeze();
    line.drop();
    await new Promise((wake) => setTimeout(wake, 2_000));
    const sockets = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    t.ok(sockets.length <= 1, `${sockets.length} sockets`);
    lab.server(0).thaw();
    await eventually('up again', 2_000, () => (ups() === 2 ? true : undefined));
    await line.close();
  });

  await t.test(
    'a wrong password is reported once and clearly, and asked again seldom',
    async (t) => {
      const users = 'authorization { users: [ { user: node1, password: secret } ] }';
      const lab = await natsLab(t, { servers: 1, users });
      const logger = listLogger();
      const { line, ups } = lineTo(lab, { user: 'node1', password: 'wrong', tls: null }, logger);
      await new Promise((wake) => setTimeout(wake, 1_500));
      t.equal(ups(), 0);
      t.equal(logger.lines.length, 1);
      t.match(logger.lines[0], /^nats\.refused .*refuses this node/);
      t.notMatch(logger.lines[0], 'wrong');
      await line.close();
      const { ups: right } = lineTo(lab, { user: 'node1', password: 'secret', tls: null }, logger);
      await eventually('the right one opens', 2_000, () => (right() === 1 ? true : undefined));
    },
  );

  for (const tls of ['tls', 'handshake-first'] as const) {
    await t.test(`${tls}: the right authority is needed`, async (t) => {
      const lab = await natsLab(t, { servers: 1, tls } satisfies LabOptions);
      const handshakeFirst = tls === 'handshake-first';
      const logger = listLogger();
      const bad = lineTo(lab, { tls: { handshakeFirst } }, logger);
      await eventually('it is refused', 3_000, () => (logger.lines.length > 0 ? true : undefined));
      t.match(logger.lines[0], /^nats\.refused /);
      t.equal(bad.ups(), 0);
      await bad.line.close();
      const login = { tls: { handshakeFirst, ca: lab.authority?.ca ?? '' } };
      const good = lineTo(lab, login, listLogger());
      await eventually('it is let in', 3_000, () => (good.ups() === 1 ? true : undefined));
      await good.line.close();
    });
  }
});
