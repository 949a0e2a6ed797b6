// Users of a tenant, for operators: list, create (the key is told once), rotate the key, change, delete.
// A change of key, password or roles ends all tokens of the user.
import type { Outcome } from '../../actors/refusal.ts';
import type { Role } from '../../actors/resources.ts';
import { type Answer, gone, named, ok } from '../answer.ts';
import { type Call, param, principalOf, tenantKey } from '../call.ts';
import { changeOf } from '../change.ts';
import { ApiError, badRequest, invalidKey, notFound, ofRefusal, tryLater } from '../errors.ts';
import { array, listOf, object, pageQuery, text, texts, whole } from '../json-schema.ts';
import { pageOf } from '../page.ts';
import { roleNames } from '../roles.ts';
import type { Route } from '../route.ts';
import { hashPassword, newApiKey, randomText } from '../secret.ts';
import { hashOf } from '../token.ts';
import { findUser, listUsers, putUser, type User, userNameForm } from '../user.ts';
import { read } from './define.ts';
import { demandKnownTenant, ofTenant, operatorRow } from './operator.ts';

const roles = array({ type: 'string', enum: roleNames });
const shown = object({ name: text, id: text, roles: texts, created_at: whole });
const withKey = object({ name: text, apiKey: text });
const tag = 'operator';

export const userRoutes: readonly Route[] = [
  ofTenant(
    read({
      path: '',
      id: 'listUsers',
      tag,
      summary: 'List the users of a tenant',
      role: 'operator',
      query: pageQuery,
      returns: listOf(shown),
      handle: list,
    }),
    '/users',
  ),
  ofTenant(
    operatorRow('POST', {
      path: '',
      id: 'createUser',
      tag,
      summary: 'Create a user; its API key is told this once',
      role: 'operator',
      takes: object({ name: text, roles, password: text }, ['name']),
      returns: withKey,
      status: 201,
      audit: 'api',
      handle: createUser,
    }),
    '/users',
  ),
  ofTenant(
    operatorRow('PUT', {
      path: '',
      id: 'updateUser',
      tag,
      summary: 'Change the roles or the password of a user; ends its tokens',
      role: 'operator',
      takes: object({ roles, password: text }),
      status: 204,
      audit: 'api',
      handle: updateUser,
    }),
    '/users/:user',
  ),
  ofTenant(
    operatorRow('POST', {
      path: '',
      id: 'rotateKey',
      tag,
      summary: 'A new API key for a user; ends its tokens',
      role: 'operator',
      bodyUse: 'ignored',
      returns: withKey,
      status: 200,
      audit: 'api',
      handle: rotateKey,
    }),
    '/users/:user/key',
  ),
  ofTenant(
    operatorRow('DELETE', {
      path: '',
      id: 'deleteUser',
      tag,
      summary: 'Delete a user; ends its tokens',
      role: 'operator',
      status: 204,
      audit: 'api',
      handle: deleteUser,
    }),
    '/users/:user',
  ),
];

const usersMax = 1_000;
const passwordLength = { min: 12, max: 256 } as const;

async function list(call: Call): Promise<Answer> {
  await demandKnownTenant(call);
  const users = await listUsers(call.ports.accounts, param(call, 'tenant'), usersMax);
  const items = users.map(({ name, id, roles: held, createdAtMs }) => ({
    name,
    id,
    roles: held,
    created_at: createdAtMs,
  }));
  return pageOf(call, items, (item) => item.name);
}

