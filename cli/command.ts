// A command of the command line as data: words, arguments, flags, examples, what runs. Parsing by node:util parseArgs;
// help is made from the same table, so it cannot go stale.
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Client } from './client.ts';
import { CliError, exitCodes } from './errors.ts';

export interface Flag {
  readonly name: string;
  readonly type: 'text' | 'number' | 'boolean' | 'list' | 'json';
  readonly help: string;
  /** Where the value goes in the request body: `label`, `details.url`. Without: read by the command itself. */
  readonly path?: string;
}

export interface Invocation {
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
  readonly client: Client;
}

export interface Command {
  /** `['entity', 'create']`. */
  readonly words: readonly string[];
  /** `['ENTITY']`; one ending in `…` may be left out. */
  readonly args: readonly string[];
  readonly summary: string;
  readonly flags: readonly Flag[];
  readonly examples: readonly string[];
  /** Returns the exit code; nothing means 0. */
  readonly run: (invocation: Invocation) => Promise<number | undefined>;
}

const globalFlags: readonly Flag[] = [
  { name: 'json', type: 'boolean', help: 'print JSON instead of tables' },
  { name: 'server', type: 'text', help: 'default http://127.0.0.1:7420 (TOCSIN_URL)' },
  { name: 'tenant', type: 'text', help: 'tenant id (TOCSIN_TENANT, or admin.json)' },
  { name: 'token', type: 'text', help: 'token (TOCSIN_TOKEN, or admin.json)' },
  { name: 'help', type: 'boolean', help: 'this help' },
];

/** Returns the command whose words start the arguments, longest first, or null. */
export function findCommand(
  commands: readonly Command[],
  given: readonly string[],
): Command | null {
  const fitting = commands.filter((command) =>
    command.words.every((word, at) => given[at] === word),
  );
  return fitting.sort((a, b) => b.words.length - a.words.length)[0] ?? null;
}

/** Returns arguments and flags of a command. Throws a usage error that names what is wrong. */
export function parseCommand(
  command: Command,
  given: readonly string[],
): { args: string[]; flags: Record<string, unknown> } {
  const known = [...command.flags, ...globalFlags];
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const flag of known) {
    options[flag.name] = {
      type: flag.type === 'boolean' ? 'boolean' : 'string',
      multiple: flag.type === 'list' || flag.type === 'json',
    };
  }
  const parsed = parse(command, given.slice(command.words.length), options);
  const flags: Record<string, unknown> = {};
  for (const flag of known) {
    const value = parsed.values[flag.name];
    if (value !== undefined) flags[flag.name] = convert(flag, value);
  }
  const wanted = command.args.filter((arg) => !arg.endsWith('…')).length;
  if (
    flags['help'] !== true &&
    (parsed.positionals.length < wanted || parsed.positionals.length > command.args.length)
  ) {
    throw new CliError(
      exitCodes.usage,
      `${command.words.join(' ')} wants ${command.args.join(' ') || 'no arguments'}; see tocsin ${command.words.join(' ')} --help`,
    );
  }
  return { args: parsed.positionals, flags };
}

function parse(command: Command, args: string[], options: NonNullable<ParseArgsConfig['options']>) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new CliError(
      exitCodes.usage,
      `${(cause as Error).message}; see tocsin ${command.words.join(' ')} --help`,
      cause,
    );
  }
}

function convert(flag: Flag, value: unknown): unknown {
  const texts = (Array.isArray(value) ? value : [value]) as (string | boolean)[];
  const first = texts[0];
  if (flag.type === 'boolean' || flag.type === 'text') return first;
  if (flag.type === 'list')
    return texts
      .flatMap((text) => String(text).split(','))
      .map((part) => part.trim())
      .filter((part) => part !== '');
  if (flag.type === 'number') {
    const number = Number(first);
    if (!Number.isFinite(number))
      throw new CliError(exitCodes.usage, `--${flag.name} wants a number, not ${String(first)}`);
    return number;
  }
  return texts.map((text) => assignment(flag.name, String(text)));
}

/** `key=value`; the value is JSON where it parses, else text. */
function assignment(flag: string, text: string): readonly [string, unknown] {
  const at = text.indexOf('=');
  if (at < 1) throw new CliError(exitCodes.usage, `--${flag} wants key=value, not ${text}`);
  const value = text.slice(at + 1);
  try {
    return [text.slice(0, at), JSON.parse(value)];
  } catch {
    return [text.slice(0, at), value];
  }
}

/** Returns the request body that the flags make. `--set key=json` (path '') reaches every attribute. */
export function bodyOf(
  command: { readonly flags: readonly Flag[] },
  flags: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const { name, path, type } of command.flags) {
    const value = flags[name];
    if (value === undefined || path === undefined) continue;
    const parts = type === 'json' ? (value as [string, unknown][]) : [['', value] as const];
    for (const [key, content] of parts) {
      put(body, [path, key].filter((part) => part !== '').join('.'), content);
    }
  }
  return body;
}

function put(body: Record<string, unknown>, path: string, value: unknown): void {
  const at = path.indexOf('.');
  if (at === -1) {
    body[path] = value;
    return;
  }
  const key = path.slice(0, at);
  const inner = (body[key] ?? {}) as Record<string, unknown>;
  body[key] = inner;
  put(inner, path.slice(at + 1), value);
}

/** Returns the help of one command. */
export function commandHelp(command: Command): string {
  const flags = [...command.flags, ...globalFlags];
  const width = Math.max(...flags.map((flag) => flag.name.length)) + 2;
  return [
    `tocsin ${command.words.join(' ')} ${command.args.map((arg) => (arg.endsWith('…') ? `[${arg.slice(0, -1)}]` : arg)).join(' ')}`.trimEnd(),
    '',
    `  ${command.summary}`,
    '',
    'Flags:',
    ...flags.map((flag) => `  --${flag.name.padEnd(width)}${flag.help}`),
    ...(command.examples.length === 0
      ? []
      : ['', 'Examples:', ...command.examples.map((example) => `  ${example}`)]),
  ].join('\n');
}

/** Returns the overview of all commands. */
export function overviewHelp(commands: readonly Command[]): string {
  const lines = commands.map((command) => [command.words.join(' '), command.summary] as const);
  const width = Math.max(...lines.map(([words]) => words.length)) + 2;
  return [
    'tocsin: monitoring as a service that you run yourself',
    '',
    'Usage: tocsin COMMAND [ARGUMENTS] [FLAGS]',
    '',
    ...lines.map(([words, summary]) => `  ${words.padEnd(width)}${summary}`),
    '',
    'tocsin COMMAND --help tells the flags of a command and examples.',
    'Exit codes: 0 done, 1 refused, 2 wrong usage, 3 server unreachable or failed, 4 does not exist, 5 bad news (test not available, doctor found problems).',
  ].join('\n');
}
