// What each resource looks like on the command line: path, columns, flags, examples.
import type { Command } from '../command.ts';
import { type Column, instant } from '../output.ts';
import { type Resource, resourceCommands } from './resource.ts';

const column = (title: string, key = title): Column => [title, (row) => row[key]];
const label = { name: 'label', type: 'text', path: 'label', help: 'name for people' } as const;
const disabled = {
  name: 'disabled',
  type: 'boolean',
  path: 'disabled',
  help: 'create it switched off',
} as const;
const metadata = {
  name: 'metadata',
  type: 'json',
  path: 'metadata',
  help: 'key=value, repeatable',
} as const;

const checkFlags: Resource['flags'] = [
  {
    name: 'type',
    type: 'text',
    path: 'type',
    help: 'remote.http, remote.tcp, remote.ping, remote.dns',
  },
  label,
  { name: 'host', type: 'text', path: 'target_hostname', help: 'name or address to probe' },
  {
    name: 'alias',
    type: 'text',
    path: 'target_alias',
    help: "key of the entity's addresses to probe",
  },
  { name: 'resolver', type: 'text', path: 'target_resolver', help: 'IPv4 or IPv6' },
  { name: 'url', type: 'text', path: 'details.url', help: 'remote.http: what to fetch' },
  { name: 'port', type: 'number', path: 'details.port', help: 'remote.tcp, remote.dns: port' },
  { name: 'query', type: 'text', path: 'details.query', help: 'remote.dns: name to ask for' },
  {
    name: 'record-type',
    type: 'text',
    path: 'details.record_type',
    help: 'remote.dns: A, AAAA, TXT, …',
  },
  {
    name: 'details',
    type: 'json',
    path: 'details',
    help: 'any detail of the type as key=json, repeatable',
  },
  {
    name: 'zones',
    type: 'list',
    path: 'monitoring_zones_poll',
    help: 'zones to probe from, comma-separated',
  },
  { name: 'period', type: 'number', path: 'period', help: 'seconds between two runs' },
  { name: 'timeout', type: 'number', path: 'timeout', help: 'seconds, less than the period' },
  disabled,
  metadata,
];

