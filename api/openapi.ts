// The served description (OpenAPI 3.1), made from the table of routes: nothing is described by hand, nothing is left out.
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import { errorSchema, type JsonSchema } from './json-schema.ts';
import type { ApiPorts } from './ports.ts';
import { namesIn, pathParameters, type Route } from './route.ts';

/** Returns the settings of @fastify/swagger. */
export function openApiOptions(ports: ApiPorts): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tocsin',
        version: ports.node.version,
        description:
          'Monitoring as a service that you run yourself. The v1.0 resources are those of Cloud Monitoring; ' +
          'the tag "tocsin" marks additions.',
      },
      components: {
        securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' } },
      },
    },
    hideUntagged: true,
  };
}

/** Returns a route's schema as Fastify and @fastify/swagger take it; they only describe, nothing validates by it. */
export function fastifySchema(route: Route): FastifySchema {
  if (route.tag === 'page') return { hide: true };
  const names = namesIn(route.path);
  return {
    operationId: route.id,
    tags: [route.own ? 'tocsin' : route.tag],
    summary: route.summary,
    description: `Role class: ${route.role}. Rate class: ${route.rate}.`,
    ...(route.role === 'public' ? {} : { security: [{ token: [] }] }),
    ...(names.length === 0 ? {} : { params: paramsSchema(names) }),
    ...(Object.keys(route.query).length === 0
      ? {}
      : { querystring: { type: 'object', properties: route.query } }),
    ...(route.body === null ? {} : { body: route.body.schema }),
    response: responses(route),
  };
}

function paramsSchema(names: readonly string[]): JsonSchema {
  const properties = Object.fromEntries(
    names.map((name) => [name, { type: 'string', description: pathParameters[name] ?? name }]),
  );
  return { type: 'object', properties, required: names };
}

function responses(route: Route): Record<string, unknown> {
  const { status, schema, type } = route.response;
  const good =
    schema === null
      ? { type: 'null', description: status === 201 ? 'Created, see Location' : 'Done' }
      : type === undefined
        ? { description: route.summary, ...schema }
        : { description: route.summary, content: { [type]: { schema } } };
  return { [status]: good, '4xx': errorSchema, '5xx': errorSchema };
}
