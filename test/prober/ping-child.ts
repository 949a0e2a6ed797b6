// Run in a network namespace of its own by protocols.test.ts: starts a local prober there, pings loopback by both
// families and an address without a route, prints the answers.
import process from 'node:process';
import type { ProbeAnswer } from '../../actors/check/types.ts';
import { startLocalProber } from '../../prober/local.ts';

const prober = startLocalProber({ zone: 'mztest', egress: 'local' });
await prober.ready;
const ping = (target: string) =>
  new Promise<ProbeAnswer>((resolve) => {
    const request = { id: target, zone: 'mztest', type: 'remote.ping', details: { count: 3 } };
    prober.submit({ ...request, target, resolver: null, timeoutMs: 3000, debug: false }, resolve);
  });
const answers = await Promise.all(['127.0.0.1', '::1', '10.1.2.3'].map(ping));
const { pingMode } = prober.stats();
await prober.stop(1000);
process.stdout.write(JSON.stringify({ pingMode, answers }));
