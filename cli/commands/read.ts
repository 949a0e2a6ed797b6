// Commands that read (zones, types, changes, histories, slots, limits) and the account.
import { bodyOf, type Command, type Flag, type Invocation } from '../command.ts';
import { type Column, card, instant, print, printJson, table } from '../output.ts';

const column = (title: string, key = title): Column => [title, (row) => row[key]];

interface Listing {
  readonly words: readonly string[];
  readonly args: readonly string[];
  readonly summary: string;
  readonly flags?: readonly Flag[];
  readonly path: (invocation: Invocation) => string;
  readonly columns: readonly Column[];
  readonly examples?: readonly string[];
}

const since: Flag = {
  name: 'since',
  type: 'text',
  help: 'how far back: 15m, 2h, 3d (default 1h; histories 7d)',
};

/** Returns a length such as `15m` in ms. */
function lengthMs(text: unknown, fallback: string): number {
  const parts =
    /^(\d+)(s|m|h|d)$/.exec(typeof text === 'string' ? text : fallback) ??
    /^(\d+)(s|m|h|d)$/.exec(fallback);
  const unit = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[
    (parts?.[2] ?? 'h') as 's' | 'm' | 'h' | 'd'
  ];
  return Number(parts?.[1] ?? 1) * unit;
}

const range = (flags: Readonly<Record<string, unknown>>, fallback: string): string => {
  const to = Date.now();
  return `from=${to - lengthMs(flags['since'], fallback)}&to=${to}`;
};

const listings: readonly Listing[] = [
  {
    words: ['zone', 'list'],
    args: [],
    summary: 'monitoring zones',
    path: () => '/monitoring_zones',
    columns: [
      column('id'),
      column('label'),
      ['country', (row) => row['country_code']],
      ['addresses', (row) => row['source_ips']],
    ],
  },
  {
    words: ['check-type', 'list'],
    args: [],
    summary: 'check types with their fields',
    path: () => '/check_types',
    columns: [
      column('id'),
      [
        'fields',
        (row) =>
          (row['fields'] as { name: string; optional: boolean }[] | null)
            ?.map((field) => (field.optional ? `[${field.name}]` : field.name))
            .join(' '),
      ],
    ],
  },
  {
    words: ['notification-type', 'list'],
    args: [],
    summary: 'notification types with their fields',
    path: () => '/notification_types',
    columns: [
      column('id'),
      [
        'fields',
        (row) => (row['fields'] as { name: string }[] | null)?.map((field) => field.name).join(' '),
      ],
    ],
  },
  {
    words: ['changelog'],
    args: [],
    summary: 'changes of alarm states, newest first',
    flags: [since, { name: 'entity', type: 'text', help: 'only of this entity' }],
    path: ({ flags }) =>
      `/changelogs/alarms?reverse=true&${range(flags, '7d')}${flags['entity'] === undefined ? '' : `&entityId=${encodeURIComponent(String(flags['entity']))}`}`,
    columns: [
      ['at', (row) => instant(row['timestamp'])],
      ['entity', (row) => row['entity_id']],
      ['alarm', (row) => row['alarm_id']],
      ['was', (row) => row['previous_state']],
      column('state'),
      column('status'),
    ],
    examples: ['tocsin changelog --since 2h --entity enAAAAAAAA'],
  },
  {
    words: ['history'],
    args: ['ENTITY', 'ALARM', 'CHECK'],
    summary: 'notifications of an alarm with every attempt, newest first',
    flags: [since],
    path: ({ args, flags }) =>
      `/entities/${args[0]}/alarms/${args[1]}/notification_history/${args[2]}?reverse=true&${range(flags, '7d')}`,
    columns: [
      ['at', (row) => instant(row['timestamp'])],
      ['was', (row) => row['previous_state']],
      column('state'),
      ['told', (row) => results(row)],
    ],
  },
  {
    words: ['suppression-log'],
    args: [],
    summary: 'notifications that were suppressed',
    flags: [since],
    path: ({ flags }) => `/suppression_logs?reverse=true&${range(flags, '7d')}`,
    columns: [
      ['at', (row) => instant(row['timestamp'])],
      ['entity', (row) => row['entity_id']],
      ['alarm', (row) => row['alarm_id']],
      column('state'),
      column('suppressions'),
    ],
  },
  {
    words: ['audit'],
    args: [],
    summary: 'who changed what',
    flags: [since],
    path: ({ flags }) => `/audits?reverse=true&${range(flags, '7d')}`,
    columns: [
      ['at', (row) => instant(row['timestamp'])],
      column('who'),
      column('method'),
      column('url'),
      ['status', (row) => row['statusCode']],
    ],
  },
];

