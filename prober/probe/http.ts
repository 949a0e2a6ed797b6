// remote.http: one request, its redirects (the guard runs anew for each), matches on the body, metrics.
// 4xx and 5xx answers are available; only a failure to complete is not (api.md §10.1).
import type { TLSSocket } from 'node:tls';
import type { WireMetric } from '../../actors/check/types.ts';
import { monotonicMs, unpredictableBytes } from '../clock.ts';
import type { Connection } from '../egress/dial.ts';
import { ProbeError } from '../errors.ts';
import {
  bodyMetricCharsMax,
  debugBodyBytesMax,
  matchCharsMax,
  matchWindowBytes,
  redirectsMax,
} from '../limits.ts';
import { cleanText } from '../text.ts';
import { certificateMetrics } from './certificate.ts';
import { basicAuthorization, digestAuthorization, digestChallenge } from './http-auth.ts';
import { exchange, type HttpAnswer } from './http-exchange.ts';
import { type HttpPlan, planHttp } from './http-plan.ts';
import { count, milliseconds, type ProbeContext, type ProbeSeen, text, unsigned } from './probe.ts';

/** One request to one location. */
interface Leg {
  readonly url: URL;
  readonly method: string;
  readonly isFirst: boolean;
  /** Same origin as the check's URL: user headers and credentials may go there. */
  readonly isHome: boolean;
}

interface LegResult {
  readonly answer: HttpAnswer;
  readonly connection: Connection;
  readonly certificate: readonly WireMetric[];
  readonly connectedMs: number;
}

const digestOriginsMax = 1000;
/** Origins that asked for Digest: the password is not offered to them in the clear again. */
const digestOrigins = new Set<string>();

/** Runs the check once; metrics are those of the last location, times count from the start of the attempt. */
export async function probeHttp(context: ProbeContext): Promise<ProbeSeen> {
  const plan = planHttp(context.request.details);
  let leg: Leg = { url: plan.url, method: plan.method, isFirst: true, isHome: true };
  let connectedMs: number | null = null;
  for (let redirects = 0; ; redirects += 1) {
    const result = await runLeg(context, plan, leg);
    connectedMs ??= result.connectedMs;
    const next = plan.followRedirects ? nextLeg(plan, leg, result.answer) : null;
    if (next === null) return seen(context, plan, { ...result, connectedMs }, leg.url);
    if (redirects >= redirectsMax) throw new ProbeError('redirect-loop');
    leg = next;
  }
}

async function runLeg(context: ProbeContext, plan: HttpPlan, leg: Leg): Promise<LegResult> {
  const credentials = leg.isHome ? plan.credentials : null;
  if (credentials === null) return send(context, plan, leg, null);
  const origin = `${context.request.target} ${leg.url.origin}`;
  const offered = digestOrigins.has(origin) ? null : basicAuthorization(credentials);
  const result = await send(context, plan, leg, offered);
  if (result.answer.code !== 401) return result;
  const header = result.answer.headers['www-authenticate'] ?? '';
  const challenge = digestChallenge(header);
  if (challenge === null) {
    // It wants Basic (again): next time it is offered at once.
    return digestOrigins.delete(origin)
      ? send(context, plan, leg, basicAuthorization(credentials))
      : result;
  }
  if (digestOrigins.size >= digestOriginsMax) digestOrigins.clear();
  digestOrigins.add(origin);
  const request = {
    method: leg.method,
    path: pathOf(leg.url),
    clientNonce: unpredictableBytes(16).toString('hex'),
  };
  return send(context, plan, leg, digestAuthorization(challenge, credentials, request));
}

async function send(
  context: ProbeContext,
  plan: HttpPlan,
  leg: Leg,
  authorization: string | null,
): Promise<LegResult> {
  const { url } = leg;
  const isTls = url.protocol === 'https:';
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  const connection = await context.connect({
    // The check's own host is probed at the check's target; a redirect elsewhere goes where it says.
    host: url.hostname === plan.url.hostname ? context.request.target : hostname,
    port: portOf(url),
    ...(isTls ? { tls: { servername: hostname, rejectUnauthorized: false } } : {}),
  });
  const connectedMs = monotonicMs() - connection.timings.tlsMs;
  const certificate = isTls ? certificateMetrics(connection.socket as TLSSocket) : [];
  const payload = leg.isFirst ? plan.payload : null;
  const answer = await exchange(
    connection.socket,
    {
      method: leg.method,
      path: pathOf(url),
      headers: headersOf(context, plan, leg, authorization),
      payload,
    },
    { keepBytes: bytesToKeep(context, plan), signal: context.signal },
  );
  return { answer, connection, certificate, connectedMs };
}

const portOf = (url: URL): number =>
  url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);

const pathOf = (url: URL): string => `${url.pathname}${url.search}`;

const noNames: ReadonlySet<string> = new Set();

