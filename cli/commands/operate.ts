// For operators: tenants, users and keys of the installation, quarantine, and `doctor`.
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command, Flag } from '../command.ts';
import { exitCodes } from '../errors.ts';
import { type Column, card, clean, instant, print, printJson, table } from '../output.ts';

type Row = Record<string, unknown>;
const base = '/v1.0/operator';
const column = (title: string, key = title): Column => [title, (row) => row[key]];
const roles: Flag = {
  name: 'roles',
  type: 'list',
  help: 'admin, monitoring:creator, monitoring:observer, operator, …',
};

const tenantPath = (tenant: string | undefined): string =>
  `${base}/tenants/${encodeURIComponent(tenant ?? '')}`;
const userPath = (tenant: string | undefined, user: string | undefined): string =>
  `${tenantPath(tenant)}/users/${encodeURIComponent(user ?? '')}`;

const tenants: readonly Command[] = [
  {
    words: ['tenant', 'list'],
    args: [],
    summary: 'tenants of the installation (operator)',
    flags: [],
    examples: [],
    run: async ({ client, json }) => {
      const rows = await client.list(`${base}/tenants`);
      if (json) printJson(rows);
      else
        print(
          table(
            [column('id'), column('label'), ['created', (row) => instant(row['created_at'])]],
            rows,
          ),
        );
      return undefined;
    },
  },
  {
    words: ['tenant', 'create'],
    args: [],
    summary: 'make a tenant (operator)',
    flags: [
      { name: 'id', type: 'text', help: 'tenant id; made where left out' },
      { name: 'label', type: 'text', help: 'name for people' },
    ],
    examples: ['tocsin tenant create --id 200000 --label shop'],
    run: async ({ flags, client, json }) => {
      const answer = await client.send('POST', `${base}/tenants`, {
        ...(flags['id'] === undefined ? {} : { id: flags['id'] }),
        ...(flags['label'] === undefined ? {} : { label: flags['label'] }),
      });
      if (json) printJson({ id: answer.id });
      else print(String(answer.id));
      return undefined;
    },
  },
];

const users: readonly Command[] = [
  {
    words: ['user', 'list'],
    args: ['TENANT'],
    summary: 'users of a tenant (operator)',
    flags: [],
    examples: [],
    run: async ({ args, client, json }) => {
      const rows = await client.list(`${tenantPath(args[0])}/users`);
      if (json) printJson(rows);
      else print(table([column('name'), column('roles')], rows));
      return undefined;
    },
  },
  {
    words: ['user', 'create'],
    args: ['TENANT', 'NAME'],
    summary: 'make a user; prints the API key, which is shown this once (operator)',
    flags: [roles],
    examples: ['tocsin user create 200000 alice --roles monitoring:creator'],
    run: async ({ args, flags, client, json }) => {
      const answer = await client.send('POST', `${tenantPath(args[0])}/users`, {
        name: args[1],
        ...(flags['roles'] === undefined ? {} : { roles: flags['roles'] }),
      });
      if (json) printJson(answer.body);
      else print(card(answer.body as Row));
      return undefined;
    },
  },
  {
    words: ['user', 'key'],
    args: ['TENANT', 'NAME'],
    summary: 'give a user a new API key; the old one and its tokens end (operator)',
    flags: [],
    examples: [],
    run: async ({ args, client, json }) => {
      const answer = await client.send('POST', `${userPath(args[0], args[1])}/key`, {});
      if (json) printJson(answer.body);
      else print(card(answer.body as Row));
      return undefined;
    },
  },
  {
    words: ['user', 'delete'],
    args: ['TENANT', 'NAME'],
    summary: 'delete a user; its tokens end (operator)',
    flags: [],
    examples: [],
    run: async ({ args, client }) => {
      await client.send('DELETE', userPath(args[0], args[1]));
      print(`deleted ${args[1]}`);
      return undefined;
    },
  },
];

const release: Command = {
  words: ['release'],
  args: ['ENTITY'],
  summary: 'release an entity from quarantine (operator)',
  flags: [],
  examples: [],
  run: async ({ args, client }) => {
    await client.send('POST', `/entities/${encodeURIComponent(args[0] as string)}/release`, {});
    print(`released ${args[0]}`);
    return undefined;
  },
};

/** What this machine shows of the installation, beside what the node says of itself. */
function localFindings(): Row[] {
  const found: Row[] = [];
  const path = join(resolve(process.env['TOCSIN_DATA'] ?? './data'), 'admin.json');
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  if (mode !== undefined && (mode & 0o077) !== 0)
    found.push({
      level: 'problem',
      topic: 'secrets',
      text: `${path} can be read by others: chmod 600`,
    });
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 20))
    found.push({
      level: 'advice',
      topic: 'node',
      text: `Node ${process.version}: 20.20 or newer carries security fixes`,
    });
  return found;
}

/** What is wrong on a node that says nothing is not known: that is a problem of its own. */
const silentNode = (node: string): Row => ({
  node,
  level: 'problem',
  topic: 'cluster',
  text: 'the node did not answer; see tocsin cluster status',
});

function findingLine({ node, level, topic, text }: Row): string {
  const place = node === undefined ? 'here' : clean(node);
  const word = level === 'problem' ? 'PROBLEM' : 'advice ';
  return `${word}  ${place}  ${clean(topic)}: ${clean(text)}`;
}

const doctor: Command = {
  words: ['doctor'],
  args: [],
  summary: 'what is wrong or set unwisely, and what to do about it',
  flags: [],
  examples: ['tocsin doctor'],
  run: async ({ client, json }) => {
    const answer = (await client.get(`${base}/doctor`)) as {
      findings: Row[];
      unreachable: readonly string[];
    };
    const unreachable = answer.unreachable.map(silentNode);
    const findings = [...unreachable, ...localFindings(), ...answer.findings];
    if (json) printJson(findings);
    else if (findings.length === 0) print('nothing to say: all is well');
    else for (const finding of findings) print(findingLine(finding));
    return findings.some((finding) => finding['level'] === 'problem')
      ? exitCodes.badNews
      : exitCodes.done;
  },
};

/** Commands for operators. */
export const operatorCommands: readonly Command[] = [...tenants, ...users, release, doctor];
