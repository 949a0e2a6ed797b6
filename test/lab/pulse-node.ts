// A node's heartbeat plane as a process of its own, for tests that kill and freeze it: beats over real NATS servers with a
// fixed view, and prints what it hears as JSON lines. Settings come as one JSON text in the first argument.
import { natsPulse } from '../../cluster/nats/pulse.ts';
import { emptyView, type Member, type View, withMember } from '../../cluster/view.ts';
import { systemClock } from '../../runtime/clock.ts';
import { nodeId } from '../../runtime/ids.ts';
import type { Logger } from '../../runtime/ports.ts';

export interface PulseNodeSettings {
  readonly node: string;
  /** Incarnation of a node is its name without dashes. */
  readonly members: readonly string[];
  readonly servers: readonly string[];
  readonly culpritFile: string;
}

/** Returns the view that all nodes of such a test have. */
export function fixedView(members: readonly string[]): View {
  return members.reduce<View>((view, name) => {
    const member: Omit<Member, 'sinceVersion'> = {
      ...{ incarnation: incarnationOf(name), address: '127.0.0.1:1', weight: 1, zone: 'z' },
      ...{ protoMin: 1, protoMax: 1, state: 'up' as const },
    };
    return withMember(view, nodeId(name), member, 0);
  }, emptyView('local'));
}

export function incarnationOf(node: string): string {
  return node.replaceAll('-', '');
}

function main(settings: PulseNodeSettings): void {
  const clock = systemClock();
  const say = (line: object): void => {
    process.stdout.write(`${JSON.stringify({ atMs: Date.now(), ...line })}\n`);
  };
  const log = (event: string, fields?: object): void => say({ say: 'log', event, ...fields });
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const { culpritFile, members, node, servers } = settings;
  const place = { cluster: 'c1', node, servers, login: { tls: null } };
  const pulse = natsPulse({ ...place, clock, logger, culpritFile });
  let wasPassing = 0;
  pulse.listen((event) => {
    const report = pulse.report();
    if ('type' in event) {
      if (report.passing.length !== wasPassing)
        say({ say: 'passing', count: report.passing.length });
      wasPassing = report.passing.length;
      return;
    }
    say({ say: 'event', ...event });
    if (event.do === 'dropLease') pulse.viewRead(clock.monoMs(), true);
  });
  let wasValid = false;
  const watch = (): void => {
    const isValid = clock.monoMs() < pulse.leaseUntilMonoMs();
    if (isValid !== wasValid) say({ say: 'lease', isValid });
    wasValid = isValid;
    clock.schedule(clock.monoMs() + 20, watch);
  };
  watch();
  pulse.begin(incarnationOf(node), fixedView(members));
  process.stdin.on('data', (chunk) => {
    const command = String(chunk).trim();
    const [verb, value] = command.split(' ');
    if (verb !== 'block') return;
    // A main loop that stands still, with an actor's key named or none.
    pulse.working(value === undefined ? null : (value as never));
    const untilMs = Date.now() + 8_000;
    while (Date.now() < untilMs);
  });
}

if (process.argv[2] !== undefined) main(JSON.parse(process.argv[2]) as PulseNodeSettings);
