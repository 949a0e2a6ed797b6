// The hostile zoo through a real prober process: every server ends in its own error class before its deadline; bad
// certificates are told by probes and refused where verification is on; nobody gets to an address that egress denies.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import t from 'tap';
import type { ProbeAnswer, ProbeRequest } from '../../actors/check/types.ts';
import { runAttempt } from '../../prober/attempt.ts';
import { createEgress, type Egress } from '../../prober/egress/dial.ts';
import type { EgressPurpose } from '../../prober/egress/policy.ts';
import { type LocalProber, startLocalProber } from '../../prober/local.ts';
import { makeCertificates, zooName } from '../hostile/certificates.ts';
import {
  disguises,
  hopAddress,
  hopNetwork,
  literalsOf,
  lyingNameServer,
  ownForms,
  type Preset,
  refusedForms,
  setTrap,
} from '../hostile/ssrf.ts';
import { openTour, travel } from '../hostile/zoo.ts';
import { Zoo } from '../hostile/zoo-server.ts';
import { attemptPorts } from '../prober/hostile.ts';

const folder = mkdtempSync(join(tmpdir(), 'tocsin-zoo-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const presets: readonly Preset[] = ['local', 'public'];
let requests = 0;

function requestOf(more: Partial<ProbeRequest>): ProbeRequest {
  requests += 1;
  return {
    id: `trap-${requests}`,
    zone: 'mzzoo',
    type: 'remote.http',
    details: {},
    target: '127.0.0.1',
    resolver: null,
    timeoutMs: 5000,
    debug: false,
    ...more,
  };
}

/** Runs tasks, at most so many at once. */
async function eachOf<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const walk = async (): Promise<void> => {
    while (next < items.length) await run(items[next++] as T);
  };
  await Promise.all(Array.from({ length: 32 }, walk));
}

t.test('each hostile server ends in its own class, in time, and the prober lives', async (t) => {
  const tour = await openTour(join(folder, 'tour'));
  t.teardown(tour.close);
  t.ok(tour.servers >= 40, `${tour.servers} servers`);
  const pid = tour.prober.stats().pid;
  const faults = await travel(tour, tour.stops.length * 2, 24);
  t.same([...faults.keys()], []);
  t.match(tour.prober.stats(), { pid, restarts: 0, unanswered: 0, inFlight: 0 });
  const bad = tour.log.filter((line) => /probe-error|probe-overran|prober-(?!ready)/.test(line));
  t.same(bad, [], 'nothing unexpected happened inside the prober');
});

t.test('bad certificates: told by probes, refused where verification is on', async (t) => {
  const certificates = makeCertificates(join(folder, 'certificates'));
  t.ok(certificates.bad.length >= 25, `${certificates.bad.length} bad certificates`);
  const zoo = new Zoo();
  t.teardown(() => zoo.close());
  const serve = ({ key, cert }: { key: string; cert: string }): Promise<number> => {
    const server = tls.createServer({ key, cert, ciphers: 'DEFAULT@SECLEVEL=0' }, (socket) => {
      zoo.adopt(socket);
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'),
      );
    });
    server.on('tlsClientError', () => undefined);
    return zoo.listen(server);
  };
  const egress = createEgress({ preset: 'local' });
  const verified = (port: number, servername: string) =>
    egress.connect({
      host: '127.0.0.1',
      port,
      purpose: 'notify',
      timeoutMs: 5000,
      tls: { servername, ca: certificates.root },
    });
  const good = await verified(await serve(certificates.good), zooName);
  t.match(good.socket, { authorized: true }, 'the good one is taken');
  good.socket.destroy();

  const trusted = { NODE_EXTRA_CA_CERTS: join(folder, 'certificates', 'root.pem') };
  const prober = startLocalProber({ zone: 'mzzoo', egress: 'local', environment: trusted });
  t.teardown(() => prober.stop(100));
  await prober.ready;
  for (const { name, host, problem, ...pair } of certificates.bad) {
    const port = await serve(pair);
    await t.rejects(
      verified(port, host).then(({ socket }) => socket.destroy()),
      { name: 'ProbeError', errorClass: 'tls-handshake' } as unknown as Error,
      `refused: ${name}`,
    );
    const answer = await new Promise<ProbeAnswer>((resolve) =>
      prober.submit(requestOf({ details: { url: `https://${host}:${port}/` } }), resolve),
    );
    t.match(answer, { outcome: 'observed', available: true, errorClass: null }, `probed: ${name}`);
    if (answer.outcome !== 'observed') continue;
    const metrics = new Map(answer.metrics.map(([metric, , value]) => [metric, value]));
    t.equal(metrics.get('cert_error'), problem, `told: ${name}`);
    for (const value of metrics.values()) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      t.notMatch(String(value), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      t.ok(String(value).length <= 1024);
    }
  }
  t.match(prober.stats(), { restarts: 0 });
});

const ask = (prober: LocalProber, request: ProbeRequest): Promise<ProbeAnswer> =>
  new Promise((resolve) => prober.submit(request, resolve));
/** A name that is none of this machine's, as a mangled form becomes one, leads nowhere. */
const refusals = ['target-not-allowed', 'invalid-target', 'redirect-refused', 'dns-failure'];
const isRefused = (answer: ProbeAnswer): boolean =>
  answer.outcome === 'observed' && refusals.includes(answer.errorClass ?? '');

