// Create, list, get, update, delete for every resource, made from one description each.
import { bodyOf, type Command, type Flag, type Invocation } from '../command.ts';
import { type Column, card, print, printJson, table } from '../output.ts';

export interface Resource {
  /** Word on the command line. */
  readonly word: string;
  /** Path of the collection; `{0}` is the first argument. */
  readonly path: string;
  /** Names of the arguments in the path, for example `['ENTITY']`. */
  readonly parents: readonly string[];
  readonly columns: readonly Column[];
  readonly flags: readonly Flag[];
  readonly examples: readonly string[];
}

const setFlag: Flag = {
  name: 'set',
  type: 'json',
  path: '',
  help: 'any attribute as key=json, repeatable',
};

function collection(resource: Resource, args: readonly string[]): string {
  return resource.path.replace(/\{(\d)\}/g, (_, at: string) =>
    encodeURIComponent(args[Number(at)] ?? ''),
  );
}

function item(resource: Resource, args: readonly string[]): string {
  return `${collection(resource, args)}/${encodeURIComponent(args[resource.parents.length] ?? '')}`;
}

/** Returns the five commands of a resource. */
export function resourceCommands(resource: Resource): Command[] {
  const { word, parents } = resource;
  const id = word.toUpperCase().replace(/-/g, '_');
  const flags = [...resource.flags, setFlag];
  return [
    {
      words: [word, 'list'],
      args: parents,
      summary: `list: all of them, by id`,
      flags: [],
      examples: [`tocsin ${word} list ${parents.join(' ')}`.trim()],
      run: async ({ args, client, json }: Invocation) => {
        const rows = await client.list(collection(resource, args));
        if (json) printJson(rows);
        else print(table(resource.columns, rows));
        return undefined;
      },
    },
    {
      words: [word, 'get'],
      args: [...parents, id],
      summary: 'show one',
      flags: [],
      examples: [],
      run: async ({ args, client, json }) => {
        const body = (await client.get(item(resource, args))) as Record<string, unknown>;
        if (json) printJson(body);
        else print(card(body));
        return undefined;
      },
    },
    createCommand(resource, flags),
    updateCommand(resource, flags, id),
    {
      words: [word, 'delete'],
      args: [...parents, id],
      summary: 'delete, with what hangs on it',
      flags: [],
      examples: [],
      run: async ({ args, client, json }) => {
        await client.send('DELETE', item(resource, args));
        if (json) printJson({ deleted: args.at(-1) });
        else print(`deleted ${args.at(-1)}`);
        return undefined;
      },
    },
  ];
}

function createCommand(resource: Resource, flags: readonly Flag[]): Command {
  return {
    words: [resource.word, 'create'],
    args: resource.parents,
    summary: 'create; prints the new id',
    flags,
    examples: resource.examples,
    run: async ({ args, flags: given, client, json }) => {
      const answer = await client.send(
        'POST',
        collection(resource, args),
        bodyOf({ flags }, given),
      );
      if (json) printJson({ id: answer.id });
      else print(String(answer.id));
      return undefined;
    },
  };
}

function updateCommand(resource: Resource, flags: readonly Flag[], id: string): Command {
  return {
    words: [resource.word, 'update'],
    args: [...resource.parents, id],
    summary: 'change the given attributes',
    flags,
    examples: [],
    run: async ({ args, flags: given, client, json }) => {
      await client.send('PUT', item(resource, args), bodyOf({ flags }, given));
      if (json) printJson({ id: args.at(-1) });
      else print(`updated ${args.at(-1)}`);
      return undefined;
    },
  };
}
