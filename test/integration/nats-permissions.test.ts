// The documented server configuration on real servers: every role does what it must, and every publish and subscription of
// another role's is refused (security.md §9). A forbidden publish throws nothing, so a listener's silence is the proof.
import { connect, Empty, type NatsConnection } from 'nats';
import t, { type Test } from 'tap';
import { natsControl } from '../../cluster/nats/control.ts';
import { inboxPrefix, subjectsOf } from '../../cluster/nats/subjects.ts';
import { systemClock, systemRandom } from '../../runtime/clock.ts';
import { listLogger } from '../conformance/transport-rig.ts';
import { eventually } from '../lab/eventually.ts';
import { documentedUsers, type NatsLab, natsLab, natsMissing } from '../lab/nats.ts';

const clock = systemClock();
const subjects = subjectsOf('c1');
const peer = (node: string) => ({ node, incarnation: 'i1' });
const environment = {
  TOCSIN_NODE1_PASSWORD: 'secret-of-node1',
  TOCSIN_NODE2_PASSWORD: 'secret-of-node2',
  TOCSIN_ZONE_LON_PASSWORD: 'secret-of-lon',
};
const passwords: Readonly<Record<string, string>> = {
  node1: environment.TOCSIN_NODE1_PASSWORD,
  node2: environment.TOCSIN_NODE2_PASSWORD,
  'zone-lon': environment.TOCSIN_ZONE_LON_PASSWORD,
  lab: 'lab',
};

/** Every subject of the wire map, the neighbours of it, and what no role may touch. */
const all: readonly string[] = [
  subjects.heartbeat('n0'),
  ...['node1', 'node2'].flatMap((node) => [
    subjects.ping(peer(node), 'n0'),
    subjects.frames(peer(node)),
    `${inboxPrefix(node)}.x`,
  ]),
  ...['lon', 'dc1'].flatMap((zone) => [subjects.probes(zone), subjects.hellos(zone)]),
  'tocsin.c1.other',
  'tocsin.c2.hb.n0',
  subjectsOf('c2').frames(peer('node1')),
  '_INBOX.x',
  '_IN.zone-lon.x',
  '$JS.API.INFO',
  '$SYS.REQ.SERVER.PING',
];

const nodePublishes = [
  subjects.heartbeat('n0'),
  ...['node1', 'node2'].flatMap((node) => [
    subjects.ping(peer(node), 'n0'),
    subjects.frames(peer(node)),
  ]),
  subjects.probes('lon'),
  subjects.probes('dc1'),
];
const nodeHears = (node: string): readonly string[] => [
  subjects.heartbeat('n0'),
  subjects.ping(peer(node), 'n0'),
  subjects.frames(peer(node)),
  `${inboxPrefix(node)}.x`,
  subjects.hellos('lon'),
  subjects.hellos('dc1'),
];

interface Role {
  readonly user: string;
  readonly publishes: readonly string[];
  /** `subject` or `subject queue`. */
  readonly hears: readonly string[];
}

const roles: readonly Role[] = [
  { user: 'node1', publishes: nodePublishes, hears: nodeHears('node1') },
  {
    user: 'node2',
    publishes: [...nodePublishes, subjects.hellos('dc1')],
    hears: [...nodeHears('node2'), `${subjects.probes('dc1')} dc1`],
  },
  {
    user: 'zone-lon',
    publishes: [subjects.hellos('lon')],
    hears: [`${subjects.probes('lon')} lon`],
  },
];

async function connected(t: Test, lab: NatsLab, user: string): Promise<NatsConnection> {
  const connection = await connect({
    servers: lab.addresses[0] as string,
    ...{ user, pass: passwords[user] as string, reconnect: false },
    inboxPrefix: inboxPrefix(user),
    tls: {
      ca: lab.authority?.ca ?? '',
      cert: lab.authority?.clientCert ?? '',
      key: lab.authority?.clientKey ?? '',
    },
  });
  t.teardown(() => connection.close());
  return connection;
}

/** True where the server lets the subscription stand: asked with a round trip behind it. */
async function maySubscribe(connection: NatsConnection, wanted: string): Promise<boolean> {
  const [subject, queue] = wanted.split(' ') as [string, string | undefined];
  let isRefused = false;
  const subscription = connection.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback: (error) => {
      if (error !== null) isRefused = true;
    },
  });
  await connection.flush();
  await new Promise((wake) => setTimeout(wake, 5));
  if (!isRefused) subscription.unsubscribe();
  return !isRefused;
}