for (const preset of presets) {
  t.test(`SSRF under ${preset}, through a prober: 0 escapes`, async (t) => {
    const trap = await setTrap();
    t.teardown(() => trap.close());
    const allow = preset === 'public' ? [hopNetwork] : [];
    const prober = startLocalProber({ zone: 'mzzoo', egress: preset, allow });
    t.teardown(() => prober.stop(100));
    await prober.ready;
    const forms = refusedForms(preset);
    const urls = forms.map((form) => `${form}:${trap.sentinelPort}`);
    const direct = forms.map((form) =>
      requestOf({ target: form, details: { url: `http://good.example:${trap.sentinelPort}/` } }),
    );
    const tcp = forms.map((form) =>
      requestOf({ type: 'remote.tcp', target: form, details: { port: trap.sentinelPort } }),
    );
    const dns = forms.map((form) =>
      requestOf({
        type: 'remote.dns',
        target: form,
        details: { port: trap.sentinelPort, query: 'x.test', record_type: 'A' },
      }),
    );
    const through = (count: number, location: string) => {
      const url = trap.chain(count, location);
      return requestOf({ target: new URL(url).hostname, details: { url } });
    };
    const redirected = urls.flatMap((url) => [
      ...[1, 2, 3, 4, 5].map((count) => through(count, `http://${url}/`)),
      ...disguises.map((disguise) => through(1, disguise.replace('{}', url))),
    ]);
    const faults: string[] = [];
    await eachOf([...direct, ...tcp, ...dns, ...redirected], async (request) => {
      const answer = await ask(prober, request);
      if (isRefused(answer)) return;
      faults.push(JSON.stringify([request.type, request.target, request.details, answer]));
    });
    t.same(faults.slice(0, 20), [], 'each is refused as such');
    t.same(trap.reached, [], `0 escapes of ${redirected.length + 3 * forms.length}`);
    const allowed = await ask(prober, through(5, `http://${hopAddress()}:${trap.sentinelPort}/`));
    t.match(allowed, { available: true });
    t.equal(trap.reached.length, 1, 'the sentinel counts');
    t.match(prober.stats(), { restarts: 0 });
  });

  t.test(`SSRF under ${preset}, by names that lie: 0 escapes`, async (t) => {
    const trap = await setTrap();
    t.teardown(() => trap.close());
    const names = await lyingNameServer();
    t.teardown(() => names.close());
    const egress = createEgress({
      preset,
      allow: preset === 'public' ? [hopNetwork] : [],
      resolver: { servers: [names.server], tries: 2 },
    });
    const ports = attemptPorts({ egress });
    const faults: string[] = [];
    const mustRefuse = async (what: string, request: ProbeRequest): Promise<void> => {
      const answer = await runAttempt(request, ports, request.timeoutMs);
      if (!isRefused(answer)) faults.push(`${what}: ${JSON.stringify(answer)}`);
    };
    const literals = literalsOf(refusedForms(preset));
    await eachOf([...literals.entries()], async ([at, literal]) => {
      const isSix = literal.includes(':');
      const resolver = isSix ? 'IPv6' : 'IPv4';
      const fine = isSix ? '2606:4700:4700::1111' : '1.1.1.1';
      const name = (kind: string): string => `${kind}${at}.ssrf.test`;
      names.set(name('plain'), [literal]);
      names.set(name('among'), [fine, literal, fine]);
      names.set(name('alias'), [`=${name('plain')}`]);
      names.set(name('chain'), [`=${name('alias')}`]);
      const details = { url: `http://good.example:${trap.sentinelPort}/` };
      for (const kind of ['plain', 'among', 'alias', 'chain']) {
        const target = name(kind);
        await mustRefuse(`${literal} ${kind}`, requestOf({ target, resolver, details }));
      }
      names.set(name('later'), [fine], [literal]);
      const options = { host: name('later'), port: trap.sentinelPort, purpose: 'probe' } as const;
      await egress.resolve({ ...options, family: resolver, timeoutMs: 5000 });
      await mustRefuse(`${literal} later`, requestOf({ target: name('later'), resolver, details }));
      if (isSix) return;
      names.set(name('rebinds'), [hopAddress()], [literal]);
      const url = new URL(trap.chain(1, `http://${name('rebinds')}:${trap.sentinelPort}/`));
      url.hostname = name('rebinds');
      await mustRefuse(
        `${literal} rebinds`,
        requestOf({ target: name('rebinds'), details: { url: url.href } }),
      );
    });
    t.same(faults.slice(0, 20), []);
    t.same(trap.reached, [], '0 escapes');
  });

  t.test(`SSRF under ${preset}, by notifications: 0 escapes`, async (t) => {
    const trap = await setTrap();
    t.teardown(() => trap.close());
    const egress = createEgress({ preset });
    const refused = async (from: Egress, host: string, purpose: EgressPurpose): Promise<void> => {
      const asked = { host, port: trap.sentinelPort, purpose, timeoutMs: 5000 };
      await t.rejects(
        from.connect(asked).then(({ socket }) => socket.destroy()),
        { name: 'ProbeError' },
        `${purpose} ${host}`,
      );
    };
    for (const form of refusedForms(preset)) {
      await refused(egress, form, 'notify');
      await refused(egress, form, 'smtp');
    }
    // The own API on every address: no form of this machine reaches it.
    const hairpin = createEgress({ preset, self: { host: '::', port: trap.sentinelPort } });
    for (const form of ownForms()) await refused(hairpin, form, 'notify');
    t.same(trap.reached, [], '0 escapes');
  });
}
