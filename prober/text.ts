// What is done to every string that crosses the prober: user strings that reach a wire hold no control
// characters; strings of targets are hostile and are cleaned and cut. Pure.
import { ProbeError } from './errors.ts';
import { statusCharsMax } from './limits.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
const unwanted = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\p{Surrogate}/gu;

/** Returns `text`; throws `invalid-request` naming `field` where it holds a control character. */
export function wireText(text: string, field: string): string {
  if (control.test(text)) {
    throw new ProbeError('invalid-request', { message: `control character in ${field}` });
  }
  return text;
}

/** Returns text of a target, safe to store and show: control characters blanked, at most `charsMax` long. */
export function cleanText(text: string, charsMax: number): string {
  const cut = text.length > charsMax ? text.slice(0, charsMax) : text;
  return cut.replace(unwanted, ' ');
}

/** Returns a status line: one line, at most 256 characters. */
export function statusText(text: string): string {
  if (/^[ -~]{0,256}$/.test(text)) return text;
  return cleanText(text, statusCharsMax).replace(/[\t\n]/g, ' ');
}

const escapes: Readonly<Record<string, string>> = {
  r: '\r',
  n: '\n',
  t: '\t',
  '0': '\0',
  '\\': '\\',
};

/**
 * Returns the bytes of a text whose control characters are written as `\r \n \t \0 \\ \xHH`;
 * a raw control character throws `invalid-request` (security.md §4: explicit escapes only).
 */
export function unescapeSendText(text: string, field: string): Buffer {
  wireText(text, field);
  const parts: Buffer[] = [];
  let at = 0;
  for (const match of text.matchAll(/\\(?:x([0-9a-fA-F]{2})|([rnt0\\]))/g)) {
    parts.push(Buffer.from(text.slice(at, match.index)));
    const hex = match[1];
    parts.push(
      hex === undefined ? Buffer.from(escapes[match[2] ?? ''] ?? '') : Buffer.from(hex, 'hex'),
    );
    at = match.index + match[0].length;
  }
  parts.push(Buffer.from(text.slice(at)));
  return Buffer.concat(parts);
}
