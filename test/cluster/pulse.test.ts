// The heartbeat plane on a network in memory and a clock that only the test moves: a death is found, cut relays and lost
// beats kill nobody, the lease goes first, a stuck main loop is ended.
import t from 'tap';
import type { ControlListener, ControlPlane } from '../../cluster/control-plane.ts';
import { decodeHeartbeat } from '../../cluster/heartbeat.ts';
import { MemoryNetwork } from '../../cluster/memory/network.ts';
import { memoryPulse } from '../../cluster/memory/pulse.ts';
import { mainSide, pulseMemory, threadSide } from '../../cluster/nats/pulse-memory.ts';
import type { Pulse, PulseEvent } from '../../cluster/pulse.ts';
import { PulseEngine, type PulseShared } from '../../cluster/pulse-engine.ts';
import { systemClock } from '../../runtime/clock.ts';
import { nodeId } from '../../runtime/ids.ts';
import { seededRandom, TestClock } from '../clock.ts';
import { listLogger } from '../conformance/transport-rig.ts';
import { fixedView, incarnationOf } from '../lab/pulse-node.ts';

interface Station {
  readonly pulse: Pulse;
  readonly events: { readonly atMonoMs: number; readonly event: PulseEvent }[];
}

function worldOf(names: readonly string[], seed = 1) {
  const clock = new TestClock();
  const network = new MemoryNetwork({ clock, random: seededRandom(seed) });
  const view = fixedView(names);
  const stations = new Map<string, Station>();
  for (const name of names) {
    const control = network.control(name);
    const pulse = memoryPulse({ node: nodeId(name), control, clock, logger: listLogger() });
    const events: Station['events'] = [];
    pulse.listen((event) => {
      if (!('type' in event)) events.push({ atMonoMs: clock.monoMs(), event });
    });
    pulse.begin(incarnationOf(name), view);
    stations.set(name, { pulse, events });
  }
  const at = (name: string): Station => stations.get(name) as Station;
  const verdictsOn = (of: string): number[] =>
    [...stations.values()].flatMap(({ events }) =>
      events
        .filter(({ event }) => 'do' in event && event.do === 'verdict' && event.node === of)
        .map(({ atMonoMs }) => atMonoMs),
    );
  return { clock, network, view, at, verdictsOn, stations };
}

const hasLease = (world: ReturnType<typeof worldOf>, name: string): boolean =>
  world.clock.monoMs() < world.at(name).pulse.leaseUntilMonoMs();

t.test('nodes that hear each other have leases; one that is killed is found by all', async (t) => {
  const world = worldOf(['a', 'b', 'c', 'd', 'e']);
  await world.clock.advance(3_000);
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    t.ok(hasLease(world, name), `${name} has its lease`);
    t.equal(world.at(name).pulse.report().passing.length, 3);
    t.match(world.at(name).pulse.report().lease, { isValid: true, by: 'acks' });
  }
  const killedMonoMs = world.clock.monoMs();
  world.network.kill('e');
  await world.at('e').pulse.stop();
  await world.clock.advance(1_000);
  const after = world.verdictsOn('e').map((monoMs) => monoMs - killedMonoMs);
  t.equal(after.length, 4);
  t.ok(Math.max(...after) <= 700, `after ${after.join(', ')} ms`);
  t.same(world.at('a').pulse.report().verdicts, [{ node: 'e', incarnation: 'e' }]);
  t.ok((world.at('a').pulse.report().votersOf.get(nodeId('e')) ?? []).length >= 3);
  for (const { pulse } of world.stations.values()) await pulse.stop();
});

t.test(
  'a node on one relay is nobody’s suspect; one cut from all is, and its lease is over first',
  async (t) => {
    const world = worldOf(['a', 'b', 'c']);
    await world.clock.advance(3_000);
    world.network.cut('c', 'r0');
    world.network.cut('c', 'r1');
    await world.clock.advance(5_000);
    t.same(world.verdictsOn('c'), []);
    t.ok(hasLease(world, 'c'));
    const cutMonoMs = world.clock.monoMs();
    world.network.cut('c', 'r2');
    let leaseEndedMonoMs = Number.POSITIVE_INFINITY;
    for (let ms = 0; ms < 2_000; ms += 20) {
      await world.clock.advance(20);
      if (!hasLease(world, 'c'))
        leaseEndedMonoMs = Math.min(leaseEndedMonoMs, world.clock.monoMs());
    }
    t.ok(world.verdictsOn('c').length >= 2, 'both others found it');
    t.ok(
      leaseEndedMonoMs - cutMonoMs < 1_000,
      `its lease ended after ${leaseEndedMonoMs - cutMonoMs} ms`,
    );
    t.same([...world.verdictsOn('a'), ...world.verdictsOn('b')], [], 'it accused nobody');
    world.network.heal();
    await world.clock.advance(3_000);
    t.same(world.at('a').pulse.report().verdicts, [], 'and it is taken back');
    t.ok(hasLease(world, 'c'));
    for (const { pulse } of world.stations.values()) await pulse.stop();
  },
);

