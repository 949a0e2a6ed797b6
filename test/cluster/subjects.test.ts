// The wire map: every subject is made and read back alike, and no name can reach into another's place.
import fc from 'fast-check';
import t from 'tap';
import { splitAddress } from '../../cluster/nats/dial.ts';
import {
  inboxPrefix,
  isInbox,
  nobodyInbox,
  parseSubject,
  peerOfNobody,
  relayOf,
  subjectsOf,
} from '../../cluster/nats/subjects.ts';

const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);

t.test('what is made is read back', async (t) => {
  fc.assert(
    fc.property(name, name, name, name, (cluster, node, incarnation, other) => {
      const subjects = subjectsOf(cluster);
      const peer = { node, incarnation };
      t.same(parseSubject(subjects.heartbeat(other)), { kind: 'heartbeat', cluster, relay: other });
      t.same(parseSubject(subjects.ping(peer, other)), {
        ...{ kind: 'ping', cluster, peer, relay: other },
      });
      t.same(parseSubject(subjects.frames(peer)), { kind: 'frames', cluster, peer });
      t.same(parseSubject(subjects.probes(other)), { kind: 'probe', cluster, zone: other });
      t.same(parseSubject(subjects.hellos(other)), { kind: 'hello', cluster, zone: other });
      const prefix = inboxPrefix(node);
      t.same(peerOfNobody(prefix, nobodyInbox(prefix, peer)), peer);
    }),
    { numRuns: 30 },
  );
});

t.test('a name that is no single token is refused', async (t) => {
  const subjects = subjectsOf('c1');
  for (const bad of ['', 'a.b', '*', '>', 'a b', 'é', 'x'.repeat(65), 'a\n']) {
    t.throws(() => subjectsOf(bad), { code: 'CL_BAD_NAME' });
    t.throws(() => subjects.heartbeat(bad), { code: 'CL_BAD_NAME' });
    t.throws(() => subjects.frames({ node: bad, incarnation: 'i' }), { code: 'CL_BAD_NAME' });
    t.throws(() => subjects.frames({ node: 'n', incarnation: bad }), { code: 'CL_BAD_NAME' });
    t.throws(() => subjects.probes(bad), { code: 'CL_BAD_NAME' });
    t.throws(() => inboxPrefix(bad), { code: 'CL_BAD_NAME' });
  }
});

t.test('other subjects are none of this map', async (t) => {
  for (const other of [
    'tocsin',
    'tocsin.c1',
    'tocsin.c1.hb',
    'tocsin.c1.hb.a.b',
    'tocsin.c1.n.node',
    'tocsin.c1.c.node.i',
    'tocsin.c1.zone.lon.other',
    'other.c1.hb.a',
    'tocsin.*.hb.a',
    '$JS.API.INFO',
  ]) {
    t.equal(parseSubject(other), null, other);
  }
  t.equal(peerOfNobody('_IN.a', '_IN.a.nobody.b'), null);
  t.equal(peerOfNobody('_IN.a', '_IN.a.nobody.b.i.x'), null);
  t.equal(peerOfNobody('_IN.a', '_IN.b.nobody.b.i'), null);
});

t.test('only an inbox of this project is answered', async (t) => {
  t.ok(isInbox('_IN.node1.x'));
  t.ok(isInbox('_IN.node1.x', 'node1'));
  t.notOk(isInbox('_IN.node1.x', 'node'));
  t.notOk(isInbox('tocsin.c1.n.node1.i'));
  t.notOk(isInbox(undefined));
});

t.test('a server is a relay by whatever it calls itself', async (t) => {
  t.equal(relayOf('n0'), 'n0');
  t.equal(relayOf('nats-1.example.net'), 'nats-1_example_net');
  t.equal(relayOf(''), '_');
  t.equal(relayOf('x'.repeat(100)).length, 64);
});

t.test('addresses of servers', async (t) => {
  t.same(splitAddress('a.example.net:4333'), { host: 'a.example.net', port: 4333 });
  t.same(splitAddress('nats://a'), { host: 'a', port: 4222 });
  t.same(splitAddress('[::1]:1'), { host: '::1', port: 1 });
  for (const bad of ['', ':1', 'a:b', 'a:70000', 'http://a:1', 'a:1:2']) {
    t.throws(() => splitAddress(bad), { code: 'CL_BAD_NAME' }, bad);
  }
});
