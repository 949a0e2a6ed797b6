// Agents: no agent can connect to this build, so lists are empty, and what needs an agent says that there is none.
// What would make agents work (tokens, installers, upgrades) answers 501.
import type { EntityView } from '../../actors/entity/messages.ts';
import type { Answer } from '../answer.ts';
import { ask, type Call, entityKey, param } from '../call.ts';
import { ApiError, badRequest, notFound } from '../errors.ts';
import { listOf, object, pageQuery, text } from '../json-schema.ts';
import { envelope, pageRequest, wholeList } from '../page.ts';
import { valuesOf } from '../query.ts';
import type { RoleClass } from '../roles.ts';
import type { Route } from '../route.ts';
import type { Method } from '../route-facts.ts';
import { notBuilt } from '../unbuilt.ts';
import { change, read } from './define.ts';

const tag = 'agents';
const agent = object({ id: text });
const info = object({ timestamp: { type: 'integer' }, info: {} });

interface View {
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly handle: (call: Call) => Promise<Answer>;
  readonly role?: RoleClass;
}

function view({ path, id, summary, handle, role = 'read' }: View): Route {
  return read({ path, id, tag, summary, role, query: pageQuery, returns: listOf(agent), handle });
}

function unbuilt(method: Exclude<Method, 'GET'>, path: string, id: string, role: RoleClass): Route {
  return change(method, {
    path,
    id,
    tag,
    summary: 'Agents (not built yet)',
    role,
    status: method === 'POST' ? 201 : 204,
    audit: 'api',
    ...(method === 'DELETE' ? {} : { takes: object({}) }),
    handle: notBuilt('Agents'),
  });
}

export const agentRoutes: readonly Route[] = [
  view({ path: '/agents', id: 'listAgents', summary: 'List agents: none', handle: emptyPage }),
  view({
    path: '/agents/:agent',
    id: 'getAgent',
    summary: 'Read an agent: there are none',
    handle: async (call) => {
      throw notFound('Agent', param(call, 'agent').slice(0, 80));
    },
  }),
  view({
    path: '/agents/:agent/connections',
    id: 'listAgentConnections',
    summary: 'Connections of an agent: none',
    handle: async () => wholeList([]),
  }),
  view({
    path: '/agents/:agent/connections/:connection',
    id: 'getAgentConnection',
    summary: 'Read a connection: there are none',
    handle: async (call) => {
      throw notFound('AgentConnection', param(call, 'connection').slice(0, 80));
    },
  }),
  ...['host_info_types', 'host_info/:type'].map((path) =>
    read({
      path: `/agents/:agent/${path}`,
      id: path === 'host_info_types' ? 'listHostInfoTypes' : 'getHostInfo',
      tag,
      summary: 'Host information: needs an agent',
      role: 'read',
      returns: info,
      handle: async (call) => {
        throw noAgent(param(call, 'agent'));
      },
    }),
  ),
  ...['host_info/:type', 'check_types/:type/targets'].map((path) =>
    read({
      path: `/entities/:entity/agent/${path}`,
      id: path === 'host_info/:type' ? 'getEntityHostInfo' : 'listTargets',
      tag,
      summary: "Asked of the entity's agent: needs one",
      role: 'read',
      returns: info,
      handle: ofEntity,
    }),
  ),
  unbuilt('POST', '/agents/:agent/upgrade', 'upgradeAgent', 'admin'),
  view({
    path: '/agent_tokens',
    id: 'listAgentTokens',
    summary: 'List agent tokens: none',
    role: 'admin',
    handle: emptyPage,
  }),
  unbuilt('POST', '/agent_tokens', 'createAgentToken', 'test'),
  view({
    path: '/agent_tokens/:token',
    id: 'getAgentToken',
    summary: 'Read an agent token: there are none',
    handle: unknownToken,
  }),
  unbuilt('PUT', '/agent_tokens/:token', 'updateAgentToken', 'admin'),
  unbuilt('DELETE', '/agent_tokens/:token', 'deleteAgentToken', 'admin'),
  unbuilt('POST', '/agent_installers', 'createAgentInstaller', 'create'),
  view({
    path: '/agent_installers/:installer',
    id: 'getAgentInstaller',
    summary: 'Read an agent installer: there are none',
    handle: async (call) => {
      throw notFound('AgentInstaller', param(call, 'installer').slice(0, 80));
    },
  }),
  view({
    path: '/views/connections',
    id: 'viewConnections',
    summary: 'Connections of agents: none',
    handle: async (call) => {
      const ids = valuesOf(call.query, 'agentId', 100);
      if (ids.length === 0) throw badRequest("At least one 'agentId' is needed");
      return envelope(call, [], pageRequest(call), null);
    },
  }),
  view({
    path: '/views/agent_host_info',
    id: 'viewAgentHostInfo',
    summary: 'Host information of several agents: none',
    handle: hostInfoView,
  }),
];

async function emptyPage(call: Call): Promise<Answer> {
  return envelope(call, [], pageRequest(call), null);
}

async function unknownToken(): Promise<Answer> {
  throw notFound('AgentToken', '[redacted]');
}

function noAgent(id: string | null): ApiError {
  return new ApiError('agentDoesNotExist', 'Agent does not exist', {
    details: `Agent ${id === null ? 'null' : id.slice(0, 255)} does not exist`,
  });
}

async function ofEntity(call: Call): Promise<Answer> {
  const key = entityKey(call, param(call, 'entity'));
  const entity = await ask<EntityView>(call, key, { kind: 'entity.get' });
  throw noAgent(entity.agent_id);
}

async function hostInfoView(call: Call): Promise<Answer> {
  if (valuesOf(call.query, 'include').length === 0) {
    throw badRequest("At least one 'include' is needed");
  }
  const kinds = ['agentId', 'entityId', 'uri'].filter(
    (name) => valuesOf(call.query, name).length > 0,
  );
  if (kinds.length !== 1) throw badRequest('Exactly one kind of agentId, entityId, uri is needed');
  return envelope(call, [], pageRequest(call), null);
}
