// Live state, explanation, overview and the stream of changes.
import type { Client } from '../client.ts';
import type { Command } from '../command.ts';
import { CliError, exitCodes } from '../errors.ts';
import {
  clean,
  instant,
  length,
  paintState,
  print,
  printJson,
  progress,
  table,
} from '../output.ts';

type Row = Record<string, unknown>;

function renderState(state: Row): string {
  const entity = state['entity'] as Row;
  const committed = state['committed'] === false ? ', not yet committed' : '';
  const lines = [
    `${clean(entity['label'])} (${clean(entity['id'])}), epoch ${clean(state['epoch'])}, newest observation ${length(state['age']) || 'none'} old${committed}`,
  ];
  for (const condition of (state['conditions'] ?? []) as Row[])
    lines.push(`! ${clean(condition['name'])}: ${clean(condition['text'])}`);
  const checks = (state['checks'] ?? []) as Row[];
  const zones = checks.flatMap((check) =>
    ((check['zones'] ?? []) as Row[]).map((zone): Row => {
      const seen = zone['observation'] as Row | null;
      const failure = zone['failure'] as Row | null;
      return {
        check: check['label'] ?? check['id'],
        type: check['type'],
        zone: zone['monitoring_zone_id'],
        collector: zone['collector_state'],
        age: seen === null ? '' : length(seen['age']),
        seen:
          seen === null
            ? failure === null
              ? 'no observation yet'
              : `${clean(failure['why'])}: ${clean(failure['message'])}`
            : `${seen['available'] === true ? '' : 'NOT AVAILABLE '}${clean(seen['status'])}`,
      };
    }),
  );
  lines.push(
    '',
    table(
      [
        ['check', (row) => row['check']],
        ['type', (row) => row['type']],
        ['zone', (row) => row['zone']],
        ['prober', (row) => row['collector']],
        ['age', (row) => row['age']],
        ['seen', (row) => row['seen']],
      ],
      zones,
    ),
  );
  const alarms = (state['alarms'] ?? []) as Row[];
  lines.push(
    '',
    table(
      [
        ['alarm', (row) => row['label'] ?? row['id']],
        ['state', (row) => row['state']],
        ['since', (row) => instant(row['since_ms'])],
        ['n', (row) => row['transitions']],
        ['status', (row) => row['status']],
      ],
      alarms,
    ),
  );
  return lines.join('\n');
}

const state: Command = {
  words: ['state'],
  args: ['ENTITY'],
  summary: "live state of an entity, from its owner's memory",
  flags: [
    { name: 'watch', type: 'boolean', help: 'again on every change and every 2 s, until Ctrl-C' },
  ],
  examples: ['tocsin state enAAAAAAAA --watch'],
  run: async ({ args, flags, client, json }) => {
    const path = `/entities/${encodeURIComponent(args[0] as string)}/state`;
    for (;;) {
      const body = (await client.get(path)) as Row;
      if (json) print(JSON.stringify(body));
      else
        print(
          `${flags['watch'] === true && process.stdout.isTTY ? '\u001b[2J\u001b[H' : ''}${renderState(body)}`,
        );
      if (flags['watch'] !== true) return undefined;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  },
};

const explain: Command = {
  words: ['explain'],
  args: ['ENTITY', 'ALARM'],
  summary: 'why an alarm has its state, and why not another',
  flags: [],
  examples: ['tocsin explain enAAAAAAAA alAAAAAAAA'],
  run: async ({ args, client, json }) => {
    const body = (await client.get(`/entities/${args[0]}/alarms/${args[1]}/explain`)) as Row;
    if (json) {
      printJson(body);
      return undefined;
    }
    print(
      `${paintState(body['state'])} ${clean(body['status'])} since ${instant(body['since_ms'])}`,
    );
    for (const sentence of (body['why'] ?? []) as string[]) print(`- ${clean(sentence)}`);
    print('');
    print(
      table(
        [
          ['zone', (row) => row['monitoring_zone_id']],
          ['computed', (row) => row['computed']],
          ['confirmed', (row) => row['confirmed']],
          ['in a row', (row) => row['run']],
          ['age', (row) => length(row['age'])],
          ['counts', (row) => row['counts']],
          ['status', (row) => row['status']],
        ],
        (body['zones'] ?? []) as Row[],
      ),
    );
    return undefined;
  },
};

const overview: Command = {
  words: ['overview'],
  args: [],
  summary: 'every entity with the states of its alarms',
  flags: [{ name: 'bad', type: 'boolean', help: 'only alarms that are WARNING or CRITICAL' }],
  examples: ['tocsin overview --bad'],
  run: async ({ flags, client, json }) => {
    const items = await client.list('/views/latest_alarm_states');
    const rows = items.flatMap((item) =>
      ((item['latest_alarm_states'] ?? []) as Row[]).map(
        (alarm): Row => ({ ...alarm, entity_label: item['entity_label'] }),
      ),
    );
    const wanted =
      flags['bad'] === true
        ? rows.filter((row) => row['state'] === 'WARNING' || row['state'] === 'CRITICAL')
        : rows;
    if (json) printJson(wanted);
    else
      print(
        table(
          [
            ['entity', (row) => row['entity_label']],
            ['id', (row) => row['entity_id']],
            ['alarm', (row) => row['alarm_label'] ?? row['alarm_id']],
            ['state', (row) => row['state']],
            ['since', (row) => instant(row['timestamp'])],
            ['status', (row) => row['status']],
          ],
          wanted,
        ),
      );
    return undefined;
  },
};

/** Reads one round of the stream; returns the id of the last event. */
async function readStream(
  client: Client,
  lastId: string | null,
  onEvent: (event: Row) => void,
): Promise<string | null> {
  const headers: Record<string, string> = { Accept: 'text/event-stream' };
  if (lastId !== null) headers['Last-Event-ID'] = lastId;
  const answer = await client.open('GET', '/stream', { headers, endless: true });
  if (!answer.ok || answer.body === null)
    throw new CliError(exitCodes.refused, `the stream was refused: ${answer.status}`);
  const decoder = new TextDecoder();
  let rest = '';
  let last = lastId;
  for await (const chunk of answer.body) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true });
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const id = /^id: ?(.*)$/m.exec(block)?.[1] ?? null;
      const content = /^data: ?(.*)$/m.exec(block)?.[1];
      if (id === null || content === undefined) continue;
      last = id;
      onEvent(JSON.parse(content) as Row);
    }
  }
  return last;
}

const stream: Command = {
  words: ['stream'],
  args: [],
  summary: 'changes of alarm states as they happen, until Ctrl-C',
  flags: [],
  examples: ['tocsin stream --json'],
  run: async ({ client, json }) => {
    let last: string | null = null;
    for (;;) {
      last = await readStream(client, last, (event) => {
        if (json) print(JSON.stringify(event));
        else
          print(
            `${instant(event['timestamp'])}  ${clean(event['entity_id'])} ${clean(event['alarm_id'])}  ${clean(event['previous_state'])} → ${paintState(event['state'])}  ${clean(event['status'])}`,
          );
      }).catch(async (error: unknown) => {
        if (error instanceof CliError && error.exitCode === exitCodes.refused) throw error;
        progress('connection lost, trying again in 2 s');
        await new Promise((resolve) => setTimeout(resolve, 2000));
        return last;
      });
    }
  },
};

/** Live commands. */
export const liveCommands: readonly Command[] = [state, explain, overview, stream];
