// The identity service that v1.0 clients log in with: tokens for an API key or a password, and their validation.
// A log-in takes as long for an unknown user as for a known one, and is limited by user and address.
import { type Answer, gone, ok } from '../answer.ts';
import { demandRole, type Principal, tooMany, unauthorized } from '../authenticate.ts';
import { type Call, param } from '../call.ts';
import { badRequest, notFound } from '../errors.ts';
import type { IssuedToken } from '../issued-tokens.ts';
import { array, instant, object, text } from '../json-schema.ts';
import { mayCall } from '../roles.ts';
import type { Route } from '../route.ts';
import { matchesPassword } from '../secret.ts';
import { hashOf, matchesHash } from '../token.ts';
import { issueToken, revokeToken } from '../token-issue.ts';
import { findUser, type User } from '../user.ts';

const access = object({
  access: object({
    token: object({ id: text, expires: text, tenant: object({ id: text, name: text }) }),
    serviceCatalog: array(object({ name: text, type: text, endpoints: array(object({})) })),
    user: object({ id: text, name: text, roles: array(object({ id: text, name: text })) }),
  }),
});

const credentials = object({
  auth: object({
    'RAX-KSKEY:apiKeyCredentials': object({ username: text, apiKey: text }),
    passwordCredentials: object({ username: text, password: text }),
  }),
});

const identity = {
  tag: 'identity',
  role: 'public',
  tenant: 'none',
  rate: 'global',
  audit: 'none',
  query: {},
  own: false,
} as const;

export const identityRoutes: readonly Route[] = [
  {
    ...identity,
    method: 'POST',
    path: '/v2.0/tokens',
    id: 'createToken',
    summary: 'Log in: a token for an API key or a password; each node counts failures for itself',
    body: { use: 'attributes', schema: credentials },
    response: { status: 200, schema: access },
    handle: logIn,
  },
  {
    ...identity,
    method: 'GET',
    path: '/v2.0/tokens/:token',
    id: 'validateToken',
    summary: 'Validate a token: the own one, or for administrators one of their tenant',
    body: null,
    response: { status: 200, schema: access },
    handle: validate,
  },
  {
    ...identity,
    method: 'DELETE',
    path: '/v2.0/tokens/:token',
    id: 'revokeToken',
    summary: 'Revoke a token: log out',
    body: null,
    response: { status: 204, schema: null },
    handle: revoke,
  },
  {
    ...identity,
    method: 'GET',
    path: '/v2.0',
    id: 'describeIdentity',
    summary: 'The identity version served',
    body: null,
    response: { status: 200, schema: object({ version: object({ id: text, updated: instant }) }) },
    handle: async () => ok({ version: { id: 'v2.0', status: 'CURRENT', links: [] } }),
  },
];

interface Credentials {
  readonly username: string;
  readonly secret: string;
  readonly by: 'APIKEY' | 'PASSWORD';
}

async function logIn(call: Call): Promise<Answer> {
  const given = credentialsOf(call.body);
  const { logins } = call.services;
  const { loginFailuresPerUser, loginFailuresPerAddress } = call.ports.limits;
  const userKey = `user ${given.username} ${call.address}`;
  const addressKey = `address ${call.address}`;
  const waitSeconds = Math.max(
    logins.blockedSeconds(userKey, loginFailuresPerUser),
    logins.blockedSeconds(addressKey, loginFailuresPerAddress),
  );
  if (waitSeconds > 0) throw tooMany('Too many failed log-ins', waitSeconds);
  // Counted ahead, so that attempts sent at once are no way around the limit.
  for (const key of [userKey, addressKey]) logins.failed(key);
  const user = await authenticated(call, given).catch((error: unknown) => {
    for (const key of [userKey, addressKey]) logins.forgive(key);
    throw error;
  });
  if (user === null) {
    call.ports.meter.count('api_logins_refused', 1);
    throw unauthorized('Unable to authenticate user with the credentials provided');
  }
  logins.succeeded(userKey);
  logins.forgive(addressKey);
  const { text: token, expiresAtMs } = await tokenFor(call, user, given.by);
  return ok(accessBody(call, token, { ...subjectOf(user), expiresAtMs }, [given.by]));
}

/** The user whose credentials these are, or null. Rejects where the store does not answer or too many passwords are checked. */
async function authenticated(call: Call, given: Credentials): Promise<User | null> {
  const user = await findUser(call.ports.accounts, given.username);
  const isRight =
    given.by === 'PASSWORD'
      ? await call.services.passwordGate.run(() =>
          matchesPassword(given.secret, user?.passwordHash ?? null),
        )
      : matchesKey(user, given.secret);
  return isRight ? user : null;
}

