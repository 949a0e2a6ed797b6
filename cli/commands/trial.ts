// Trying things out before saving them: test-check, test-alarm, test-notification.
import { readFileSync } from 'node:fs';
import { bodyOf, type Command, type Flag } from '../command.ts';
import { CliError, exitCodes } from '../errors.ts';
import { clean, print, printJson, progress, table } from '../output.ts';
import { resourceCommandList } from './catalogue.ts';

type Row = Record<string, unknown>;

const checkFlags: readonly Flag[] =
  resourceCommandList.find((command) => command.words.join(' ') === 'check create')?.flags ?? [];

function renderRuns(runs: readonly Row[]): string {
  const lines = [
    table(
      [
        ['zone', (row) => row['monitoring_zone_id']],
        ['available', (row) => row['available']],
        ['status', (row) => row['status']],
      ],
      runs,
    ),
  ];
  for (const run of runs) {
    const metrics = Object.entries((run['metrics'] ?? {}) as Record<string, Row>).map(
      ([name, metric]): Row => ({ name, ...metric }),
    );
    if (metrics.length > 0)
      lines.push(
        '',
        `${clean(run['monitoring_zone_id'])}:`,
        table(
          [
            ['metric', (row) => row['name']],
            ['value', (row) => row['data']],
            ['unit', (row) => row['unit']],
          ],
          metrics,
        ),
      );
  }
  return lines.join('\n');
}

const testCheck: Command = {
  words: ['test-check'],
  args: ['ENTITY', 'CHECK…'],
  summary: 'run a check once in every zone: a stored one, or one made from the flags',
  flags: checkFlags,
  examples: [
    'tocsin test-check enAAAAAAAA chAAAAAAAA',
    'tocsin test-check enAAAAAAAA --type remote.http --url http://127.0.0.1:8080/ --zones mzlocal',
  ],
  run: async ({ args, flags, client, json }) => {
    progress('probing …');
    const path =
      args[1] === undefined
        ? `/entities/${args[0]}/test-check`
        : `/entities/${args[0]}/checks/${args[1]}/test`;
    const runs = (
      await client.send(
        'POST',
        path,
        args[1] === undefined ? bodyOf({ flags: checkFlags }, flags) : {},
      )
    ).body as Row[];
    if (json) printJson(runs);
    else print(renderRuns(runs));
    return runs.every((run) => run['available'] === true) ? exitCodes.done : exitCodes.badNews;
  },
};

const testAlarm: Command = {
  words: ['test-alarm'],
  args: ['ENTITY'],
  summary: 'evaluate criteria on observations: of a check run now, or from a file',
  flags: [
    { name: 'criteria', type: 'text', help: 'text of the criteria; - reads standard input' },
    { name: 'check', type: 'text', help: 'stored check to run for the observations' },
    { name: 'observations', type: 'text', help: 'file with what test-check --json printed' },
  ],
  examples: [
    `tocsin test-alarm enAAAAAAAA --check chAAAAAAAA --criteria "if (metric['duration'] > 500) { return new AlarmStatus(WARNING, 'slow'); }"`,
  ],
  run: async ({ args, flags, client, json }) => {
    const criteria = flags['criteria'] === '-' ? readFileSync(0, 'utf8') : flags['criteria'];
    if (typeof criteria !== 'string')
      throw new CliError(exitCodes.usage, 'test-alarm wants --criteria');
    const runs = await observations(args[0] as string, flags, client);
    const changes = (
      await client.send('POST', `/entities/${args[0]}/test-alarm`, { criteria, check_data: runs })
    ).body as Row[];
    if (json) printJson(changes);
    else
      print(
        table(
          [
            ['state', (row) => row['state']],
            ['status', (row) => row['status']],
          ],
          changes,
        ),
      );
    return undefined;
  },
};

async function observations(
  entity: string,
  flags: Readonly<Row>,
  client: Parameters<Command['run']>[0]['client'],
): Promise<unknown> {
  if (typeof flags['observations'] === 'string')
    return JSON.parse(readFileSync(flags['observations'], 'utf8'));
  if (typeof flags['check'] !== 'string')
    throw new CliError(exitCodes.usage, 'test-alarm wants --check or --observations');
  progress('probing …');
  return (await client.send('POST', `/entities/${entity}/checks/${flags['check']}/test`, {})).body;
}

const testNotification: Command = {
  words: ['test-notification'],
  args: ['NOTIFICATION'],
  summary: 'send a test over a stored notification',
  flags: [],
  examples: ['tocsin test-notification ntAAAAAAAA'],
  run: async ({ args, client, json }) => {
    progress('sending …');
    const body = (await client.send('POST', `/notifications/${args[0]}/test`, {})).body as Row;
    if (json) printJson(body);
    else print(`${clean(body['status'])}: ${clean(body['message'])}`);
    return body['status'] === 'success' ? exitCodes.done : exitCodes.badNews;
  },
};

/** Commands that try out. */
export const trialCommands: readonly Command[] = [testCheck, testAlarm, testNotification];
