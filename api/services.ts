// What the handlers of one API share and what lives as long as it: guards, caches, live feeds. Made once by server.ts.
import { AttemptGuard } from './attempt-guard.ts';
import { Authenticator } from './authenticate.ts';
import { Gate } from './gate.ts';
import { IssuedTokens } from './issued-tokens.ts';
import type { ApiPorts } from './ports.ts';
import { StreamHub } from './stream/hub.ts';
import { TestChecks } from './test-check.ts';

export interface Services {
  readonly authenticator: Authenticator;
  readonly logins: AttemptGuard;
  readonly issued: IssuedTokens;
  /** Password hashes take a thread and 16 MiB each. */
  readonly passwordGate: Gate;
  readonly streams: StreamHub;
  readonly testChecks: TestChecks;
}

/** Twice the four threads of the pool: a short queue, and at most 128 MiB. */
const passwordChecksMax = 8;

/** Returns the shared parts of one API. */
export function makeServices(ports: ApiPorts): Services {
  return {
    authenticator: new Authenticator(ports),
    logins: new AttemptGuard(ports.clock, ports.limits.loginWindowMs),
    issued: new IssuedTokens(ports.clock),
    passwordGate: new Gate(passwordChecksMax),
    streams: new StreamHub(ports),
    testChecks: new TestChecks(ports),
  };
}
