// remote.ping: echo requests to one address; availability is the share of replies. Metrics in seconds (api.md §14.5).
import type { WireMetric } from '../../actors/check/types.ts';
import { wholeNumber } from '../details.ts';
import { ProbeError } from '../errors.ts';
import { count, type ProbeContext, type ProbeSeen } from './probe.ts';

const countMax = 15;
const countDefault = 5;

/** Pings the target; no reply at all throws `no-reply` with the usual status line. */
export async function probePing(context: ProbeContext): Promise<ProbeSeen> {
  const range = { min: 1, max: countMax, otherwise: countDefault };
  const sent = wholeNumber(context.request.details, 'count', range);
  const target = await context.resolve({ host: context.request.target, port: null });
  const address = target.addresses[0] ?? '';
  const rtts = await context.pinger.ping(address, {
    count: sent,
    timeoutMs: context.remainingMs(),
    signal: context.signal,
  });
  if (rtts.length === 0) {
    const message = `cnt=${sent},avail=0,min=-nan,max=-nan,avg=-nan`;
    throw new ProbeError('no-reply', { message });
  }
  const available = (100 * Math.min(rtts.length, sent)) / sent;
  const minimum = Math.min(...rtts) / 1000;
  const maximum = Math.max(...rtts) / 1000;
  const average = rtts.reduce((sum, rtt) => sum + rtt, 0) / rtts.length / 1000;
  const times = `min=${minimum.toFixed(4)},max=${maximum.toFixed(4)},avg=${average.toFixed(4)}`;
  const seconds = (name: string, value: number): WireMetric => [name, 'n', round(value), 'seconds'];
  return {
    status: `cnt=${sent},avail=${Math.round(available)},${times}`,
    metrics: [
      ['available', 'n', round(available), 'percent'],
      seconds('average', average),
      seconds('minimum', minimum),
      seconds('maximum', maximum),
      count('count', sent, 'count'),
    ],
    address,
    port: null,
  };
}

/** Microseconds are all that the clock tells. */
const round = (value: number): number => Math.round(value * 1e6) / 1e6;