const resources: readonly Resource[] = [
  {
    word: 'entity',
    path: '/entities',
    parents: [],
    columns: [
      column('id'),
      column('label'),
      [
        'addresses',
        (row) =>
          Object.entries((row['ip_addresses'] as object | null) ?? {})
            .map(([key, ip]) => `${key}=${ip}`)
            .join(' '),
      ],
      column('uri'),
      ['created', (row) => instant(row['created_at'])],
    ],
    flags: [
      label,
      { name: 'ip', type: 'json', path: 'ip_addresses', help: 'address as alias=ip, repeatable' },
      { name: 'uri', type: 'text', path: 'uri', help: 'reference of your own' },
      { name: 'agent-id', type: 'text', path: 'agent_id', help: 'agent of the machine' },
      metadata,
    ],
    examples: [
      'tocsin entity create --label web --ip main=127.0.0.1',
      'tocsin entity create --label db --metadata team=storage --json',
    ],
  },
  {
    word: 'check',
    path: '/entities/{0}/checks',
    parents: ['ENTITY'],
    columns: [
      column('id'),
      column('label'),
      column('type'),
      ['target', (row) => row['target_hostname'] ?? row['target_alias']],
      ['zones', (row) => (row['monitoring_zones_poll'] as string[] | null)?.join(' ')],
      column('period'),
      column('timeout'),
      column('disabled'),
    ],
    flags: checkFlags,
    examples: [
      'tocsin check create enAAAAAAAA --type remote.http --url http://127.0.0.1:8080/ --period 10 --zones mzlocal',
      'tocsin check create enAAAAAAAA --type remote.tcp --host 127.0.0.1 --port 22 --details banner_match=OpenSSH --zones mzlocal',
      'tocsin check create enAAAAAAAA --type remote.ping --alias main --zones mzlocal',
    ],
  },
  {
    word: 'alarm',
    path: '/entities/{0}/alarms',
    parents: ['ENTITY'],
    columns: [
      column('id'),
      column('label'),
      ['check', (row) => row['check_id']],
      ['plan', (row) => row['notification_plan_id']],
      column('disabled'),
      ['criteria', (row) => String(row['criteria'] ?? '').slice(0, 60)],
    ],
    flags: [
      label,
      { name: 'check', type: 'text', path: 'check_id', help: 'check that it watches' },
      { name: 'plan', type: 'text', path: 'notification_plan_id', help: 'notification plan' },
      { name: 'criteria', type: 'text', path: 'criteria', help: 'text of the criteria' },
      disabled,
      metadata,
    ],
    examples: [
      `tocsin alarm create enAAAAAAAA --check chAAAAAAAA --plan npTechnicalContactsEmail --criteria "if (metric['code'] != '200') { return new AlarmStatus(CRITICAL, 'answered #{code}'); }"`,
    ],
  },
  {
    word: 'notification',
    path: '/notifications',
    parents: [],
    columns: [column('id'), column('label'), column('type'), column('details')],
    flags: [
      label,
      { name: 'type', type: 'text', path: 'type', help: 'webhook, email, pagerduty, victorops' },
      { name: 'url', type: 'text', path: 'details.url', help: 'webhook: where to post' },
      { name: 'address', type: 'text', path: 'details.address', help: 'email: who is written to' },
      {
        name: 'details',
        type: 'json',
        path: 'details',
        help: 'any detail of the type as key=value, repeatable',
      },
      metadata,
    ],
    examples: [
      'tocsin notification create --label hook --type webhook --url http://127.0.0.1:9090/hook',
      'tocsin notification create --label night --type email --address night@example.org',
    ],
  },
  {
    word: 'plan',
    path: '/notification_plans',
    parents: [],
    columns: [
      column('id'),
      column('label'),
      ['critical', (row) => (row['critical_state'] as string[] | null)?.join(' ')],
      ['warning', (row) => (row['warning_state'] as string[] | null)?.join(' ')],
      ['ok', (row) => (row['ok_state'] as string[] | null)?.join(' ')],
    ],
    flags: [
      label,
      {
        name: 'critical',
        type: 'list',
        path: 'critical_state',
        help: 'notifications when CRITICAL',
      },
      { name: 'warning', type: 'list', path: 'warning_state', help: 'notifications when WARNING' },
      { name: 'ok', type: 'list', path: 'ok_state', help: 'notifications on recovery' },
      metadata,
    ],
    examples: ['tocsin plan create --label page --critical ntAAAAAAAA,ntBBBBBBBB --ok ntAAAAAAAA'],
  },
  {
    word: 'suppression',
    path: '/suppressions',
    parents: [],
    columns: [
      column('id'),
      column('label'),
      ['start', (row) => instant(row['start_time'])],
      ['end', (row) => instant(row['end_time'])],
      column('entities'),
      column('checks'),
      column('alarms'),
      ['plans', (row) => row['notification_plans']],
    ],
    flags: [
      label,
      { name: 'entities', type: 'list', path: 'entities', help: 'entity ids' },
      { name: 'checks', type: 'list', path: 'checks', help: 'ENTITY:CHECK' },
      { name: 'alarms', type: 'list', path: 'alarms', help: 'ENTITY:ALARM' },
      { name: 'plans', type: 'list', path: 'notification_plans', help: 'notification plan ids' },
      { name: 'start', type: 'number', path: 'start_time', help: 'epoch ms; 0 or left out: now' },
      {
        name: 'end',
        type: 'number',
        path: 'end_time',
        help: 'epoch ms; left out: open-ended, 0: over now',
      },
    ],
    examples: [
      'tocsin suppression create --label deploy --entities enAAAAAAAA --end 1900000000000',
    ],
  },
];

/** Commands of every resource with create, list, get, update, delete. */
export const resourceCommandList: readonly Command[] = resources.flatMap(resourceCommands);
