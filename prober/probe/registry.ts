// The check types that this prober can run. A new one is one file and one line here.
import { probeDns } from './dns.ts';
import { probeHttp } from './http.ts';
import { probePing } from './ping.ts';
import type { Probe } from './probe.ts';
import { probeTcp } from './tcp.ts';

/** Check type → probe. A Map: names of types come from outside. */
export const probes: ReadonlyMap<string, Probe> = new Map<string, Probe>([
  ['remote.dns', probeDns],
  ['remote.http', probeHttp],
  ['remote.ping', probePing],
  ['remote.tcp', probeTcp],
]);

/** Check types that a prober of this version can run, sorted. */
export const checkTypesSupported: readonly string[] = [...probes.keys()].sort();
