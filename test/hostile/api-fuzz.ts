// Requests made from what the node describes: valid, mutated, hostile. Says what is wrong with an answer: a 5xx that is not
// documented, silence, another tenant's canary.
import type { Answered, Asked } from './api-client.ts';
import { freshAddress } from './api-client.ts';
import { canary, idOf, type Operation, type World } from './api-world.ts';
import { mutateBytes, mutateText, mutateValue, oddValues, oneOf, type Pick } from './mutate.ts';

/** Path parameters that nobody made. */
const hostileParameters: readonly string[] = [
  '',
  '.',
  '..',
  '%00',
  '%2e%2e',
  '%2f',
  'a%2fb',
  '%ff',
  '%zz',
  '%',
  '__proto__',
  'constructor',
  'null',
  'undefined',
  '0',
  '-1',
  '*',
  "'",
  '%22%3E%3Cscript%3E',
  '%0d%0aSet-Cookie:%20a',
  '%e2%80%ae',
  '%f0%9f%92%a9',
  '%ed%a0%80',
  'enTest',
  'npTechnicalContactsEmail',
  'mzlocal',
  'remote.http',
  'duration',
  'a'.repeat(300),
  'a'.repeat(2000),
  '%61'.repeat(700),
  '00000000-0000-1000-8000-000000000000',
];

const queryValues: readonly string[] = [
  '',
  '0',
  '1',
  '-1',
  '1000',
  '1001',
  '1.5',
  '1e3',
  'NaN',
  '9007199254740993',
  '999999999999999',
  '1700000000000',
  'true',
  'false',
  'FULL',
  '%00',
  '%zz',
  '%ff',
  '__proto__',
  'a'.repeat(600),
  '00000000-0000-1000-8000-000000000000',
  '13816872-1dd2-11b2-ad71-1742b726b044',
];

const contentTypes: readonly string[] = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=utf-16',
  'APPLICATION/JSON',
  ' application/json',
  'application/json\tx',
  'application/jsonx',
  'application/json x',
  'application/json,text/plain',
  'text/plain',
  'text/plain; application/json',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/msgpack',
  '*/*',
  ';',
  'a'.repeat(1000),
];

const headerNames: readonly (readonly [string, readonly string[]])[] = [
  ['Idempotency-Key', ['a', '', '__proto__', 'k'.repeat(3000)]],
  ['Last-Event-ID', ['x', '13816872-1dd2-11b2-ad71-1742b726b044.5', '9'.repeat(500)]],
  ['Accept-Encoding', ['gzip', 'br;q=0', 'identity;q=0, *;q=0', 'gzip'.repeat(200)]],
  ['Accept', ['text/event-stream', '*/*', 'x'.repeat(500)]],
  ['X-HTTP-Method-Override', ['DELETE']],
  ['X-Forwarded-Host', ['evil.example']],
  ['X-Forwarded-For', ['127.0.0.1']],
  ['Origin', ['http://evil.example', 'null']],
  ['Host', ['evil.example', 'a b', '[::1', 'x'.repeat(300)]],
  ['Content-Encoding', ['gzip']],
  ['Range', ['bytes=0-1']],
  ['If-None-Match', ['*']],
  ['Cookie', ['a=b; token=x']],
];

