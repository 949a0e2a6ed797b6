// Ids of requests, `.rh-<4>.h-<host>.r-<8>.c-<counter>.ts-<ms>.v-<version>`: in X-Response-Id, errors, audits and logs.
import type { ApiPorts } from './ports.ts';
import { randomText } from './secret.ts';

/** Requests whose random parts are made at once: asking the system's generator costs 10 µs however little one asks. */
const drawn = 256;
const requestChars = 8;

/** Returns a function that gives the next id of this process. */
export function transactionIds(ports: Pick<ApiPorts, 'clock' | 'node' | 'random'>): () => string {
  const process = randomText(ports.random, 4);
  let counter = 0;
  let parts = '';
  return () => {
    const at = (counter % drawn) * requestChars;
    if (at === 0) parts = randomText(ports.random, drawn * requestChars);
    counter += 1;
    const request = parts.slice(at, at + requestChars);
    const { id, version } = ports.node;
    return `.rh-${process}.h-${id}.r-${request}.c-${counter}.ts-${ports.clock.nowMs()}.v-${version}`;
  };
}