const noHash = hashOf('');

/** An unknown user costs what a known one costs: a hash is compared either way. */
function matchesKey(user: User | null, key: string): boolean {
  return matchesHash(key, user?.keyHash ?? noHash) && typeof user?.keyHash === 'string';
}

function credentialsOf(body: Readonly<Record<string, unknown>>): Credentials {
  const auth = body['auth'] as Readonly<Record<string, unknown>> | null | undefined;
  const byKey = auth?.['RAX-KSKEY:apiKeyCredentials'] as Record<string, unknown> | undefined;
  const byPassword = auth?.['passwordCredentials'] as Record<string, unknown> | undefined;
  const username = byKey?.['username'] ?? byPassword?.['username'];
  const secret = byKey?.['apiKey'] ?? byPassword?.['password'];
  if (typeof username !== 'string' || typeof secret !== 'string' || secret.length > 1_024) {
    throw badRequest(
      'Credentials are missing',
      'auth must hold RAX-KSKEY:apiKeyCredentials {username, apiKey} or passwordCredentials {username, password}',
    );
  }
  return { username, secret, by: byKey === undefined ? 'PASSWORD' : 'APIKEY' };
}

/** The token of an API key is handed out again while it is young; each password log-in gets one of its own. */
async function tokenFor(call: Call, user: User, by: Credentials['by']): Promise<IssuedToken> {
  const { issued, authenticator } = call.services;
  const known = by === 'APIKEY' ? issued.reusable(user.name, user.version) : null;
  if (known !== null && (await authenticator.find(known.text)) !== null) return known;
  const fresh = await issueToken(call, user);
  if (by === 'APIKEY') issued.remember(user.name, fresh);
  return fresh;
}

interface Subject {
  readonly id: string;
  readonly name: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly expiresAtMs: number | null;
}

function subjectOf(user: User): Omit<Subject, 'expiresAtMs'> {
  return { id: user.id, name: user.name, tenant: user.tenant, roles: user.roles };
}

/** Far ahead for a token without an end: clients parse an instant. */
const neverMs = Date.UTC(2999, 11, 31);

function accessBody(
  call: Call,
  tokenText: string,
  subject: Subject,
  by: readonly string[],
): unknown {
  const { tenant } = subject;
  const publicURL = `${call.origin}/v1.0/${tenant}`;
  const isoInstant = new Date(subject.expiresAtMs ?? neverMs).toISOString();
  return {
    access: {
      token: {
        id: tokenText,
        expires: isoInstant,
        tenant: { id: tenant, name: tenant },
        'RAX-AUTH:authenticatedBy': by,
      },
      serviceCatalog: [
        {
          name: 'cloudMonitoring',
          type: 'rax:monitor',
          endpoints: [{ tenantId: tenant, publicURL }],
        },
      ],
      user: {
        id: subject.id,
        name: subject.name,
        'RAX-AUTH:defaultRegion': 'ORD',
        roles: subject.roles.map((name, at) => ({
          id: String(at + 1),
          name: name === 'admin' ? 'identity:user-admin' : name,
          description: `Role ${name}`,
        })),
      },
    },
  };
}

async function validate(call: Call): Promise<Answer> {
  const { asking, subject } = await askedToken(call);
  demandOwnOrAdmin(asking, subject);
  const user = { id: subject.user, name: subject.user, tenant: subject.tenant };
  const body = accessBody(
    call,
    param(call, 'token'),
    { ...user, roles: subject.roles, expiresAtMs: subject.expiresAtMs },
    ['TOKEN'],
  );
  return ok(body);
}

async function revoke(call: Call): Promise<Answer> {
  const { asking, subject } = await askedToken(call);
  demandOwnOrAdmin(asking, subject);
  await revokeToken(call, subject.tenant, subject.tokenId);
  call.services.issued.forget(subject.user);
  return gone();
}

/** Who asks, and whom the token in the path belongs to; a foreign tenant's token is as unknown as any other. */
async function askedToken(
  call: Call,
): Promise<{ readonly asking: Principal; readonly subject: Principal }> {
  const header = call.headers['x-auth-token'];
  const { authenticator } = call.services;
  const asking = await authenticator.principal(
    typeof header === 'string' ? header : undefined,
    call.address,
  );
  const subject = await authenticator.find(param(call, 'token'));
  if (subject === null || subject.tenant !== asking.tenant) throw notFound('Token', '[redacted]');
  return { asking, subject };
}

function demandOwnOrAdmin(asking: Principal, subject: Principal): void {
  const isOwn = asking.tokenId === subject.tokenId;
  if (!isOwn && !mayCall(asking.roles, 'admin')) demandRole(asking, 'admin');
}