/** Bodies that are right for an operation, so that mutants get past its first rule. */
function seedOf(id: string, pick: Pick, ids: (name: string) => string): unknown {
  const metadata = { a: 'b' };
  const check = (): object => ({
    ...oneOf(pick, [
      {
        type: 'remote.http',
        details: { url: 'http://127.0.0.1:1/', body: 'x+', headers: { a: 'b' } },
      },
      { type: 'remote.tcp', details: { port: 1, banner_match: 'a' } },
      { type: 'remote.dns', details: { query: 'a.invalid', record_type: 'A' } },
      { type: 'remote.ping', details: { count: 1 } },
    ]),
    label: 'c',
    monitoring_zones_poll: ['mzlocal'],
    target_hostname: '127.0.0.1',
    period: 30,
    timeout: 1,
    metadata,
  });
  const notification = (): object =>
    oneOf(pick, [
      { label: 'n', type: 'webhook', details: { url: 'http://127.0.0.1:1/x' } },
      { label: 'n', type: 'email', details: { address: 'a@b.invalid' } },
      { label: 'n', type: 'pagerduty', details: { service_key: 'k' } },
      { label: 'n', type: 'managed', details: {} },
    ]);
  const point = { timestamp: 1, monitoring_zone_id: 'mzlocal', available: true, status: 'x' };
  const seeds: Readonly<Record<string, () => unknown>> = {
    Account: () => ({
      metadata,
      webhook_token: 'abc',
      technical_contacts: [{ email: 'a@b.invalid' }],
    }),
    Entity: () => ({ label: 'e', ip_addresses: { main: '127.0.0.1' }, metadata, uri: null }),
    Check: check,
    Alarm: () => ({
      check_id: ids('check'),
      notification_plan_id: ids('plan'),
      criteria: "if (metric['code'] == '200') { return new AlarmStatus(OK, '#{code}'); }",
      label: 'a',
      disabled: true,
      metadata,
    }),
    testAlarm: () => ({
      criteria: "if (rate(metric['d']) > 1) { return new AlarmStatus(WARNING); }",
      check_data: [{ ...point, metrics: { d: { type: 'n', data: 1, unit: 'x' } } }, point],
    }),
    AlarmExample: () => ({ values: { string: 'a', port: 80, threshold: '5' } }),
    Notification: notification,
    NotificationPlan: () => ({
      label: 'p',
      critical_state: [ids('notification')],
      ok_state: [],
      metadata,
    }),
    Suppression: () => ({
      label: 's',
      entities: [ids('entity')],
      checks: [`${ids('entity')}:${ids('check')}`],
      alarms: [`${ids('entity')}:${ids('alarm')}`],
      notification_plans: [ids('plan')],
      start_time: 0,
      end_time: 4_000_000_000_000,
    }),
    multiplot: () => ({
      metrics: [{ entity_id: ids('entity'), check_id: ids('check'), metric: 'duration' }],
    }),
    Zone: () => ({ label: 'z' }),
    traceroute: () => ({ target: '127.0.0.1', target_resolver: 'IPv4' }),
    TenantLimits: () => ({ checks: 10, rate: { global: 100 } }),
    Tenant: () => ({ id: `fuzz-${pick(1000)}`, label: 'x' }),
    User: () => ({
      name: `fuzz-${pick(1000)}`,
      roles: ['observer'],
      password: 'twelve chars long',
    }),
    createToken: () => ({
      auth: { passwordCredentials: { username: 'nobody', password: 'x' } },
    }),
  };
  const noun = id.replace(/^(create|update|test|evaluate)(Existing|Private)?/, '');
  const names = Object.keys(seeds).sort((one, other) => other.length - one.length);
  const found = names.find((name) => name === id) ?? names.find((name) => noun.startsWith(name));
  return found === undefined ? {} : (seeds[found] as () => unknown)();
}

/** Returns the value with each of its parts, in turn, replaced by each odd value. */
function* everyMutant(value: unknown): Generator<unknown> {
  for (const odd of oddValues) yield odd();
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) {
      for (const mutant of everyMutant(item)) yield value.with(at, mutant);
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, field] of Object.entries(value)) {
      for (const mutant of everyMutant(field)) yield { ...value, [name]: mutant };
    }
  }
}

const madeBy: Readonly<Record<string, string>> = {
  createEntity: 'entity',
  createCheck: 'check',
  createAlarm: 'alarm',
  createNotification: 'notification',
  createNotificationPlan: 'plan',
  createSuppression: 'suppression',
};

/** Makes requests; remembers what the attacker made, so that later ones find it. */
export class ApiFuzz {
  readonly #world: World;
  readonly #pick: Pick;
  readonly #made: Record<string, string[]>;

