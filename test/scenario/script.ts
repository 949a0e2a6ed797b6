// The text of a scenario: comments, blocks of commands with their expected output, and back to text for REWRITE.
// A command is `verb word word name=value name="a text"`; lines below it that start with two spaces are its body (criteria).
// Must not know what verbs do.

export interface Command {
  readonly verb: string;
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  /** Options whose value was quoted: a text even where it reads as a number. */
  readonly quoted: ReadonlySet<string>;
  /** Lines of the body, without their indent. */
  readonly body: string;
  /** The command as written. */
  readonly source: string;
  readonly line: number;
}

export interface Block {
  /** Comment and blank lines above it. */
  readonly above: readonly string[];
  readonly source: readonly string[];
  readonly commands: readonly Command[];
  readonly expected: readonly string[];
}

export interface Script {
  readonly blocks: readonly Block[];
  /** Lines behind the last block. */
  readonly below: readonly string[];
}

const ruler = '----';

/** Returns the blocks of a scenario. Throws where a block has no `----`. */
export function parseScript(text: string): Script {
  const lines = text.replace(/\n+$/, '').split('\n');
  const blocks: Block[] = [];
  let above: string[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? '';
    if (line.trim() === '' || line.startsWith('#')) {
      above.push(line);
      at++;
      continue;
    }
    const end = lines.indexOf(ruler, at);
    if (end === -1) throw new Error(`line ${at + 1}: a block without ${ruler}`);
    const source = lines.slice(at, end);
    const blank = lines.indexOf('', end);
    const stop = blank === -1 ? lines.length : blank;
    blocks.push({
      above,
      source,
      commands: commandsOf(source, at + 1),
      expected: lines.slice(end + 1, stop),
    });
    above = [];
    at = stop;
  }
  return { blocks, below: above };
}

/** Returns the scenario's text with these outputs. */
export function scriptText(script: Script, outputs: readonly (readonly string[])[]): string {
  const lines = script.blocks.flatMap((block, at) => [
    ...block.above,
    ...block.source,
    ruler,
    ...(outputs[at] ?? []),
  ]);
  return `${[...lines, ...script.below].join('\n')}\n`;
}

function commandsOf(source: readonly string[], firstLine: number): readonly Command[] {
  const commands: Command[] = [];
  for (let at = 0; at < source.length; at++) {
    const line = source[at] ?? '';
    const body: string[] = [];
    while (source[at + 1]?.startsWith('  ') === true) {
      at++;
      body.push((source[at] ?? '').slice(2));
    }
    commands.push(commandOf(line, body.join('\n'), firstLine + at));
  }
  return commands;
}

const token = /(?:([a-z_]+|[-\w./%]+)=)?("(?:[^"\\]|\\.)*"|\S+)/g;

function commandOf(source: string, body: string, line: number): Command {
  const words: string[] = [];
  const options = new Map<string, string>();
  const quoted = new Set<string>();
  for (const [, name, value = ''] of source.matchAll(token)) {
    const isQuoted = value.startsWith('"');
    const text = isQuoted ? (JSON.parse(value) as string) : value;
    if (name === undefined) words.push(text);
    else options.set(name, text);
    if (name !== undefined && isQuoted) quoted.add(name);
  }
  const [verb = '', ...rest] = words;
  return { verb, words: rest, options, quoted, body, source: [source, body].join('\n'), line };
}
