// The cluster as one of its nodes sees it: members, what each holds, who did not answer.
import type { Command } from '../command.ts';
import { type Column, print, printJson, table } from '../output.ts';

type Row = Record<string, unknown>;
const column = (title: string, key = title): Column => [title, (row) => row[key]];

const columns: readonly Column[] = [
  ['node', (row) => `${row['node']}${row['is_self'] === true ? ' *' : ''}`],
  column('address'),
  column('zone'),
  column('state'),
  column('seen'),
  ['silent ms', (row) => row['silence_ms'] ?? ''],
  column('mode'),
  column('weight'),
  ['shards', (row) => `${row['shards_held'] ?? '?'} of ${row['shards_mapped']}`],
  column('actors'),
  column('incarnation'),
];

export const clusterCommands: readonly Command[] = [
  {
    words: ['cluster', 'status'],
    args: [],
    summary: 'members of the cluster and what each holds (operator)',
    flags: [],
    examples: ['tocsin cluster status', 'tocsin cluster status --json'],
    run: async ({ client, json }) => {
      const { body } = await client.send('GET', '/v1.0/operator/cluster');
      const found = body as Row;
      if (json) {
        printJson(found);
        return undefined;
      }
      const silent = (found['unreachable'] as readonly string[] | undefined) ?? [];
      print(table([...columns], (found['members'] as Row[] | undefined) ?? []));
      print(
        `\n${found['cluster'] ?? 'a node alone'}, view ${found['view_version']}, mode ${found['mode']}, answered by ${found['answered_by']} (*)`,
      );
      if (silent.length > 0) print(`did not answer: ${silent.join(', ')}`);
      return undefined;
    },
  },
];
