// The HTTP server: one Fastify instance over one table of routes. Owns the lifecycle of a request and of the listener;
// what a request may do is admit.ts, what it does is routes/, how it is answered is respond.ts.

import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import swagger from '@fastify/swagger';
import Fastify, {
  type FastifyError,
  type FastifyHttpsOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify';
import {
  type AdmitPorts,
  admit,
  answerContext,
  beginRequest,
  type RequestState,
  urlFault,
} from './admit.ts';
import type { Answer } from './answer.ts';
import { recordCall } from './audit-trail.ts';
import { attributesOf } from './body.ts';
import type { Call } from './call.ts';
import { errorAnswer } from './error-answer.ts';
import { ApiError, tryLater } from './errors.ts';
import { fastifySchema, openApiOptions } from './openapi.ts';
import type { ApiPorts } from './ports.ts';
import { RateLimits } from './rate-limits.ts';
import { respond } from './respond.ts';
import { checkRoutes, type Route } from './route.ts';
import { allowedMethods } from './route-match.ts';
import { allRoutes } from './routes/all.ts';
import { makeServices } from './services.ts';
import { answerClientError, capConnections } from './socket-guard.ts';
import { transactionIds } from './transaction-id.ts';

export interface Api {
  /** For tests (`inject`); nothing else may add routes. */
  readonly app: FastifyInstance;
  /** Listens; resolves with the address bound (port 0: a free one). */
  listen(address: { readonly host: string; readonly port: number }): Promise<Listening>;
  /** Ends streams, refuses new requests, waits for those under way (10 s at most). */
  close(): Promise<void>;
}

export interface Listening {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

const closeWaitMs = 10_000;

/**
 * Returns the API over these ports, not yet listening. Throws `AP_ROUTE_INCOMPLETE` for a table with a hole.
 * Every answer is in v1.0's shape, errors and unknown routes too.
 */
export async function createApi(ports: ApiPorts): Promise<Api> {
  const server = new ApiServer(ports);
  await server.prepare();
  return server;
}

/** One instance, over TLS where a certificate is given. The two have different types for the same use. */
function makeFastify(ports: ApiPorts, options: FastifyServerOptions): FastifyInstance {
  const socket = { maxHeaderSize: ports.limits.headerBytesMax, headersTimeout: 15_000 };
  if (ports.tls === null) return Fastify({ ...options, http: socket });
  const https = { ...socket, ...ports.tls, minVersion: 'TLSv1.2' } as const;
  return Fastify({
    ...options,
    https,
  } as unknown as FastifyHttpsOptions<Server>) as unknown as FastifyInstance;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null before the first hook. A property, for a WeakMap costs each collection. */
    tocsin: RequestState | null;
  }
}

class ApiServer implements Api {
  readonly app: FastifyInstance;
  readonly #ports: ApiPorts;
  readonly #parts: AdmitPorts;
  readonly #routes: readonly Route[];
  readonly #newTxnId: () => string;
  #isClosing = false;

  constructor(ports: ApiPorts) {
    this.#ports = ports;
    this.#parts = { ports, services: makeServices(ports), rates: new RateLimits(ports.clock) };
    this.#newTxnId = transactionIds(ports);
    this.#routes = allRoutes(ports, () => this.app.swagger());
    checkRoutes(this.#routes);
    this.app = makeFastify(ports, this.#options());
  }

  async prepare(): Promise<void> {
    const { app } = this;
    await app.register(swagger, openApiOptions(this.#ports));
    app.setValidatorCompiler(() => () => true);
    app.setSerializerCompiler(() => (value) => JSON.stringify(value));
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );
    app.decorateRequest('tocsin', null);
    app.addHook('onRequest', (request, reply) => this.#onRequest(request, reply));
    app.setErrorHandler((error, request, reply) => this.#onError(error, request, reply));
    const methodsOf = allowedMethods(this.#routes);
    app.setNotFoundHandler((request) => {
      throw unknownRoute(request, methodsOf((request.raw.url ?? '').split('?')[0] ?? ''));
    });
    for (const route of this.#routes) this.#add(route);
    await app.ready();
    capConnections(app.server, this.#ports);
  }

  async listen(address: { readonly host: string; readonly port: number }): Promise<Listening> {
    await this.app.listen({ host: address.host, port: address.port });
    const bound = this.app.server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    const scheme = this.#ports.tls === null ? 'http' : 'https';
    return { host: address.host, port, url: `${scheme}://${host}:${port}` };
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#parts.services.streams.close();
    const { clock } = this.#ports;
    const cancel = clock.schedule(clock.monoMs() + closeWaitMs, () => {
      this.app.server.closeAllConnections();
    });
    await this.app.close();
    cancel();
  }

  #options(): FastifyServerOptions {
    const { limits } = this.#ports;
    return {
      logger: false,
      bodyLimit: limits.bodyBytesMax,
      requestTimeout: 30_000,
      keepAliveTimeout: 10_000,
      maxRequestsPerSocket: 1_000,
      forceCloseConnections: 'idle' as const,
      return503OnClosing: false,
      exposeHeadRoutes: false,
      routerOptions: {
        ignoreTrailingSlash: true,
        ignoreDuplicateSlashes: true,
        maxParamLength: 512,
      },
      clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) =>
        answerClientError(error, socket, this.#newTxnId),
      frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
        void this.#onError(error, request, reply);
      },
    };
  }

  #add(route: Route): void {
    this.app.route({
      method: route.method,
      url: route.path,
      schema: fastifySchema(route),
      config: { route },
      handler: async (request, reply) => {
        const state = this.#stateOf(request);
        const call = withBody(state, route, request);
        const answer = await route.handle(call);
        await recordCall(call, answer.kind === 'stream' ? 200 : answer.status);
        await this.#send(request, reply, answer);
      },
    });
  }

  async #onRequest(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const state = this.#stateOf(request);
    if (request.method === 'OPTIONS') return this.#send(request, reply, corsAnswer);
    if (this.#isClosing) throw tryLater('The node is stopping');
    const fault = urlFault(this.#ports, request);
    if (fault !== null) throw fault;
    const { route } = request.routeOptions.config as { readonly route?: Route };
    if (route !== undefined) await admit(this.#parts, state, request, route);
    return undefined;
  }

  async #onError(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const state = this.#stateOf(request);
    const { route } = request.routeOptions.config as { readonly route?: Route };
    const answer = errorAnswer(this.#ports, error, {
      txnId: state.txnId,
      what: route?.id ?? request.method,
      identity: route?.tag === 'identity',
    });
    if (state.call !== null) await recordCall(state.call, answer.status);
    const connection = reply.getHeader('connection');
    const headers =
      connection === 'close' ? { ...answer.headers, Connection: 'close' } : answer.headers;
    await this.#send(request, reply, { ...answer, headers: headers ?? {} });
  }

  /** Takes the response over from Fastify and writes it. Never rejects: a client that went away is no error. */
  async #send(request: FastifyRequest, reply: FastifyReply, answer: Answer): Promise<unknown> {
    const state = this.#stateOf(request);
    reply.hijack();
    this.#ports.meter.count('api_requests', 1, statusClass(answer));
    try {
      await respond(reply.raw, answer, answerContext(this.#ports, state, request));
    } catch (error) {
      this.#ports.logger.error('api.answer_failed', { txnId: state.txnId, reason: String(error) });
      reply.raw.destroy();
    }
    return reply;
  }

  #stateOf(request: FastifyRequest): RequestState {
    request.tocsin ??= beginRequest(this.#ports, request, this.#newTxnId());
    return request.tocsin;
  }
}

/** The preflight answer of the original service's middleware: for every path, without a token. */
const corsAnswer: Answer = {
  kind: 'empty',
  status: 204,
  headers: {
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Methods': 'POST, GET, PUT, DELETE, OPTIONS',
    'Access-Control-Max-Age': '86400',
    'Access-Control-Allow-Headers': 'X-Auth-Token, Content-Type, Accept',
    'Access-Control-Allow-Credentials': 'true',
    'Access-Control-Expose-Headers': 'X-Response-Id, WWW-Authenticate',
  },
};

function withBody(state: RequestState, route: Route, request: FastifyRequest): Call {
  if (state.call === null) throw new ApiError('internalError', 'The request was not admitted');
  const bytes = Buffer.isBuffer(request.body) ? request.body : null;
  const body = attributesOf(route, request.headers['content-type'], bytes);
  const call = { ...state.call, body, bodyBytes: bytes };
  state.call = call;
  return call;
}

function unknownRoute(request: FastifyRequest, methods: readonly string[]): ApiError {
  const path = (request.raw.url ?? '').split('?')[0] ?? '';
  if (methods.length === 0) {
    return new ApiError('notFoundError', 'Object does not exist', {
      details: `There is no resource at "${path.slice(0, 200)}"`,
    });
  }
  const allow = [...methods, 'OPTIONS'].join(', ');
  return new ApiError('methodNotAllowedError', `${request.method} is not allowed here`, {
    details: `Allowed: ${allow}`,
    headers: { Allow: allow },
  });
}

function statusClass(answer: Answer): string {
  const status = answer.kind === 'stream' ? 200 : answer.status;
  return `${Math.floor(status / 100)}xx`;
}