t.test('users and permissions as documented', async (t) => {
  const missing = natsMissing(t);
  if (missing !== null) return t.comment(missing);
  const users = documentedUsers().replace('users: [', 'users: [\n{ user: lab, password: lab }');
  const lab = await natsLab(t, { isDocumented: true, users, environment });
  const listener = await connected(t, lab, 'lab');

  for (const role of roles) {
    await t.test(`${role.user} publishes what it must and nothing else`, async (t) => {
      const connection = await connected(t, lab, role.user);
      const heard = new Set<string>();
      const subscription = listener.subscribe('>', {
        callback: (_, message) => heard.add(message.subject),
      });
      await listener.flush();
      const violations: unknown[] = [];
      (async () => {
        for await (const status of connection.status()) violations.push(status.data);
      })().catch(() => undefined); // ends with the connection
      for (const subject of all) connection.publish(subject, Empty);
      await connection.flush();
      await eventually('what is allowed arrives', 3_000, () =>
        role.publishes.every((subject) => heard.has(subject)) ? true : undefined,
      );
      await new Promise((wake) => setTimeout(wake, 100));
      subscription.unsubscribe();
      t.same(
        [...heard].filter((subject) => all.includes(subject)).sort(),
        [...role.publishes].sort(),
      );
      t.equal(violations.length, all.length - role.publishes.length, 'each refusal is told');
      t.notOk(connection.isClosed());
    });

    await t.test(`${role.user} hears what it must and nothing else`, async (t) => {
      const connection = await connected(t, lab, role.user);
      const groups = ['lon', 'dc1'].map((zone) => `${subjects.probes(zone)} ${zone}`);
      const wild = ['>', 'tocsin.>', 'tocsin.c1.>', '_IN.>', 'tocsin.c1.n.>', 'tocsin.c1.zone.>'];
      const wrongGroup = [`${subjects.probes('lon')} mine`, `${subjects.probes('dc1')} mine`];
      const allowed: string[] = [];
      for (const wanted of [...all, ...groups, ...wild, ...wrongGroup]) {
        if (await maySubscribe(connection, wanted)) allowed.push(wanted);
      }
      t.same(allowed.sort(), [...role.hears].sort());
    });
  }

  await t.test('control connections of two nodes work under these permissions', async (t) => {
    const logs = listLogger();
    const planeOf = (node: string) => {
      const plane = natsControl({
        ...{ cluster: 'c1', node, servers: lab.addresses, clock, random: systemRandom() },
        logger: logs,
        login: {
          ...{ user: node, password: passwords[node] as string },
          tls: {
            handshakeFirst: false,
            ca: lab.authority?.ca ?? '',
            cert: lab.authority?.clientCert ?? '',
            key: lab.authority?.clientKey ?? '',
          },
        },
      });
      const heard = { up: new Set<string>(), beats: 0, pongs: 0, nobody: 0 };
      plane.listen({
        up: (relay) => heard.up.add(relay),
        down: (relay) => heard.up.delete(relay),
        beat: () => heard.beats++,
        pong: () => heard.pongs++,
        nobody: () => heard.nobody++,
      });
      plane.begin(peer(node));
      t.teardown(() => plane.close());
      return { plane, heard };
    };
    const [one, two] = [planeOf('node1'), planeOf('node2')];
    await eventually('all relays are up', 5_000, () =>
      one.heard.up.size + two.heard.up.size === 6 ? true : undefined,
    );
    await eventually('beats and pongs come back', 3_000, () => {
      one.plane.broadcast(new Uint8Array([1]));
      for (const relay of lab.addresses) one.plane.ping(relay, peer('node2'));
      return two.heard.beats > 3 && one.heard.pongs >= 3 ? true : undefined;
    });
    await eventually('nobody is told of a node that is not there', 3_000, () => {
      for (const relay of lab.addresses) one.plane.ping(relay, peer('node9'));
      return one.heard.nobody >= 3 ? true : undefined;
    });
    t.same(logs.lines, []);
  });

  await t.test(
    'a client without a certificate, or with a wrong password, is not let in',
    async (t) => {
      const servers = lab.addresses[0] as string;
      const tls = { ca: lab.authority?.ca ?? '' };
      const login = {
        servers,
        user: 'node1',
        pass: passwords['node1'] as string,
        reconnect: false,
      };
      await t.rejects(connect({ ...login, tls, timeout: 2_000 }));
      const files = { cert: lab.authority?.clientCert ?? '', key: lab.authority?.clientKey ?? '' };
      await t.rejects(connect({ ...login, pass: 'wrong', tls: { ...tls, ...files } }));
    },
  );
});
