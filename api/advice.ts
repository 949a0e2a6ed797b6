// What `tocsin doctor` says of a node: settings that are unwise, and parts that do not work. Pure.

/** `problem`: something does not work; `advice`: it works, but there is a better way. */
export interface Finding {
  readonly level: 'problem' | 'advice';
  readonly topic: string;
  readonly text: string;
}

/** `ready` false: the reasons say what is missing, for people. */
export interface Health {
  readonly live: boolean;
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export interface NodeFacts {
  readonly config: {
    readonly egress: 'local' | 'public';
    readonly limits: 'open' | 'contract';
    readonly anchors: readonly string[];
    readonly smtp: unknown;
    readonly listenHost: string;
    readonly tls: unknown;
  };
  readonly probers: readonly {
    readonly zone: string;
    readonly pid: number | null;
    readonly restarts: number;
    readonly pingMode: string;
  }[];
  readonly outbox: { readonly deferred: number; readonly oldestPendingAgeMs: number } | null;
  /** Of a node among others; null: alone. */
  readonly mode: string | null;
  /** Paused actors, the first few. */
  readonly quarantined: readonly { readonly key: string; readonly reason: string }[];
}

/** Returns whether the node may be sent requests; the reasons are for people. */
export function healthOf(
  isStarted: boolean,
  deadProbers: readonly { readonly zone: string }[],
): Health {
  const reasons = deadProbers.map(({ zone }) => `the prober of zone ${zone} does not run`);
  if (!isStarted) reasons.push('starting or stopping');
  return { live: true, ready: reasons.length === 0, reasons };
}

/** Returns the findings, problems first. */
export function adviceOf(facts: NodeFacts): Finding[] {
  const found = [
    ...ofMode(facts),
    ...ofActors(facts),
    ...ofProbers(facts),
    ...ofNotifications(facts),
    ...ofSettings(facts),
  ];
  return [...found.filter(isProblem), ...found.filter((finding) => !isProblem(finding))];
}

const isProblem = (finding: Finding): boolean => finding.level === 'problem';
const problem = (topic: string, text: string): Finding => ({ level: 'problem', topic, text });
const advice = (topic: string, text: string): Finding => ({ level: 'advice', topic, text });
const allowSockets = 'sysctl net.ipv4.ping_group_range="0 2147483647"';

function ofMode({ mode }: NodeFacts): Finding[] {
  if (mode === null || mode === 'NORMAL') return [];
  if (mode === 'DRAINING') return [advice('cluster', 'the node drains: it hands its shards over')];
  return [problem('cluster', `the node is in mode ${mode}; see its log and tocsin cluster status`)];
}

function ofActors({ quarantined }: NodeFacts): Finding[] {
  return quarantined.map(({ key, reason }) =>
    problem('quarantine', `${key} is paused (${reason}); tocsin release ends that`),
  );
}

function ofProbers({ probers }: NodeFacts): Finding[] {
  return probers.flatMap(({ zone, pid, restarts, pingMode }) => {
    const found: Finding[] = [];
    if (pid === null)
      found.push(problem('prober', `the prober of zone ${zone} does not run; see the log`));
    if (restarts > 0)
      found.push(
        advice('prober', `the prober of zone ${zone} was started again ${restarts} times`),
      );
    if (pingMode === 'none')
      found.push(
        problem(
          'ping',
          `zone ${zone} cannot ping: allow ICMP sockets (${allowSockets}) or install ping`,
        ),
      );
    if (pingMode === 'program')
      found.push(
        advice(
          'ping',
          `zone ${zone} pings with the system's program, a few at a time; with perl and ${allowSockets} one socket serves all targets`,
        ),
      );
    return found;
  });
}

function ofNotifications({ outbox, config }: NodeFacts): Finding[] {
  const found: Finding[] = [];
  if (outbox !== null && outbox.deferred > 0) {
    found.push(
      problem(
        'notifications',
        `${outbox.deferred} notifications wait for a receiver that does not take them; tocsin history ENTITY ALARM CHECK says why`,
      ),
    );
  }
  if (config.smtp === null) {
    found.push(
      advice(
        'email',
        'no SMTP server is set (TOCSIN_SMTP_HOST, TOCSIN_SMTP_FROM): email notifications fail, those to the technical contacts too',
      ),
    );
  }
  return found;
}

function ofSettings({ config }: NodeFacts): Finding[] {
  const found: Finding[] = [];
  if (config.anchors.length === 0) {
    found.push(
      advice(
        'anchors',
        'set TOCSIN_ANCHORS to three hosts that are up whenever your network is: then a prober without a network never calls a target down',
      ),
    );
  }
  if (config.egress === 'public' && config.limits === 'open') {
    found.push(
      advice(
        'limits',
        'egress is public and limits are open: a tenant can make this node a nuisance to others; set TOCSIN_LIMITS=contract',
      ),
    );
  }
  if (!/^(127\.|::1$|localhost$)/.test(config.listenHost) && config.tls === null) {
    found.push(
      advice('tls', 'the API listens beyond loopback without TLS: end TLS in a proxy before it'),
    );
  }
  return found;
}
