// What is done to the system: one function a fault, by the names of `--only`. Each writes down what it did, when, and what that
// may cost; the judge compares. Must not judge.
import { eventually } from '../integration/harness.ts';
import type { FaultRecord } from './judge/history.ts';
import type { ChaosLab } from './lab.ts';
import { monoMs, type NodeProcess, sleep } from './node-process.ts';

/** One blow and what the logs say of it; instants in ms since the blow. */
export interface Blow {
  readonly fault: FaultRecord;
  /** Wall clock at the blow, epoch ms. */
  readonly wallMs: number;
  readonly survivors: readonly NodeProcess[];
}

export interface ScenarioContext {
  readonly lab: ChaosLab;
  /** How often, where a scenario repeats. */
  readonly times: number;
  readonly say: (text: string) => void;
}

export type Scenario = (context: ScenarioContext) => Promise<readonly Blow[]>;

/** Bounds of the design: what a fault may add to a gap of 1.1 × period. */
const bounds = { kill: 1_200, killAtMost: 3_000, hang: 3_000 } as const;
/** So long between two blows: a period and what follows it is seen. */
const watchMs = 13_000;

function blowOf(
  lab: ChaosLab,
  fault: Pick<FaultRecord, 'kind' | 'what' | 'boundMs'>,
): { blow: Blow; fault: { untilMs: number | null } & FaultRecord } {
  const record = { ...fault, atMs: monoMs(), untilMs: null };
  lab.faults.push(record);
  return { blow: { fault: record, wallMs: Date.now(), survivors: lab.running }, fault: record };
}

function victimOf(lab: ChaosLab, round: number): NodeProcess {
  const { running } = lab;
  return running[round % running.length] as NodeProcess;
}

/** A node is killed (SIGKILL), then comes back; again with the next one. */
const kill: Scenario = async ({ lab, times, say }) => {
  const blows: Blow[] = [];
  for (let round = 0; round < times; round++) {
    const victim = victimOf(lab, round);
    const isEnded = victim.signal('SIGKILL');
    const { blow } = blowOf(lab, { kind: 'kill', what: victim.name, boundMs: bounds.killAtMost });
    await isEnded;
    blows.push({ ...blow, survivors: lab.running });
    say(`kill ${round + 1}/${times}: ${victim.name}`);
    await sleep(watchMs);
    await victim.start();
    await sleep(3_000);
  }
  return blows;
};

/** A node is frozen for 8 s: the others take over; woken it must know that it lost. */
const hang: Scenario = async ({ lab, times, say }) => {
  const blows: Blow[] = [];
  for (let round = 0; round < times; round++) {
    const victim = victimOf(lab, round);
    await victim.signal('SIGSTOP');
    const { blow, fault } = blowOf(lab, { kind: 'hang', what: victim.name, boundMs: bounds.hang });
    const survivors = lab.running.filter((node) => node !== victim);
    blows.push({ ...blow, survivors });
    say(`hang ${round + 1}/${times}: ${victim.name}`);
    await sleep(8_000);
    await victim.signal('SIGCONT');
    fault.untilMs = monoMs();
    await rejoined(victim, blow.wallMs);
    await sleep(watchMs);
  }
  return blows;
};

async function rejoined(node: NodeProcess, sinceMs: number): Promise<void> {
  await eventually(`${node.name} rejoins`, 60_000, () =>
    node.logged('cluster.rejoined', sinceMs).length > 0 ? true : undefined,
  );
}

/** Each NATS server in turn is killed and started again: nobody may notice. */
const natsKill: Scenario = async ({ lab, times, say }) => {
  const blows: Blow[] = [];
  for (let round = 0; round < times; round++) {
    const server = lab.nats.server(round % lab.nats.servers.length);
    await server.kill();
    const { blow, fault } = blowOf(lab, { kind: 'nats-kill', what: server.name, boundMs: 0 });
    blows.push(blow);
    say(`nats-kill ${round + 1}/${times}: ${server.name}`);
    await sleep(watchMs);
    await server.restart();
    fault.untilMs = monoMs();
    await sleep(3_000);
  }
  return blows;
};

/** Each NATS server in turn is frozen for 10 s. */
const natsHang: Scenario = async ({ lab, times, say }) => {
  const blows: Blow[] = [];
  for (let round = 0; round < times; round++) {
    const server = lab.nats.server(round % lab.nats.servers.length);
    server.freeze();
    const { blow, fault } = blowOf(lab, { kind: 'nats-hang', what: server.name, boundMs: 0 });
    blows.push(blow);
    say(`nats-hang ${round + 1}/${times}: ${server.name}`);
    await sleep(10_000);
    server.thaw();
    fault.untilMs = monoMs();
    await sleep(watchMs);
  }
  return blows;
};

