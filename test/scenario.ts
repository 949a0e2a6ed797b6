// Runs a scenario: specification, test and documentation at once (test/scenarios/README.md lists the verbs). Blocks of
// commands, `----`, the expected output. The stack is real; the clock, the probers and the receivers are the scenario's.
import type { WireMetric } from '../actors/check/types.ts';
import { actorKey } from '../runtime/ids.ts';
import { settle } from './clock.ts';
import {
  type Configured,
  create,
  entityKeyOf,
  limits,
  prepare,
  remove,
  update,
} from './scenario/configure.ts';
import { changelog, explain, history, inbox, slots, state, unchanged } from './scenario/look.ts';
import { ScenarioNode, tenant } from './scenario/node.ts';
import type { ZoneMode } from './scenario/probers.ts';
import type { ReceiverMode } from './scenario/receivers.ts';
import { type Command, parseScript, scriptText } from './scenario/script.ts';
import { durationMs } from './scenario/time.ts';

// biome-ignore lint/suspicious/noConfusingVoidType: a verb that only does something returns nothing
type Verb = (of: Configured, command: Command) => Promise<readonly string[] | void>;

const verbs: Readonly<Record<string, Verb>> = {
  entity: create,
  check: create,
  alarm: create,
  plan: create,
  channel: create,
  suppress: create,
  change: update,
  delete: remove,
  limits,
  zone: async ({ node }, { words: [name = '', mode = 'up'], options }) => {
    node.probers.modes.set(name, mode as ZoneMode);
    node.probers.lateMs.set(name, durationMs(options.get('late') ?? '0s'));
  },
  target: async (of, command) => aim(of, command),
  observe: async (of, command) => {
    const isFirst = of.node.probers.isWaiting;
    aim(of, command);
    await of.node.advance(isFirst ? 0 : await periodOf(of, command));
    const happened = of.node.taken();
    return happened.length > 0 ? happened : unchanged(of, command);
  },
  advance: async ({ node }, { words }) => {
    const [duration = '0s'] = words;
    await node.advance(durationMs(duration));
    return words.includes('brief') ? brief(node.taken()) : node.taken();
  },
  'step-wall': async ({ node }, { words: [delta = '0s'] }) => {
    node.world.clock.stepWall(durationMs(delta));
  },
  pause: async ({ node }, { words: [duration = '0s'] }) => {
    node.world.clock.freeze(durationMs(duration));
    await node.advance(0);
  },
  kill: async ({ node }) => node.kill(),
  stop: async ({ node }) => node.stop(),
  start: async ({ node }) => {
    await node.start();
    await node.advance(0);
  },
  receiver: async ({ node }, { words: [name = '', mode = 'ok', detail = ''], options }) => {
    const ms = mode === 'slow' ? durationMs(detail) : durationMs(options.get('after') ?? '0s');
    node.receivers.scripts.set(name, { mode: mode as ReceiverMode, code: detail, ms });
  },
  store: async ({ node }, { words: [mode = 'ok'] }) => {
    const isLost = (name: string) => mode === 'forgets' && name === 'commit';
    node.world.fault = (name) =>
      mode === 'fails' ? 'unavailable' : isLost(name) ? 'unknownApplied' : undefined;
  },
  rival: async (of, command) => of.node.rival(entityKeyOf(of, command)),
  bug: async ({ node }, { words: [entity = '', mode = 'on'] }) => {
    const key = `${tenant}/${entity}`;
    if (mode === 'on') node.buggy.add(key);
    else node.buggy.delete(key);
  },
  release: async (of, command) => {
    const key = actorKey(`${tenant}/${command.words[0] ?? of.entity}`);
    await of.node.release(key);
  },
  quarantine: async (of, command) => [
    of.node.quarantineOf(entityKeyOf(of, command)) ?? 'not quarantined',
  ],
  state,
  explain,
  slots,
  changelog,
  history,
  inbox,
};

