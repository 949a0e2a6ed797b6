// Ids of requests, `.rh-<4>.h-<host>.r-<8>.c-<counter>.ts-<ms>.v-<version>`: in X-Response-Id, errors, audits and logs.
import type { ApiPorts } from './ports.ts';
import { randomText } from './secret.ts';

/** Returns a function that gives the next id of this process. */
export function transactionIds(ports: Pick<ApiPorts, 'clock' | 'node' | 'random'>): () => string {
  const process = randomText(ports.random, 4);
  let counter = 0;
  return () => {
    counter += 1;
    const request = randomText(ports.random, 8);
    const { id, version } = ports.node;
    return `.rh-${process}.h-${id}.r-${request}.c-${counter}.ts-${ports.clock.nowMs()}.v-${version}`;
  };
}