async function createUser(call: Call): Promise<Answer> {
  await demandKnownTenant(call);
  const { accounts, random, clock } = call.ports;
  const { name, roles: wanted = ['admin'], password } = call.body;
  if (typeof name !== 'string' || !userNameForm.test(name)) {
    throw invalidKey('name', 'Must be 1 to 64 of letters, digits and ._@+-');
  }
  const apiKey = newApiKey(random);
  const user: User = {
    name,
    tenant: param(call, 'tenant'),
    version: 1,
    id: randomText(random, 10),
    keyHash: hashOf(apiKey),
    passwordHash: await passwordHash(call, password),
    roles: rolesOf(wanted),
    createdAtMs: clock.nowMs(),
  };
  if (!(await putUser(accounts, user))) throw badRequest('The user name is taken');
  const location = userLocation(call, name);
  const headers = { Location: location, 'X-Object-ID': name };
  return { kind: 'json', status: 201, body: { name, apiKey }, headers };
}

async function updateUser(call: Call): Promise<Answer> {
  const user = await userInPath(call);
  const { roles: wanted, password } = call.body;
  const hash = password === undefined ? user.passwordHash : await passwordHash(call, password);
  const held = wanted === undefined ? user.roles : rolesOf(wanted);
  if (isSelf(call, user) && !held.includes('operator')) {
    throw new ApiError('forbiddenError', 'Operators cannot take the role from themselves');
  }
  await replace(call, { ...user, roles: held, passwordHash: hash });
  return named(204, user.name, userLocation(call, user.name));
}

async function rotateKey(call: Call): Promise<Answer> {
  const user = await userInPath(call);
  const apiKey = newApiKey(call.ports.random);
  await replace(call, { ...user, keyHash: hashOf(apiKey) });
  return ok({ name: user.name, apiKey });
}

async function deleteUser(call: Call): Promise<Answer> {
  const user = await userInPath(call);
  if (isSelf(call, user)) throw new ApiError('forbiddenError', 'Users cannot delete themselves');
  const isDeleted = await call.ports.accounts.deleteUser(user.name, user.version);
  if (!isDeleted) throw tryLater('The user was changed meanwhile, try again');
  await endTokens(call, user);
  return gone();
}

async function replace(call: Call, user: User): Promise<void> {
  const isPut = await putUser(call.ports.accounts, { ...user, version: user.version + 1 });
  if (!isPut) throw tryLater('The user was changed meanwhile, try again');
  await endTokens(call, user);
}

async function endTokens(call: Call, user: User): Promise<void> {
  call.services.issued.forget(user.name);
  const message = { kind: 'token.deleteOf', user: user.name, change: changeOf(call) } as const;
  const outcome = await call.ports.router.ask<Outcome<unknown>>(tenantKey(call), message);
  if (!outcome.ok && outcome.error.type !== 'notFoundError') throw ofRefusal(outcome.error);
}

async function userInPath(call: Call): Promise<User> {
  const name = param(call, 'user');
  const user = await findUser(call.ports.accounts, name);
  if (user === null || user.tenant !== param(call, 'tenant')) {
    throw notFound('User', name.slice(0, 80));
  }
  return user;
}

function isSelf(call: Call, user: User): boolean {
  const { user: name, tenant } = principalOf(call);
  return name === user.name && tenant === user.tenant;
}

function rolesOf(given: unknown): readonly Role[] {
  if (!Array.isArray(given) || given.length === 0) throw invalidKey('roles', 'Not an array');
  const unknown = given.find((role) => !roleNames.includes(role as Role));
  if (unknown === undefined) return [...new Set(given as Role[])];
  const names = roleNames.join(',');
  const shown = (typeof unknown === 'string' ? unknown : JSON.stringify(unknown)).slice(0, 80);
  throw invalidKey('roles', `Invalid value '${shown}'. Should be one of (${names})`);
}

async function passwordHash(call: Call, given: unknown): Promise<string | null> {
  if (given === undefined || given === null) return null;
  const { min, max } = passwordLength;
  if (typeof given !== 'string' || given.length < min || given.length > max) {
    throw invalidKey('password', `String is not in range (${min}..${max})`);
  }
  return hashPassword(given, call.ports.random);
}

function userLocation(call: Call, name: string): string {
  return `${call.origin}/v1.0/operator/tenants/${param(call, 'tenant')}/users/${encodeURIComponent(name)}`;
}