/** All verbs; README.md of the scenarios explains each. */
export const verbNames: readonly string[] = Object.keys(verbs);

/** `up|down [zone=…] [status="…"] name=value …`: how the target answers; metrics in quotes are texts. */
function aim({ node }: Configured, command: Command): void {
  const { words, options, quoted } = command;
  const own = new Set(['zone', 'of', 'status', 'on']);
  const metrics = [...options]
    .filter(([name]) => !own.has(name))
    .map(
      ([name, value]): WireMetric =>
        quoted.has(name) ? [name, 's', value, 'unknown'] : [name, 'n', Number(value), 'unknown'],
    );
  const available = !words.includes('down');
  const status = options.get('status') ?? (available ? 'answered' : 'connection refused');
  const place = { check: options.get('of') ?? null, zone: options.get('zone') ?? null };
  node.probers.aim({ ...place, available, status, metrics }, node.world.clock);
}

/** Runs of failed attempts as one line: their number, and when the last one was. */
function brief(lines: readonly string[]): readonly string[] {
  const shown: string[] = [];
  let failed = 0;
  for (const line of lines) {
    const isFailure = line.includes(' !! ');
    failed = isFailure ? failed + 1 : 0;
    if (failed > 1) shown.pop();
    shown.push(failed > 1 ? `${line} (${failed} in vain)` : line);
  }
  return shown;
}

async function periodOf(of: Configured, command: Command): Promise<number> {
  interface Check {
    readonly period: number;
  }
  const question = of.node.ask<{ readonly value: readonly Check[] }>(entityKeyOf(of, command), {
    kind: 'check.list',
  });
  return ((await of.node.settled(question)).value[0]?.period ?? 0) * 1000;
}

/** Returns the scenario's text with the output that its commands gave now. Throws with the line of a broken command. */
export async function runScenario(text: string): Promise<string> {
  const script = parseScript(text);
  const commands = script.blocks.flatMap((block) => block.commands);
  const entities = commands.filter(({ verb }) => verb === 'entity').map(({ words }) => words[0]);
  const node = new ScenarioNode([...new Set(entities.flatMap((name) => name ?? []))]);
  await node.start();
  const of: Configured = { node, entity: '', requests: 0, isAligned: false };
  await prepare(of);
  const outputs: (readonly string[])[] = [];
  for (const block of script.blocks) {
    const lines: string[] = [];
    for (const group of together(block.commands)) {
      const outputOf = await Promise.all(group.map((command, at) => runAfter(of, command, at)));
      lines.push(...outputOf.flat());
    }
    await node.advance(0);
    lines.push(...node.taken());
    const hasPassed = block.commands.some(({ verb }) => verb === 'advance');
    outputs.push(lines.length > 0 ? lines : [hasPassed ? 'nothing' : 'ok']);
  }
  return scriptText(script, outputs);
}

/** Turns of the event loop in which a message reaches its actor and is decided, its commit not included. */
const staggerTurns = 20;

/** The later of two commands of one instant comes when the first one has been sent on to its actor. */
async function runAfter(of: Configured, command: Command, at: number): Promise<readonly string[]> {
  await settle(at * staggerTurns);
  return run(of, command);
}

/** Commands that end in `&` run at the same instant as the next one. */
function together(commands: readonly Command[]): readonly (readonly Command[])[] {
  const groups: Command[][] = [[]];
  for (const command of commands) {
    groups.at(-1)?.push(command);
    if (command.words.at(-1) !== '&') groups.push([]);
  }
  return groups.filter((group) => group.length > 0);
}

async function run(of: Configured, command: Command): Promise<readonly string[]> {
  const verb = verbs[command.verb];
  if (verb === undefined) throw new Error(`line ${command.line}: no verb ${command.verb}`);
  try {
    return (await verb(of, command)) ?? [];
  } catch (cause) {
    throw new Error(`line ${command.line}: ${command.source.trim()}: ${String(cause)}`, { cause });
  }
}
