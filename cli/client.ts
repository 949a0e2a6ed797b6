// The API client of the command line: finds server, tenant and token, sends, and turns error bodies into texts.
// Sources, later ones win: admin.json in the data folder, the environment, flags.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CliError, exitCodes } from './errors.ts';

export interface Connection {
  /** For example http://127.0.0.1:7420 */
  readonly url: string;
  readonly tenant: string;
  readonly token: string;
}

export interface Answer {
  readonly status: number;
  /** `X-Object-ID` of a create or update. */
  readonly id: string | null;
  readonly body: unknown;
}

const timeoutMs = 60_000;
const pagesMax = 1000;

/** Returns where and as whom to call. Throws a usage error that says what is missing and how to give it. */
export function connection(
  flags: Readonly<Record<string, unknown>>,
  environment: NodeJS.ProcessEnv,
): Connection {
  const admin = readAdmin(environment['TOCSIN_DATA'] ?? './data');
  const listen = environment['TOCSIN_LISTEN'] ?? '127.0.0.1:7420';
  const url = text(flags['server']) ?? environment['TOCSIN_URL'] ?? `http://${listen}`;
  const token = text(flags['token']) ?? environment['TOCSIN_TOKEN'] ?? admin?.token;
  const tenant = text(flags['tenant']) ?? environment['TOCSIN_TENANT'] ?? admin?.tenantId;
  if (token === undefined || tenant === undefined) {
    throw new CliError(
      exitCodes.usage,
      'no tenant and token: give --tenant and --token, set TOCSIN_TENANT and TOCSIN_TOKEN, or point TOCSIN_DATA at the folder with admin.json',
    );
  }
  return { url: url.replace(/\/+$/, ''), tenant, token };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function readAdmin(folder: string): { tenantId: string; token: string } | null {
  const path = join(resolve(folder), 'admin.json');
  if (!existsSync(path)) return null;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { tenantId: string; token: string };
  } catch (cause) {
    throw new CliError(
      exitCodes.usage,
      `${path} cannot be read: ${(cause as Error).message}`,
      cause,
    );
  }
}

/** A client of one tenant. `path` starts behind `/v1.0/{tenant}`; `absolute` paths start with `/v1.0` or `/v2.0`. */
export class Client {
  readonly connection: Connection;

  constructor(connected: Connection) {
    this.connection = connected;
  }

  async get(path: string): Promise<unknown> {
    return (await this.send('GET', path)).body;
  }

  /** All pages of a list, at most 1000 of them. */
  async list(path: string): Promise<Record<string, unknown>[]> {
    const values: Record<string, unknown>[] = [];
    let marker: string | null = null;
    for (let page = 0; page < pagesMax; page++) {
      const join = path.includes('?') ? '&' : '?';
      const more: string = marker === null ? '' : `&marker=${encodeURIComponent(marker)}`;
      const body = (await this.get(`${path}${join}limit=1000${more}`)) as {
        values: Record<string, unknown>[];
        metadata: { next_marker: string | null };
      };
      values.push(...body.values);
      marker = body.metadata.next_marker;
      if (marker === null) return values;
    }
    throw new CliError(exitCodes.refused, `more than ${values.length} rows: narrow the question`);
  }

  async send(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await this.open(
      method,
      path,
      body === undefined ? {} : { body: JSON.stringify(body) },
    );
    const textBody = await answer.text();
    const parsed = parseBody(textBody);
    if (!answer.ok) throw refusal(answer.status, parsed, textBody);
    return { status: answer.status, id: answer.headers.get('x-object-id'), body: parsed };
  }

  /** The raw answer, for streams. Throws only where the server cannot be reached. */
  async open(
    method: string,
    path: string,
    options: { body?: string; headers?: Record<string, string>; endless?: boolean } = {},
  ): Promise<Response> {
    const { url, tenant, token } = this.connection;
    const target =
      path.startsWith('/v') && /^\/v\d/.test(path)
        ? `${url}${path}`
        : `${url}/v1.0/${encodeURIComponent(tenant)}${path}`;
    try {
      return await fetch(target, {
        method,
        headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json', ...options.headers },
        ...(options.body === undefined ? {} : { body: options.body }),
        ...(options.endless === true ? {} : { signal: AbortSignal.timeout(timeoutMs) }),
      });
    } catch (cause) {
      const inner = (cause as Error & { cause?: Error }).cause?.message ?? (cause as Error).message;
      throw new CliError(
        exitCodes.unreachable,
        `${url} does not answer: ${inner}. Is the node running? (npm start)`,
        cause,
      );
    }
  }
}

function parseBody(textBody: string): unknown {
  if (textBody === '') return null;
  try {
    return JSON.parse(textBody);
  } catch {
    return textBody;
  }
}

function refusal(status: number, body: unknown, textBody: string): CliError {
  const error = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const message = typeof error['message'] === 'string' ? error['message'] : textBody.slice(0, 200);
  const details =
    typeof error['details'] === 'string'
      ? error['details']
      : error['details'] === undefined
        ? ''
        : JSON.stringify(error['details']);
  const said = details === '' || details === message ? message : `${message}: ${details}`;
  const code =
    status === 404 ? exitCodes.missing : status >= 500 ? exitCodes.unreachable : exitCodes.refused;
  return new CliError(code, `${status} ${String(error['type'] ?? '')} ${said}`.replace(/ +/g, ' '));
}