function results(row: Record<string, unknown>): string {
  const list = (row['notification_results'] ?? []) as {
    notification_id: string;
    success: boolean;
    in_progress: boolean;
    message: string;
    attempts: unknown[];
  }[];
  return list
    .map(
      (one) =>
        `${one.notification_id}: ${one.in_progress ? 'trying' : one.success ? 'delivered' : one.message} (${one.attempts.length})`,
    )
    .join('; ');
}

function listingCommand(listing: Listing): Command {
  return {
    words: listing.words,
    args: listing.args,
    summary: listing.summary,
    flags: listing.flags ?? [],
    examples: listing.examples ?? [],
    run: async (invocation) => {
      const rows = await invocation.client.list(listing.path(invocation));
      if (invocation.json) printJson(rows);
      else print(table(listing.columns, rows));
      return undefined;
    },
  };
}

function cardCommand(words: readonly string[], summary: string, path: string): Command {
  return {
    words,
    args: [],
    summary,
    flags: [],
    examples: [],
    run: async ({ client, json }) => {
      const body = (await client.get(path)) as Record<string, unknown>;
      if (json) printJson(body);
      else print(card(body));
      return undefined;
    },
  };
}

const slots: Command = {
  words: ['slots'],
  args: ['ENTITY', 'CHECK'],
  summary: 'what became of every scheduled poll: ran, failed, skipped, lost',
  flags: [since],
  examples: ['tocsin slots enAAAAAAAA chAAAAAAAA --since 15m'],
  run: async ({ args, flags, client, json }) => {
    const body = (await client.get(
      `/entities/${args[0]}/checks/${args[1]}/slots?${range(flags, '1h')}`,
    )) as Record<string, unknown>;
    if (json) printJson(body);
    else
      print(
        `${card(body['sums'] as Record<string, unknown>)}\n\n${table([['slot', (row) => instant(row['slot'])], ['zone', (row) => row['monitoring_zone_id']], column('outcome'), column('why'), column('status')], ((body['values'] as Record<string, unknown>[]) ?? []).filter((row) => row['outcome'] !== 'ran').slice(-50))}`,
      );
    return undefined;
  },
};

const accountFlags: readonly Flag[] = [
  {
    name: 'webhook-token',
    type: 'text',
    path: 'webhook_token',
    help: 'sent with every webhook, 10 to 64 characters',
  },
  {
    name: 'technical-contacts',
    type: 'list',
    path: 'technical_contacts',
    help: 'addresses of technicalContactsEmail',
  },
  { name: 'metadata', type: 'json', path: 'metadata', help: 'key=value, repeatable' },
];

const accountUpdate: Command = {
  words: ['account', 'update'],
  args: [],
  summary: 'change the account of the tenant',
  flags: accountFlags,
  examples: ['tocsin account update --technical-contacts night@example.org,day@example.org'],
  run: async ({ flags, client }) => {
    await client.send('PUT', '/account', bodyOf({ flags: accountFlags }, flags));
    print('updated the account');
    return undefined;
  },
};

/** Commands that read, and the account. */
export const readCommands: readonly Command[] = [
  ...listings.map(listingCommand),
  slots,
  cardCommand(['limits'], 'limits of the tenant', '/limits'),
  cardCommand(['usage'], 'what the tenant has', '/usage'),
  accountUpdate,
  cardCommand(['account'], 'account of the tenant', '/account'),
];
