// What people and programs see: tables, `--json`, times, colours. Text from outside loses its control characters.
import Table from 'cli-table3';
import pc from 'picocolors';

export type Column = readonly [title: string, read: (row: Record<string, unknown>) => unknown];

/** Returns text without control characters, so that a banner cannot steer the terminal. */
export function clean(value: unknown): string {
  const text =
    value === null || value === undefined
      ? ''
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}

/** Returns an alarm state in its colour. */
export function paintState(state: unknown): string {
  const text = clean(state);
  if (text === 'OK') return pc.green(text);
  if (text === 'WARNING') return pc.yellow(text);
  if (text === 'CRITICAL') return pc.red(pc.bold(text));
  return pc.dim(text);
}

/** Returns an instant (epoch ms) as local date and time. */
export function instant(value: unknown): string {
  if (typeof value !== 'number') return '';
  return new Date(value).toLocaleString('sv-SE');
}

/** Returns a length of time in short form: 350 ms, 12 s, 3 min, 5 h. */
export function length(valueMs: unknown): string {
  if (typeof valueMs !== 'number') return '';
  if (valueMs < 1000) return `${Math.round(valueMs)} ms`;
  if (valueMs < 120_000) return `${Math.round(valueMs / 1000)} s`;
  if (valueMs < 7_200_000) return `${Math.round(valueMs / 60_000)} min`;
  return `${Math.round(valueMs / 3_600_000)} h`;
}

/** Returns a table; "nothing here" where there are no rows. */
export function table(
  columns: readonly Column[],
  rows: readonly Record<string, unknown>[],
): string {
  if (rows.length === 0) return pc.dim('nothing here');
  const plain = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: '  ',
  };
  const made = new Table({
    head: columns.map(([title]) => pc.dim(title)),
    chars: plain,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  for (const row of rows) {
    made.push(
      columns.map(([title, read]) =>
        title === 'state' ? paintState(read(row)) : clean(read(row)).slice(0, 120),
      ),
    );
  }
  return made.toString();
}

/** Returns one object as lines `key  value`. */
export function card(object: Record<string, unknown>): string {
  const width = Math.max(...Object.keys(object).map((key) => key.length), 1);
  return Object.entries(object)
    .map(([key, value]) => `${pc.dim(key.padEnd(width))}  ${shown(key, value)}`)
    .join('\n');
}

function shown(key: string, value: unknown): string {
  if (typeof value === 'number' && /(_at|_time|timestamp)$/.test(key))
    return `${instant(value)} (${value})`;
  if (key === 'state' || key === 'previous_state') return paintState(value);
  if (key === 'criteria' && typeof value === 'string') return `\n${value.replace(/^/gm, '    ')}`;
  return value === null ? pc.dim('–') : clean(value);
}

/** Writes a line to standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes JSON to standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Says on standard error what takes long; nothing where it is not a terminal. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${text}\n`);
}