t.test('a fenced node accuses nobody; begun anew it beats as another', async (t) => {
  const world = worldOf(['a', 'b', 'c']);
  await world.clock.advance(2_000);
  const { pulse } = world.at('a');
  pulse.fenced(true);
  await world.clock.advance(200);
  t.ok(pulse.report().isVetoed);
  pulse.dropLease();
  t.equal(pulse.leaseUntilMonoMs(), Number.NEGATIVE_INFINITY);
  pulse.begin('a2', world.view);
  await world.clock.advance(3_000);
  t.ok(world.verdictsOn('a').length >= 1, 'the first incarnation is silent');
  t.notOk(hasLease(world, 'a'), 'the second is no member yet');
  for (const each of world.stations.values()) await each.pulse.stop();
  await world.clock.advance(10);
  t.equal(world.clock.pending, 0, 'no timer is left');
});

/** A control plane that keeps what is sent. */
class Tape implements ControlPlane {
  readonly relays = ['r0'];
  readonly sent: Uint8Array[] = [];
  listener: ControlListener | null = null;
  listen(listener: ControlListener): void {
    this.listener = listener;
  }
  begin(): void {
    this.listener?.up('r0');
  }
  broadcast(heartbeat: Uint8Array): number {
    this.sent.push(heartbeat);
    this.listener?.beat('r0', heartbeat);
    return 1;
  }
  ping(): void {}
  close(): Promise<void> {
    return Promise.resolve();
  }
}

t.test(
  'a main loop that stands still for 5 s is named, then ended; a frozen process is not',
  async (t) => {
    const clock = new TestClock();
    const control = new Tape();
    const ended: (string | null)[] = [];
    let mainTickMonoMs = clock.monoMs();
    let seq = 0;
    const shared: PulseShared = {
      mainTickMonoMs: () => mainTickMonoMs,
      takeDrop: () => false,
      publishLease: () => undefined,
      working: () => 'acme/web1',
      nextSeq: () => ++seq,
    };
    const engine = new PulseEngine({
      ...{ control, clock, logger: listLogger(), shared, isSticky: false },
      emit: () => undefined,
      onStuck: (culprit) => ended.push(culprit),
    });
    engine.begin({ node: nodeId('a'), incarnation: 'a' }, fixedView(['a']));
    await clock.advance(1_000);
    clock.freeze(60_000);
    await clock.advance(100);
    mainTickMonoMs = clock.monoMs();
    await clock.advance(4_900);
    t.same(ended, [], 'not yet');
    t.notOk(control.sent.some((bytes) => decodeHeartbeat(bytes).culprit !== null));
    await clock.advance(500);
    t.same(ended, ['acme/web1']);
    const named = control.sent.filter((bytes) => decodeHeartbeat(bytes).culprit === 'acme/web1');
    t.ok(named.length >= 3, `${named.length} heartbeats name it`);
    t.ok(decodeHeartbeat(named[0] as Uint8Array).tickAgeMs >= 5_000);
    await engine.stop();
  },
);

t.test('shared memory carries lease, drops and the actor at work', async (t) => {
  const clock = systemClock();
  const memory = pulseMemory();
  const [main, thread] = [mainSide(memory, clock), threadSide(memory)];
  t.equal(main.leaseUntilMonoMs(), Number.NEGATIVE_INFINITY);
  const untilMonoMs = clock.monoMs() + 1_400;
  thread.publishLease(untilMonoMs);
  t.ok(Math.abs(main.leaseUntilMonoMs() - untilMonoMs) < 0.01);
  main.dropLease();
  t.equal(main.leaseUntilMonoMs(), Number.NEGATIVE_INFINITY, 'at once');
  thread.publishLease(untilMonoMs + 100);
  t.equal(
    main.leaseUntilMonoMs(),
    Number.NEGATIVE_INFINITY,
    'a lease that knows nothing of the drop',
  );
  t.ok(thread.takeDrop());
  t.notOk(thread.takeDrop());
  thread.publishLease(untilMonoMs + 200);
  t.ok(main.leaseUntilMonoMs() > untilMonoMs);
  main.tick();
  t.ok(Math.abs(thread.mainTickMonoMs() - clock.monoMs()) < 50);
  main.working('acme/wéb');
  t.equal(thread.working(), 'acme/wéb');
  main.working(null);
  t.equal(thread.working(), null);
  t.same([thread.nextSeq(), threadSide(memory).nextSeq()], [1, 2], 'another thread goes on');
});