function headersOf(
  context: ProbeContext,
  plan: HttpPlan,
  leg: Leg,
  authorization: string | null,
): string[] {
  const headers = ['Host', leg.url.host, 'User-Agent', context.userAgent];
  const own = leg.isHome ? plan.headers : [];
  const given = own.length === 0 ? noNames : new Set(own.map(([name]) => name.toLowerCase()));
  if (!given.has('accept')) headers.push('Accept', '*/*');
  if (!given.has('accept-encoding')) headers.push('Accept-Encoding', 'identity');
  if (authorization !== null && !given.has('authorization')) {
    headers.push('Authorization', authorization);
  }
  for (const [name, value] of own) headers.push(name, value);
  const payload = leg.isFirst ? plan.payload : null;
  const wantsBody = leg.method === 'POST' || leg.method === 'PUT';
  if (payload !== null || wantsBody) headers.push('Content-Length', String(payload?.length ?? 0));
  if (payload !== null && !given.has('content-type')) {
    headers.push('Content-Type', 'application/x-www-form-urlencoded');
  }
  headers.push('Connection', 'close');
  return headers;
}

function bytesToKeep(context: ProbeContext, plan: HttpPlan): number {
  if (context.request.debug) return debugBodyBytesMax;
  return plan.matches.length > 0 || plan.includeBody ? matchWindowBytes : 0;
}

const redirectCodes = new Set([301, 302, 303, 307, 308]);

/** Returns where an answer sends us, or null where it is the last. Throws `redirect-refused`. */
function nextLeg(plan: HttpPlan, leg: Leg, answer: HttpAnswer): Leg | null {
  const location = answer.headers.location;
  if (!redirectCodes.has(answer.code) || location === undefined) return null;
  const url = redirectUrl(location, leg.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ProbeError('redirect-refused', { message: 'redirect to another scheme refused' });
  }
  if (leg.url.protocol === 'https:' && url.protocol === 'http:') {
    throw new ProbeError('redirect-refused', { message: 'redirect from https to http refused' });
  }
  const keepsMethod = answer.code === 307 || answer.code === 308 || leg.method === 'HEAD';
  return {
    url,
    method: keepsMethod ? leg.method : 'GET',
    isFirst: false,
    isHome: leg.isHome && url.origin === plan.url.origin,
  };
}

/** Not by `URL.canParse`: that of Node 20, once optimized, says yes to what `new URL` throws on. */
function redirectUrl(location: string, base: URL): URL {
  try {
    return new URL(location, base);
  } catch (cause) {
    throw new ProbeError('redirect-refused', { cause });
  }
}

const codeClasses = ['code_100', 'code_200', 'code_300', 'code_400', 'code_500'];

async function seen(
  context: ProbeContext,
  plan: HttpPlan,
  result: LegResult,
  url: URL,
): Promise<ProbeSeen> {
  const { answer, connection } = result;
  const { body, code } = answer;
  const durationMs = monotonicMs() - context.startedMs;
  const isHidden = connection.restricted;
  const metrics: WireMetric[] = [
    text('code', String(code)),
    milliseconds('duration', durationMs),
    milliseconds('tt_connect', result.connectedMs - context.startedMs),
    milliseconds('tt_firstbyte', answer.firstByteMs - context.startedMs),
    count('bytes', body.bytes, 'bytes'),
    unsigned('truncated', body.truncated, 'bytes'),
  ];
  const hundred = Math.floor(code / 100);
  for (let at = 0; at < codeClasses.length; at += 1) {
    metrics.push(unsigned(codeClasses[at] as string, at + 1 === hundred ? 1 : 0, 'unknown'));
  }
  if (plan.matches.length > 0) metrics.push(...(await matchMetrics(context, plan, body.kept)));
  if (plan.includeBody && !isHidden) {
    const shown = body.kept.toString('utf8', 0, bodyMetricCharsMax * 4);
    metrics.push(text('body', cleanText(shown, bodyMetricCharsMax)));
  }
  metrics.push(...result.certificate);
  const seconds = (durationMs / 1000).toFixed(3);
  return {
    status: `code=${code},rt=${seconds}s,bytes=${body.bytes}`,
    metrics,
    address: connection.address,
    port: portOf(url),
    ...(context.request.debug && !isHidden ? { debugBody: body.kept.toString('utf8') } : {}),
  };
}

async function matchMetrics(
  context: ProbeContext,
  plan: HttpPlan,
  kept: Buffer,
): Promise<WireMetric[]> {
  const subject = kept.toString('utf8', 0, matchWindowBytes);
  const metrics: WireMetric[] = [];
  for (const [metric, pattern] of plan.matches) {
    const found = await context.match(pattern, subject);
    metrics.push(text(metric, cleanText(found?.text ?? '', matchCharsMax)));
  }
  return metrics;
}