/** The first node's links to one server, then to two, are cut (refused, black hole): with one left nobody may notice. */
const natsLink: Scenario = async ({ lab, times, say }) => {
  const blows: Blow[] = [];
  for (let round = 0; round < times; round++) {
    const state = round % 2 === 0 ? 'refused' : 'black-hole';
    const cut = lab.links.slice(0, 1 + (round % 2));
    for (const link of cut) link.set(state);
    const what = `${state} × ${cut.length}`;
    const { blow, fault } = blowOf(lab, { kind: 'nats-link', what, boundMs: 0 });
    blows.push(blow);
    say(`nats-link ${round + 1}/${times}: ${what}`);
    await sleep(10_000);
    for (const link of cut) link.set('passing');
    fault.untilMs = monoMs();
    await sleep(watchMs);
  }
  return blows;
};

/** A node and a NATS server are killed at the same instant. */
const nodeAndNats: Scenario = async ({ lab, times, say }) => {
  const blows: Blow[] = [];
  for (let round = 0; round < times; round++) {
    const victim = victimOf(lab, round);
    const server = lab.nats.server(round % lab.nats.servers.length);
    const ended = Promise.all([victim.signal('SIGKILL'), server.kill()]);
    const what = `${victim.name} and ${server.name}`;
    const { blow } = blowOf(lab, { kind: 'node-and-nats', what, boundMs: bounds.killAtMost });
    await ended;
    blows.push({ ...blow, survivors: lab.running });
    say(`node-and-nats ${round + 1}/${times}: ${what}`);
    await sleep(watchMs);
    await server.restart();
    await victim.start();
    await sleep(3_000);
  }
  return blows;
};

/** A node is asked to end (SIGTERM), hands over, leaves; then comes back. No slot may be missed. */
const drain: Scenario = async ({ lab, times, say }) => {
  const blows: Blow[] = [];
  for (let round = 0; round < times; round++) {
    const victim = victimOf(lab, round);
    const { blow, fault } = blowOf(lab, { kind: 'drain', what: victim.name, boundMs: 0 });
    const code = await victim.signal('SIGTERM');
    fault.untilMs = monoMs();
    blows.push({ ...blow, survivors: lab.running });
    say(
      `drain ${round + 1}/${times}: ${victim.name} ended with ${code} in ${Math.round(fault.untilMs - fault.atMs)} ms`,
    );
    if (code !== 0) throw new Error(`${victim.name} ended with ${code}\n${victim.lastLog()}`);
    await sleep(watchMs);
    await victim.start();
    await sleep(3_000);
  }
  return blows;
};

/** Every node in turn is drained and started again, one right after the other. */
const rolling: Scenario = async ({ lab, times, say }) => {
  const blows: Blow[] = [];
  for (let round = 0; round < times; round++) {
    for (const victim of lab.running) {
      const { blow, fault } = blowOf(lab, { kind: 'rolling', what: victim.name, boundMs: 0 });
      const code = await victim.signal('SIGTERM');
      if (code !== 0) throw new Error(`${victim.name} ended with ${code}\n${victim.lastLog()}`);
      await victim.start();
      fault.untilMs = monoMs();
      blows.push(blow);
      say(
        `rolling ${round + 1}/${times}: ${victim.name} in ${Math.round(fault.untilMs - fault.atMs)} ms`,
      );
    }
    await sleep(watchMs);
  }
  return blows;
};

/** One more node joins, gets its share by hand-off, and is drained again. */
const join: Scenario = async ({ lab, times, say }) => {
  const blows: Blow[] = [];
  const guest = lab.addNode();
  for (let round = 0; round < times; round++) {
    const { blow, fault } = blowOf(lab, { kind: 'join', what: guest.name, boundMs: 0 });
    await guest.start();
    blows.push(blow);
    say(`join ${round + 1}/${times}: ${guest.name}`);
    // Up for 30 s before live shards move to it, then 5 % in 5 s.
    await sleep(60_000);
    const code = await guest.signal('SIGTERM');
    fault.untilMs = monoMs();
    if (code !== 0) throw new Error(`${guest.name} ended with ${code}\n${guest.lastLog()}`);
    await sleep(watchMs);
  }
  return blows;
};

/** Scenarios by name, with how often each is done where nothing else is asked. */
export const scenarios: ReadonlyMap<string, { readonly run: Scenario; readonly times: number }> =
  new Map([
    ['kill', { run: kill, times: 30 }],
    ['hang', { run: hang, times: 5 }],
    ['nats-kill', { run: natsKill, times: 3 }],
    ['nats-hang', { run: natsHang, times: 3 }],
    ['nats-link', { run: natsLink, times: 4 }],
    ['node-and-nats', { run: nodeAndNats, times: 3 }],
    ['drain', { run: drain, times: 5 }],
    ['rolling', { run: rolling, times: 2 }],
    ['join', { run: join, times: 1 }],
  ]);