  constructor(world: World, pick: Pick) {
    this.#world = world;
    this.#pick = pick;
    const mine = Object.entries(world.attacker.ids);
    this.#made = Object.fromEntries(
      mine.map(([name, ids]): [string, string[]] => [name, [...ids]]),
    );
  }

  /** Returns the next request and what it is of. */
  next(): { readonly operation: Operation; readonly asked: Asked } {
    const pick = this.#pick;
    const { operations } = this.#world;
    const changes = operations.filter(({ hasBody }) => hasBody);
    const operation = oneOf(pick, pick(2) === 0 ? changes : operations);
    const asked = {
      method: pick(50) === 0 ? oneOf(pick, ['PATCH', 'HEAD', 'PUT', 'OPTIONS']) : operation.method,
      path: `${this.#path(operation)}${this.#query(operation)}`,
      ...this.#credentials(operation),
      headers: this.#headers(),
      body: this.#body(operation),
    };
    return { operation, asked };
  }

  /** Yields, for every operation, each part of its body, each query parameter and each id replaced by every odd value. */
  *sweep(): Generator<{ readonly operation: Operation; readonly asked: Asked }> {
    const { operations, tokens } = this.#world;
    const headers = { 'Content-Type': 'application/json' };
    for (const operation of operations) {
      // Users of the installation stay, log-ins are counted.
      if (operation.id === 'createToken' || operation.method === 'DELETE') continue;
      const token = operation.role === 'operator' ? tokens.operator : tokens.admin;
      const one = (path: string, body: unknown) => ({
        operation,
        asked: {
          method: operation.method,
          path,
          token,
          headers,
          body: operation.hasBody ? (JSON.stringify(body) ?? '') : null,
        },
      });
      const seed = seedOf(operation.id, this.#pick, (name) => this.#id(name));
      const path = this.#ownPath(operation);
      for (const body of operation.hasBody ? everyMutant(seed) : []) yield one(path, body);
      for (const name of operation.query) {
        for (const value of queryValues) yield one(`${path}?${name}=${value}`, seed);
      }
      for (const name of operation.parameters) {
        if (name === 'tenant' || name === 'token') continue;
        for (const value of hostileParameters) {
          yield one(this.#ownPath(operation, name, value), seed);
        }
      }
    }
  }

  /** The path with ids of the attacker's first objects, and `value` for one of them. */
  #ownPath(operation: Operation, replaced = '', value = ''): string {
    const { tenant, ids } = this.#world.attacker;
    const owner = operation.role === 'operator' ? 'fuzzland' : tenant;
    return operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
      if (name === replaced) return value;
      return name === 'tenant' ? owner : (ids[name]?.[0] ?? 'remote.http');
    });
  }

  /** Takes what a request made into the next ones. */
  learn(operation: Operation, answer: Answered): void {
    const name = madeBy[operation.id];
    const id = idOf(answer);
    if (answer.status !== 201 || name === undefined || id === '') return;
    const known = this.#made[name] ?? [];
    known.push(id);
    if (known.length > 50) known.splice(1, 1);
  }

  #id(name: string): string {
    const pick = this.#pick;
    const theirs = this.#world.victim.ids[name] ?? [];
    if (theirs.length > 0 && pick(4) === 0) return oneOf(pick, theirs);
    const mine = this.#made[name] ?? [];
    return mine.length > 0 ? oneOf(pick, mine) : 'mzlocal';
  }

  #young(name: string): string {
    const made = this.#made[name]?.slice(1) ?? [];
    return made.length > 0 ? oneOf(this.#pick, made) : oneOf(this.#pick, hostileParameters);
  }

  #path(operation: Operation): string {
    const pick = this.#pick;
    const isOperators = operation.role === 'operator';
    return operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
      if (name === 'tenant') return this.#tenant(isOperators);
      if (pick(4) === 0 || name === 'token') return oneOf(pick, hostileParameters);
      // The first of each was there before: what hangs below it stays reachable.
      if (operation.method === 'DELETE' && this.#made[name] !== undefined) return this.#young(name);
      if (name === 'user') return `fuzz-${pick(1000)}`;
      return this.#id(name);
    });
  }

  #tenant(isOperators: boolean): string {
    const pick = this.#pick;
    // Operators may ruin a tenant: only the one that is there for it.
    if (isOperators) return pick(4) === 0 ? oneOf(pick, hostileParameters) : 'fuzzland';
    const turn = pick(20);
    if (turn === 0) return oneOf(pick, hostileParameters);
    return turn === 1 ? this.#world.victim.tenant : this.#world.attacker.tenant;
  }

  #credentials(operation: Operation): Credentials {
    const pick = this.#pick;
    const { admin, observer, operator, revoked } = this.#world.tokens;
    if (operation.role === 'operator') return { token: pick(5) === 0 ? admin : operator };
    if (operation.id === 'createToken') return { from: freshAddress() };
    const turn = pick(40);
    if (turn === 0) return { token: null };
    if (turn === 1) return { token: revoked, from: freshAddress() };
    if (turn === 2) {
      const token = mutateText(pick, admin, [operator], []).replace(/[^\x21-\x7e]/g, '_');
      return { token: token.slice(0, 8000), from: freshAddress() };
    }
    return { token: turn < 8 ? observer : admin };
  }

  #query(operation: Operation): string {
    const pick = this.#pick;
    const names = [...operation.query, '_who', 'jsonp', 'limit', 'marker', '__proto__'];
    const parts = Array.from({ length: pick(4) }, () => {
      const name = oneOf(pick, names);
      const value = pick(6) === 0 ? this.#id('entity') : oneOf(pick, queryValues);
      return `${name}=${value}`;
    });
    return parts.length === 0 ? '' : `?${parts.join('&')}`;
  }

  #headers(): Record<string, string> {
    const pick = this.#pick;
    const headers: Record<string, string> = {};
    if (pick(20) > 0) {
      headers['Content-Type'] = pick(8) === 0 ? oneOf(pick, contentTypes) : 'application/json';
    }
    if (pick(4) === 0) {
      const [name, values] = oneOf(pick, headerNames);
      headers[name] = oneOf(pick, values);
    }
    return headers;
  }

  #body(operation: Operation): Buffer | string | null {
    const pick = this.#pick;
    if (!operation.hasBody && pick(10) > 0) return null;
    const seed = seedOf(operation.id, pick, (name) => this.#id(name));
    const turn = pick(20);
    if (turn < 6) return JSON.stringify(seed);
    if (turn < 16) {
      let mutant = mutateValue(pick, seed);
      for (let left = pick(3); left > 0; left--) mutant = mutateValue(pick, mutant);
      return JSON.stringify(mutant) ?? '';
    }
    if (turn === 16) return JSON.stringify((oneOf(pick, oddValues) as () => unknown)()) ?? '';
    if (turn === 17) return `${'['.repeat(pick(100_000))}`;
    const text = Buffer.from(JSON.stringify(seed));
    return mutateBytes(pick, text, [text]);
  }
}

type Credentials = { readonly token?: string | null; readonly from?: string };

/** Returns what is wrong with an answer, or null. 501 and 503 are documented. */
export function faultOf(asked: Asked, answer: Answered): string | null {
  const what = (fault: string): string =>
    `${fault}: ${asked.method} ${asked.path.slice(0, 300)} ${String(asked.body ?? '').slice(0, 600)} -> ${answer.status} ${answer.text.slice(0, 300)}`;
  if (answer.status === 0) return what('no answer');
  if (answer.status === -1) return what('connection broke');
  if (answer.status >= 500 && answer.status !== 501) return what('server error');
  if (answer.text.includes(canary) || JSON.stringify(answer.headers).includes(canary)) {
    return what('canary');
  }
  const isJson = String(answer.headers['content-type']).includes('application/json');
  const isError = answer.status >= 400;
  if (isError && isJson && !isErrorBody(answer.text)) return what('no error body');
  return null;
}

function isErrorBody(text: string): boolean {
  if (text === '') return true;
  try {
    const { type, code, txnId } = JSON.parse(text) as Record<string, unknown>;
    return typeof type === 'string' && typeof code === 'number' && typeof txnId === 'string';
  } catch {
    // No JSON at all.
    return false;
  }
}
