// The prober process: reads its settings from the environment, opens what was handed in, serves its parent's
// channel. Holds no credentials. Started by local.ts, with --disallow-code-generation-from-strings.
//
// Exit codes: 0 the channel closed (the node stopped it, or is gone) or SIGTERM; 64 a setting cannot be read;
// 65 started without an IPC channel; 70 an unexpected error, told on stderr.
import { createWriteStream } from 'node:fs';
import process from 'node:process';
import { runAttempt } from './attempt.ts';
import { createDispatcher } from './dispatch.ts';
import { createDestinationLimit, noDestinationLimit } from './egress/destination-limit.ts';
import { createEgress } from './egress/dial.ts';
import { createReachability } from './egress/reachability.ts';
import { type Channel, createLinkLog, serveChannel } from './link.ts';
import { type IcmpSocket, openIcmpSocket } from './probe/icmp-socket.ts';
import { createMatchPool } from './probe/match-pool.ts';
import { createPinger, type Pinger } from './probe/pinger.ts';
import { checkTypesSupported, probes } from './probe/registry.ts';
import { findProgram, standardPath } from './program-path.ts';
import { createSelfTest } from './self-test.ts';
import { type ProberSettings, ProberSettingsError, readSettings } from './settings.ts';

const exitSettings = 64;
const exitNoChannel = 65;
const exitCrash = 70;

type Log = (event: string, fields: Readonly<Record<string, unknown>>) => void;

/** Ends the process after its reason is written. */
function crash(code: number, reason: unknown): void {
  const text = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
  const stderr = createWriteStream('', { fd: 2, autoClose: false });
  stderr.end(`prober: ${text}\n`, () => process.exit(code));
}

async function openIcmp(fd: number | null, family: 4 | 6, log: Log): Promise<IcmpSocket | null> {
  if (fd === null) return null;
  try {
    return await openIcmpSocket(fd, family);
  } catch (error) {
    log('icmp-socket-unusable', { family, reason: (error as Error).message });
    return null;
  }
}

async function openPinger(settings: ProberSettings, log: Log): Promise<Pinger> {
  const [socket4, socket6] = await Promise.all([
    openIcmp(settings.icmpFd4, 4, log),
    openIcmp(settings.icmpFd6, 6, log),
  ]);
  const program = findProgram('ping', process.env['PATH'] ?? standardPath);
  return createPinger({ socket4, socket6, program });
}

/** Builds the prober of these settings on this channel; throws for CIDRs and anchors that cannot be read. */
async function serve(settings: ProberSettings, channel: Channel): Promise<void> {
  const log = createLinkLog(channel);
  const { egress: preset, deny, allow, self } = settings;
  const egress = createEgress({ preset, deny, allow, self });
  const pinger = await openPinger(settings, log);
  const isReachable = createReachability(
    { preset, deny, allow, anchors: settings.anchors },
    pinger,
  );
  const ports = {
    probes,
    egress,
    destinations: preset === 'public' ? createDestinationLimit() : noDestinationLimit(),
    selfTest: createSelfTest({ anchors: settings.anchors, isReachable }),
    matches: createMatchPool(),
    pinger,
    userAgent: settings.userAgent,
    log,
  };
  const dispatcher = createDispatcher({
    run: (request, limitMs) => runAttempt(request, ports, limitMs),
    ...(settings.attemptsMax === null ? {} : { attemptsMax: settings.attemptsMax }),
    ...(settings.queueLengthMax === null ? {} : { queueLengthMax: settings.queueLengthMax }),
  });
  serveChannel(channel, dispatcher, log);
  channel.send({ hello: { pingMode: pinger.mode, checkTypes: checkTypesSupported } });
}

function channelOfProcess(): Channel | null {
  const send = process.send?.bind(process);
  if (send === undefined) return null;
  return {
    // A frame that cannot go out means that the channel is closing: `disconnect` ends the process.
    send: (frame) => void send(frame, undefined, undefined, () => undefined),
    on: (event, listener) => process.on(event, listener),
  };
}

function main(): void {
  process.on('uncaughtException', (error) => crash(exitCrash, error));
  // Ctrl-C reaches the whole group: the node decides when its prober ends.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => process.exit(0));
  process.on('disconnect', () => process.exit(0));
  const channel = channelOfProcess();
  if (channel === null) {
    crash(exitNoChannel, 'a prober is started by a node, with an IPC channel');
    return;
  }
  let settings: ProberSettings;
  try {
    settings = readSettings(process.env);
  } catch (error) {
    crash(error instanceof ProberSettingsError ? exitSettings : exitCrash, error);
    return;
  }
  serve(settings, channel).catch((error: unknown) => {
    crash(error instanceof RangeError ? exitSettings : exitCrash, error);
  });
}

main();
